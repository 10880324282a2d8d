"""`Link`: the WebSocket protocol over real sockets, against a server by script."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import create_task_group, fail_after
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSListener
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from consumers.client import Ended
from consumers.client.link import Link, open_link
from consumers_tests.valkey import free_port

CERTIFICATE = Path(__file__).parent.parent / "server" / "localhost.pem"


class Peer:
    """The server's end of one connection."""

    def __init__(self, stream: ByteStream, **settings: Any) -> None:
        self.stream = stream
        self.protocol = ServerProtocol(**settings)
        self.request: Request | None = None
        self.events: list[Any] = []

    async def accept(self) -> None:
        self.request = await self.next()
        self.protocol.send_response(self.protocol.accept(self.request))
        await self.flush()

    async def next(self) -> Any:
        """Wait for the next frame of the client; ``None``: the stream has ended."""
        while not self.events:
            try:
                self.protocol.receive_data(await self.stream.receive())
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return None
            self.events += self.protocol.events_received()
        return self.events.pop(0)

    async def flush(self) -> None:
        data = b"".join(self.protocol.data_to_send())
        if data:
            await self.stream.send(data)

    async def say(self, *parts: bytes, opcode: Opcode = Opcode.TEXT) -> None:
        """Send a message in so many fragments."""
        for number, part in enumerate(parts):
            kind = Opcode.CONT if number else opcode
            last = number == len(parts) - 1
            data = Frame(kind, part, fin=last).serialize(mask=False)
            await self.stream.send(data)


Script = Callable[[Peer], Awaitable[None]]


@asynccontextmanager
async def serving(
    script: Script, *, accepts: bool = True, tls: bool = False, **settings: Any
) -> AsyncIterator[str]:
    """Serve connections by a script; yield the URL."""
    listener: Any = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(SocketAttribute.local_port)
    if tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(CERTIFICATE)
        listener = TLSListener(listener, context, standard_compatible=False)

    async def serve(stream: ByteStream) -> None:
        async with stream:
            peer = Peer(stream, **settings)
            if accepts:
                await peer.accept()
            await script(peer)

    with fail_after(10):
        async with listener, create_task_group() as tasks:
            tasks.start_soon(listener.serve, serve)
            yield f"{'wss' if tls else 'ws'}://127.0.0.1:{port}/a%20b?c=d"
            tasks.cancel_scope.cancel()


async def echo(peer: Peer) -> None:
    """Send back what comes, until the client closes."""
    while True:
        frame = await peer.next()
        await peer.flush()
        if frame is None or frame.opcode is Opcode.CLOSE:
            return
        await peer.say(frame.data, opcode=frame.opcode)


async def ended(link: Link) -> Ended:
    with pytest.raises(Ended) as caught:
        await link.receive()
    return caught.value


@pytest.mark.parametrize("tls", [False, True])
async def test_messages_both_ways(tls: bool) -> None:
    """Text and bytes go and come, and the close has a code, over TCP and TLS."""
    seen: list[Peer] = []

    async def script(peer: Peer) -> None:
        seen.append(peer)
        await echo(peer)

    context = ssl.create_default_context(cafile=CERTIFICATE)
    context.check_hostname = False
    async with serving(script, tls=tls, subprotocols=["two"]) as url:
        headers = {"X-Mine": "yes", "User-Agent": "me"}
        async with open_link(url, ["one", "two"], headers, ssl_context=context) as link:
            assert link.subprotocol == "two"
            await link.send("text é")
            await link.send(b"bytes")
            await link.send("")
            found = [await link.receive() for _ in range(3)]
            assert found == ["text é", b"bytes", ""]
            await link.close(4000, "enough")
            await link.close(4001, "again")
            end = await ended(link)
            assert (end.code, end.reason) == (4000, "enough")
            with pytest.raises(Ended):
                await link.send("late")
    request = seen[0].request
    assert request is not None
    assert request.path == "/a%20b?c=d"
    assert request.headers["X-Mine"] == "yes"
    assert seen[0].protocol.close_rcvd is not None


@pytest.mark.parametrize("closes", [True, False])
async def test_what_comes_with_the_handshake_s_answer(closes: bool) -> None:
    """A message right behind the handshake is received, though nothing else comes."""

    async def script(peer: Peer) -> None:
        peer.protocol.send_response(peer.protocol.accept(await peer.next()))
        peer.protocol.send_text(b"welcome")
        if closes:
            peer.protocol.send_close(4000)
        await peer.flush()
        await peer.next()

    async with serving(script, accepts=False) as url, open_link(url) as link:
        assert await link.receive() == "welcome"
        if closes:
            assert (await ended(link)).code == 4000


async def test_fragments_and_pings() -> None:
    """Fragments make one message, with a ping between them that is answered."""

    async def script(peer: Peer) -> None:
        await peer.say("é".encode()[:1], b"", "é".encode()[1:])
        await peer.stream.send(Frame(Opcode.PING, b"there?").serialize(mask=False))
        pong = await peer.next()
        assert (pong.opcode, pong.data) == (Opcode.PONG, b"there?")
        await peer.say(b"\x00", b"\xff", opcode=Opcode.BINARY)
        await echo(peer)

    async with serving(script) as url, open_link(url) as link:
        assert link.subprotocol is None
        assert await link.receive() == "é"
        assert await link.receive() == b"\x00\xff"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (Frame(Opcode.TEXT, b"\xff").serialize(mask=False), 1007),
        (Frame(Opcode.TEXT, b"x" * 101).serialize(mask=False), 1009),
        (b"\xf0\xf0\xf0\xf0", 1002),
        (Frame(Opcode.CLOSE, b"\x0f\xa0why").serialize(mask=False), 4000),
        (Frame(Opcode.CLOSE, b"").serialize(mask=False), 1005),
        (b"", 1006),
    ],
    ids=["utf-8", "size", "protocol", "close", "no code", "eof"],
)
async def test_ends(data: bytes, code: int) -> None:
    """What the server says before its end is received; then the code tells how."""
    heard: list[Any] = []

    async def script(peer: Peer) -> None:
        await peer.say(b"last words")
        if data:
            await peer.stream.send(data)
            heard.append(await peer.next())

    async with serving(script) as url, open_link(url, max_size=100) as link:
        assert await link.receive() == "last words"
        assert (await ended(link)).code == code
        assert (await ended(link)).code == code
        with pytest.raises(Ended):
            await link.send("late")
    assert all(frame.opcode is Opcode.CLOSE for frame in heard)


@pytest.mark.parametrize("raises", [True, False])
async def test_the_end_of_the_block_says_goodbye(raises: bool) -> None:
    """A block that ends without a close has gone away; its exception is not wrapped."""
    heard: list[Any] = []
    over = anyio.Event()

    async def script(peer: Peer) -> None:
        heard.extend([await peer.next(), await peer.next()])
        over.set()

    async with serving(script) as url:

        async def run() -> None:
            async with open_link(url) as link:
                await link.send("hello")
                if raises:
                    raise KeyError("mine")
                tasks.cancel_scope.cancel()

        async with create_task_group() as tasks:
            if raises:
                with pytest.raises(KeyError, match="mine"):
                    await run()
            else:
                await run()
        await over.wait()
    assert heard[0].data == b"hello"
    assert (heard[1].opcode, heard[1].data[:2]) == (Opcode.CLOSE, b"\x03\xe9")


@pytest.mark.parametrize(
    ("answer", "code", "after"),
    [
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno\x1b", 4403, None),
        ("HTTP/1.1 503 x\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", 4503, 7.0),
        ("HTTP/1.1 429 x\r\nRetry-After: Fri\r\nContent-Length: 0\r\n\r\n", 4429, None),
        ("HTTP/1.1 101 x\r\nUpgrade: other\r\n\r\n", 1002, None),
        ("SMTP ready\r\n", 1002, None),
        ("HTTP/1.1 200 OK\r\n", 1006, None),
        ("", 1006, None),
    ],
    ids=["403", "503", "429", "101", "smtp", "cut", "eof"],
)
async def test_refused_handshakes(answer: str, code: int, after: float | None) -> None:
    """A refusal is 4000 + status; what is no WebSocket server is a protocol error."""

    async def script(peer: Peer) -> None:
        await peer.next()
        await peer.stream.send(answer.encode())

    async with serving(script, accepts=False) as url:
        with pytest.raises(Ended) as caught:
            async with open_link(url):
                raise AssertionError
    assert (caught.value.code, caught.value.after) == (code, after)
    assert not caught.value.offline
    said = ": 'no\\x1b'" if code == 4403 else ""
    assert caught.value.reason.partition(" with status ")[2][3:] == said


async def test_nobody_listens() -> None:
    """A server that is away is 1006; a name that is nowhere looks like no network."""
    with pytest.raises(Ended, match="can't reach") as caught:
        async with open_link(f"ws://127.0.0.1:{free_port()}/"):
            raise AssertionError
    assert (caught.value.code, caught.value.offline) == (1006, False)
    with pytest.raises(Ended) as caught:
        async with open_link("ws://nowhere.invalid/"):
            raise AssertionError
    assert (caught.value.code, caught.value.offline) == (1006, True)


async def test_a_certificate_that_is_not_trusted() -> None:
    """Without a reason to trust the server there is no connection, for good: 1015."""

    async def script(peer: Peer) -> None:
        raise AssertionError

    async def listen(stream: ByteStream) -> None:
        raise AssertionError

    listener: Any = await anyio.create_tcp_listener(local_host="127.0.0.1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    secure = TLSListener(listener, context, standard_compatible=False)
    port = listener.extra(SocketAttribute.local_port)
    with fail_after(5):
        async with secure, create_task_group() as tasks:
            tasks.start_soon(secure.serve, listen)
            with pytest.raises(Ended) as caught:
                async with open_link(f"wss://127.0.0.1:{port}/"):
                    raise AssertionError
            tasks.cancel_scope.cancel()
    assert caught.value.code == 1015
    assert caught.value.reason.startswith(f"can't speak TLS with 127.0.0.1:{port}: ")


async def test_tls_that_does_not_come_about() -> None:
    """A server that speaks no TLS, as one that is replaced, may do so soon: 1006."""

    async def script(peer: Peer) -> None:
        await peer.stream.send(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
        await peer.stream.receive()

    async with serving(script, accepts=False) as url:
        with pytest.raises(Ended, match="can't speak TLS") as caught:
            async with open_link(url.replace("ws:", "wss:")):
                raise AssertionError
    assert (caught.value.code, caught.value.offline) == (1006, False)


class Stuck(ByteStream):
    """A stream that takes nothing, and brings one message."""

    def __init__(self) -> None:
        self.news = [Frame(Opcode.PING, b""), Frame(Opcode.TEXT, b"I only talk")]
        self.closed = False

    async def send(self, item: bytes) -> None:
        await anyio.sleep_forever()

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        await anyio.lowlevel.checkpoint()
        if not self.news:
            await anyio.sleep_forever()
        return self.news.pop(0).serialize(mask=False)

    async def aclose(self) -> None:
        self.closed = True

    async def send_eof(self) -> None:
        raise AssertionError


async def test_a_server_that_reads_nothing() -> None:
    """Sending waits, receiving goes on though it has a ping to answer."""
    protocol = ClientProtocol(parse_uri("ws://x/"), state=State.OPEN)
    link = Link(Stuck(), protocol)
    with fail_after(5):
        async with create_task_group() as tasks:
            tasks.start_soon(link.write)
            sending = tasks.start_soon(link.send, "waits")
            assert await link.receive() == "I only talk"
            await anyio.wait_all_tasks_blocked()
            assert sending.status.name == "PENDING"
            tasks.cancel_scope.cancel()
    with pytest.raises(Ended):
        await link.send("nobody writes any more")


@pytest.mark.parametrize("brings", [False, True])
async def test_a_write_that_fails(brings: bool) -> None:
    """The message counts as not sent, and whoever receives learns of the end.

    Also where something was on its way to them in the same moment.
    """

    class Broken(Stuck):
        async def send(self, item: bytes) -> None:
            await anyio.lowlevel.checkpoint()
            raise anyio.BrokenResourceError

        async def receive(self, max_bytes: int = 65_536) -> bytes:
            while not self.closed:
                await anyio.lowlevel.checkpoint()
            if brings:
                return self.news[1].serialize(mask=False)
            raise anyio.ClosedResourceError

    protocol = ClientProtocol(parse_uri("ws://x/"), state=State.OPEN)
    link = Link(Broken(), protocol)
    with fail_after(5):
        async with create_task_group() as tasks:
            tasks.start_soon(link.write)
            tasks.start_soon(ended, link)
            with pytest.raises(Ended) as caught:
                await link.send("lost")
            tasks.cancel_scope.cancel()
    assert caught.value.code == 1006
