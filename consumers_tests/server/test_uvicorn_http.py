"""How long a client may take for a request, under uvicorn: in virtual time."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, ClassVar

import anyio
import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from consumers.handshake.refusals import refused
from consumers.server.entrance import Entrance
from consumers.server.uvicorn_http import Http
from consumers_tests.excesses import Excesses
from consumers_tests.server.driven import VIRTUAL, ScriptedTransport
from consumers_tests.server.live import handshake
from consumers_tests.server.site import answer, body, start

HALF = b"GET / HTTP/1.1\r\nHost: "
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return VIRTUAL


class Patient(Entrance):
    """The control, which waits for ever."""

    header_timeout: ClassVar[float | None] = None
    body_timeout: ClassVar[float | None] = None


class Driven:
    """One connection, with the application in the test's hands."""

    def __init__(
        self,
        *data: bytes,
        entrance: type[Entrance] = Entrance,
        app: Any = None,
        ws: str = "consumers.server.uvicorn:Protocol",
    ) -> None:
        self.receive: Any
        self.send: Any
        self.leave = anyio.Event()
        config = Config(
            app or self._application,
            http=entrance,
            ws=ws,
            lifespan="off",
            log_config=None,
            interface="asgi3",
        )
        config.load()
        self.state = ServerState()
        self.transport = ScriptedTransport()
        protocol: Any = entrance(config, self.state, {})
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        for piece in data:
            self.says(piece)

    async def _application(self, scope: Any, receive: Any, send: Any) -> None:
        self.receive, self.send = receive, send
        await self.leave.wait()

    def says(self, data: bytes) -> None:
        """Have the peer send something."""
        self.transport.protocol.data_received(data)

    @property
    def written(self) -> bytes:
        """Return what was written."""
        return b"".join(self.transport.writes)

    @property
    def is_cut(self) -> bool:
        """Tell whether the server has ended the connection."""
        return self.transport.is_closing()

    async def close(self) -> None:
        """Have the peer leave, and the application end then."""
        self.transport.peer_vanishes()
        await anyio.sleep(1)
        self.leave.set()
        await anyio.sleep(1)
        assert not self.state.tasks
        assert not self.state.connections


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """Answer at once."""
    await answer(send, b"hello")


@pytest.mark.parametrize("said", [b"", HALF])
@pytest.mark.parametrize("ws", ["consumers.server.uvicorn:Protocol", "wsproto"])
async def test_a_head_has_so_long_in_all(
    said: bytes, ws: str, caplog: pytest.LogCaptureFixture, excesses: Excesses
) -> None:
    """Twenty seconds after its beginning a connection without a request is ended.

    However often another byte has come; with 408, if any has. It is counted.
    """
    caplog.set_level(logging.INFO, "uvicorn.error")
    before = refused["header_timeout"]
    driven = Driven(ws=ws)
    for _ in range(19):
        await anyio.sleep(1)
        if said:
            driven.says(said)
            said = b"x"
    assert not driven.is_cut
    await anyio.sleep(1.1)

    assert driven.is_cut
    assert driven.written[:13] == (b"HTTP/1.1 408 " if said else b"")
    assert (b"connection: close\r\n" in driven.written) == bool(said)
    assert refused["header_timeout"] == before + 1
    assert excesses.counted == {"header_timeout": 1}
    assert excesses.line == "cut off: a request's headers took too long"
    told = [
        each.getMessage() for each in caplog.records if each.name == "uvicorn.error"
    ]
    assert told == (["192.0.2.1:5000 - refused with 408"] if said else [])


@pytest.mark.parametrize("said", [b"", HALF])
async def test_without_a_limit_it_is_waited_for(said: bytes) -> None:
    """A control: with the timeout off a request may come in an hour."""
    driven = Driven(*[said][: bool(said)], entrance=Patient, app=hello)
    await anyio.sleep(3600)
    assert not driven.is_cut
    driven.says(GET.removeprefix(said))
    await anyio.sleep(1)

    assert driven.written.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("at", [5, -2, None])
async def test_a_websocket_has_no_such_limit(at: int | None) -> None:
    """Whose handshake has come, in one part or in two, is not looked at again."""
    whole = handshake()
    driven = Driven(*[whole[:at], whole[at:] if at else b""][: 2 if at else 1])
    await anyio.sleep(1000)

    assert not driven.is_cut
    await driven.close()


@pytest.mark.parametrize(
    "before",
    [
        HALF,
        b"GET /",
        GET + HALF,
        CHUNKED + b"1;",
        CHUNKED + b"1\r\nx\r\n0\r\nTrailer: ",
    ],
)
async def test_what_does_not_end_has_a_bound(before: bytes) -> None:
    """16 KiB that end nothing are the last, in headers and behind a body alike."""
    driven = Driven(before, app=hello)
    await anyio.sleep(0.1)
    driven.transport.writes.clear()
    driven.says(b"x" * 8 * 1024)
    assert not driven.is_cut
    driven.says(b"x" * 9 * 1024)

    assert driven.written.startswith(b"HTTP/1.1 431 ")
    assert driven.is_cut


async def test_a_large_body_has_none() -> None:
    """Bodies may be large, in few pieces and in many."""
    driven = Driven(POST + b"\r\n")
    await anyio.sleep(0.1)
    for _ in range(10):
        driven.says(b"x" * 9_999)
        assert (await driven.receive())["more_body"]
    driven.says(b"x" * 10)

    assert len((await driven.receive())["body"]) == 10
    assert not driven.is_cut
    await driven.close()


async def test_who_leaves_is_forgotten() -> None:
    """A peer that left in the middle of its headers is no refusal."""
    before = refused["header_timeout"]
    for said in ([], [HALF]):
        await Driven(*said).close()
    await anyio.sleep(1000)

    assert refused["header_timeout"] == before


async def test_the_next_head_has_as_long() -> None:
    """The time of another request's headers begins with its first byte."""
    driven = Driven(GET, app=hello)
    await anyio.sleep(4)
    driven.transport.writes.clear()
    driven.says(HALF)  # uvicorn itself would wait for ever now
    await anyio.sleep(19)
    assert not driven.is_cut
    await anyio.sleep(1.1)

    assert driven.written.startswith(b"HTTP/1.1 408 ")


async def test_a_kept_connection_is_closed() -> None:
    """Without another request it is closed after five seconds, which is no refusal."""
    before = refused["header_timeout"]
    driven = Driven(GET, app=hello)
    await anyio.sleep(4.9)
    assert not driven.is_cut
    await anyio.sleep(0.2)

    assert driven.is_cut
    assert b"408" not in driven.written
    assert refused["header_timeout"] == before


async def test_an_answer_may_take_its_time() -> None:
    """No time of the client's runs while the application works."""
    driven = Driven(GET)
    await anyio.sleep(1000)
    assert not driven.is_cut
    await answer(driven.send, b"at last")

    assert driven.written.endswith(b"at last")
    await driven.close()


@pytest.mark.parametrize("begun", [False, True])
async def test_a_body_has_to_go_on(begun: bool) -> None:
    """After thirty seconds without a piece the request is refused with 408.

    If the answer has begun, the connection is cut; the application gets a disconnect.
    """
    driven = Driven(POST + b"\r\nhello")
    await anyio.sleep(0.1)
    if begun:
        await start(driven.send)
        await body(driven.send, b"half", more=True)
        driven.transport.writes.clear()
    for _ in range(5):
        await anyio.sleep(29)
        driven.says(b"x")
    assert not driven.is_cut
    assert (await driven.receive())["body"] == b"helloxxxxx"
    told = []

    async def wait() -> None:
        told.append(await driven.receive())

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await anyio.sleep(30.1)

    assert driven.is_cut
    assert driven.transport.aborted == begun
    assert driven.written[:13] == (b"" if begun else b"HTTP/1.1 408 ")
    assert told == [{"type": "http.disconnect"}]
    await answer(driven.send, b"too late")
    assert b"200" not in driven.written
    await driven.close()


async def test_without_a_limit_a_body_is_waited_for() -> None:
    """A control: with the timeout off a body may stop for an hour."""
    driven = Driven(POST + b"\r\nhello", entrance=Patient)
    await anyio.sleep(3600)

    assert not driven.is_cut
    await driven.close()


@pytest.mark.parametrize("expects", [False, True])
async def test_a_body_that_is_not_wanted_is_waited_for(expects: bool) -> None:
    """While the application does not read, the client has all the time.

    And thirty seconds from when it does.
    """
    expect = b"Expect: 100-continue\r\n\r\n"
    driven = Driven(POST + (expect if expects else b"\r\n" + b"x" * 70_000))
    await anyio.sleep(1019)
    assert not driven.is_cut
    assert driven.transport.reading == expects

    async with anyio.create_task_group() as group:
        group.start_soon(driven.receive)
        if not expects:
            group.start_soon(driven.receive)
        await anyio.sleep(29)
        assert driven.transport.reading
        assert not driven.is_cut
        await anyio.sleep(32)
        assert driven.is_cut
    await driven.close()


async def test_an_answered_body_is_not_waited_for_as_one() -> None:
    """What comes of a body after the answer has the time of the next headers."""
    driven = Driven(POST + b"\r\nhello", app=hello)
    await anyio.sleep(1)
    assert driven.written.endswith(b"hello")
    driven.says(b"x")
    await anyio.sleep(19)
    assert not driven.is_cut
    await anyio.sleep(1.1)

    assert driven.is_cut


async def test_each_server_has_its_own() -> None:
    """What is waited for belongs to one server on one loop."""
    one, other = Driven(HALF), Driven(HALF)
    protocols = [each.transport.protocol for each in (one, other)]
    first, second = (each for each in protocols if isinstance(each, Http))

    assert first._waits is not second._waits
    assert first._waits.loop is asyncio.get_running_loop()
    for each in (one, other):
        await each.close()
