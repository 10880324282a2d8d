"""WebSockets on trio as their application sees them, and the extension they bring."""

from __future__ import annotations

import logging
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from queue import Queue
from threading import Event
from typing import Any

import pytest
import trio
import trio.testing

from consumers.server.exchange import EXTENSION
from consumers.server.trio_transport import HIGH
from consumers_tests.server.hostile import RESET
from consumers_tests.server.live import KINDS, PATIENCE, Server, handshake, in_thread

TRIO = KINDS["trio"]
MASK = b"\x00\x00\x00\x00"
MIB = 1024 * 1024

App = Callable[[Any, Any, Any], Awaitable[None]]


@contextmanager
def serving(app: App, **settings: Any) -> Iterator[tuple[Server, Queue[Any]]]:
    """Serve an application that is called with an accepted WebSocket, and a queue."""
    told: Queue[Any] = Queue()

    async def accepting(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            scope["told"] = told
            await receive()
            await send({"type": "websocket.accept"})
            await app(scope, receive, send)

    with in_thread(accepting, TRIO, **settings) as server:
        yield server, told


@contextmanager
def opened(server: Server, early: bytes = b"") -> Iterator[socket.socket]:
    """Connect a client that reads only what the test reads."""
    with server.raw(handshake() + early) as sock:
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += sock.recv(1)
        yield sock


def frame(payload: bytes, opcode: int = 1) -> bytes:
    return bytes((0x80 | opcode, 0x80 | len(payload))) + MASK + payload


def unmasked(payload: bytes, opcode: int = 1) -> bytes:
    return bytes((0x80 | opcode, len(payload))) + payload


async def echo(scope: Any, receive: Any, send: Any) -> None:
    while (event := await receive())["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})


def test_replies_to_what_came_together_go_together() -> None:
    """Sixteen messages in one read are answered in one write, in order."""
    messages = [str(number).encode() for number in range(16)]
    with serving(echo) as (server, _), opened(server) as client:
        client.sendall(b"".join(map(frame, messages)))

        assert client.recv(65536) == b"".join(map(unmasked, messages))


def test_what_came_with_the_handshake_is_received() -> None:
    """A client that does not wait for the answer loses nothing."""
    with serving(echo) as (server, _), opened(server, frame(b"early")) as client:
        assert client.recv(65536) == unmasked(b"early")


def test_not_much_may_come_before_the_answer() -> None:
    """Who sends on and on before the handshake is answered is cut off."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await trio.sleep_forever()

    with (
        in_thread(app, TRIO, graceful_timeout=0.0) as server,
        server.raw(handshake()) as client,
        pytest.raises(OSError, match=r"Broken pipe|reset"),
    ):
        client.sendall(frame(b"x" * 100) * 100_000)


def test_a_busy_application_holds_up_neither_pong_nor_close() -> None:
    """While it does something else, pings are answered, and then the close frame."""

    async def busy(scope: Any, receive: Any, send: Any) -> None:
        await trio.sleep_forever()

    with (
        serving(busy, graceful_timeout=0.0) as (server, _),
        opened(server) as client,
    ):
        client.sendall(frame(b"unread") + frame(b"here?", 9))
        assert client.recv(100) == unmasked(b"here?", 10)
        client.sendall(frame(b"\x03\xe8", 8))
        assert client.recv(100) == unmasked(b"\x03\xe8", 8)
        assert client.recv(100) == b""


def test_pongs_that_nobody_reads_are_not_kept() -> None:
    """Who pings and reads nothing misses answers, and is served when it reads again."""
    pings = 16 * MIB // 125
    with serving(echo) as (server, _), opened(server) as client:
        client.sendall(frame(b"x" * 125, 9) * pings + frame(b"end"))
        data = bytearray()
        while not data.endswith(unmasked(b"end")):
            data += client.recv(65536)

        assert HIGH < len(data) < pings * 127


def test_a_send_that_waits_can_be_cancelled() -> None:
    """Its message is taken back; what was sent before it arrives whole."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        sent = 0
        with trio.move_on_after(0.1):
            while True:
                await send({"type": "websocket.send", "bytes": b"x" * 100_000})
                sent += 1
        scope["told"].put(sent)
        await send({"type": "websocket.send", "text": "end"})

    with serving(app) as (server, told), opened(server) as client:
        sent = told.get(timeout=PATIENCE)
        data = bytearray()
        while not data.endswith(unmasked(b"\x03\xe8", 8)):
            data += client.recv(65536)

    assert len(data) == sent * 100_010 + len(unmasked(b"end")) + 4


def test_a_loop_of_sends_lets_others_run() -> None:
    """It can be cancelled, though the client reads as fast as it sends."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with trio.open_nursery() as nursery:

            async def push() -> None:
                while True:
                    await send({"type": "websocket.send", "text": "x"})

            nursery.start_soon(push)
            await receive()
            nursery.cancel_scope.cancel()
        scope["told"].put("cancelled")

    with serving(app) as (server, told), opened(server) as client:
        client.sendall(frame(b"stop"))
        while client.recv(65536)[-4:-2] != b"\x88\x02":
            pass
        assert told.get(timeout=PATIENCE) == "cancelled"


def test_who_is_gone_can_not_be_sent_to() -> None:
    """Sending raises an OSError every time, and lets others run."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["code"] == 1006
        assert (await receive())["code"] == 1006
        for kind in ("send", "close"):
            try:
                await send({"type": f"websocket.{kind}", "text": "x"})
            except OSError as error:
                scope["told"].put(str(error))

    with serving(app) as (server, told):
        with opened(server):
            pass
        for _ in range(2):
            assert told.get(timeout=PATIENCE) == (
                "the client is gone, nothing can be sent to it"
            )


def test_one_task_receives() -> None:
    """A second one is told so; the first goes on."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(echo, scope, receive, send)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(RuntimeError, match="one task to receive, got a second"):
                await receive()
            scope["told"].put("told")

    with serving(app) as (server, told), opened(server) as client:
        assert told.get(timeout=PATIENCE) == "told"
        client.sendall(frame(b"still"))
        assert client.recv(100) == unmasked(b"still")


def test_a_ping_comes_at_each_interval() -> None:
    """An interval longer than the timeout is kept between answered pings."""
    with (
        serving(echo, ws_ping_interval=0.6, ws_ping_timeout=0.5) as (server, _),
        server.connect("/") as answering,
        opened(server) as silent,
    ):
        assert silent.recv(100) == unmasked(b"", 9)
        assert silent.recv(100) == b""  # dropped
        answering.send("answered, and still here")
        assert answering.recv(timeout=PATIENCE) == "answered, and still here"


def test_the_extension_goes_past_send_and_receive() -> None:
    """What need not wait is taken and written at once; frames may be shared."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        direct = scope["extensions"][EXTENSION]
        assert direct.shares == ()
        assert direct.take() is None
        first = await receive()
        assert (first["text"], direct.take()["text"]) == ("one", "two")
        ready = direct.frame({"type": "websocket.send", "text": "frame"})
        assert ready == unmasked(b"frame")
        assert direct.post(ready)
        assert direct.write({"type": "websocket.send", "bytes": b"event"})
        assert (await receive())["type"] == "websocket.disconnect"
        assert not direct.post(ready)
        assert not direct.write({"type": "websocket.send", "text": "x"})
        scope["told"].put("done")

    with serving(app) as (server, told):
        with opened(server) as client:
            client.sendall(frame(b"one") + frame(b"two"))
            assert client.recv(100) == unmasked(b"frame") + unmasked(b"event", 2)
        assert told.get(timeout=PATIENCE) == "done"


def test_a_full_connection_takes_nothing_more_at_once() -> None:
    """Where the client does not read, `post` and `write` say so."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        direct = scope["extensions"][EXTENSION]
        ready = direct.frame({"type": "websocket.send", "bytes": b"x" * 100_000})
        posted = 0
        while direct.post(ready):
            posted += 1
        assert not direct.write({"type": "websocket.send", "text": "x"})
        scope["told"].put(posted)
        await send({"type": "websocket.send", "text": "after"})

    with serving(app) as (server, told), opened(server) as client:
        posted = told.get(timeout=PATIENCE)
        data = bytearray()
        while unmasked(b"after") not in data[-20:]:
            data += client.recv(65536)

    assert data.startswith(b"\x82\x7f")
    before, _, after = data.rpartition(unmasked(b"after"))
    assert len(before) == posted * 100_010
    assert after in (b"", unmasked(b"\x03\xe8", 8))


@pytest.mark.parametrize("on", [True, False])
def test_handshakes_are_logged(on: bool, caplog: pytest.LogCaptureFixture) -> None:
    """One line each with what came of it, if the option says so."""
    caplog.set_level(logging.INFO, "consumers.access")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await receive()
            if scope["path"] == "/fail":
                return
            await send({"type": scope["path"].replace("/", "websocket.")})

    with in_thread(app, TRIO, access_log=on) as server:
        for path in ("/accept", "/close", "/fail"):
            with server.raw(handshake(f"{path}?a=b")) as client:
                assert client.recv(65536).startswith(b"HTTP/1.1 ")

    lines = [r.getMessage() for r in caplog.records if r.name == "consumers.access"]
    outcomes = [line.partition(" - ")[2] for line in lines]
    assert outcomes == on * [
        '"WebSocket /accept?a=b" [accepted]',
        '"WebSocket /close?a=b" 403',
        '"WebSocket /fail?a=b" 500',
    ]


def test_who_leaves_amid_a_refusal_is_gone_for_the_application() -> None:
    """While a long body waits for its reader, its going is no misuse of `send`."""
    told: Queue[Exception] = Queue()
    waiting = Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "websocket":
            return
        body = {"type": "websocket.http.response.body", "more_body": True}
        await receive()
        await send(
            {"type": "websocket.http.response.start", "status": 403, "headers": []}
        )
        try:
            await send({**body, "body": b"x" * 16 * MIB})  # more than buffers hold
            waiting.set()
            await send({**body, "body": b"x"})
        except Exception as error:
            told.put(error)

    with in_thread(app, TRIO) as server:
        with server.raw(handshake()) as client:
            assert client.recv(12) == b"HTTP/1.1 403"
            assert waiting.wait(PATIENCE)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

        assert isinstance(told.get(timeout=PATIENCE), OSError)
