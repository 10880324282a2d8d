"""Our protocol for uvicorn without a socket: transport and time go by a script."""

from __future__ import annotations

import asyncio
import math
from asyncio import CancelledError
from typing import Any, cast

import anyio
from uvicorn import Config
from uvicorn.server import ServerState

from consumers.server.asyncio_websocket import Connection
from consumers.server.uvicorn import Protocol
from consumers_tests.server.frames.clients import client_frame
from consumers_tests.server.live import handshake

TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A
CONNECT = {"type": "websocket.connect"}


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop where nothing takes time: what is next to come comes at once."""

    _now = 0.0
    _ready: Any
    _scheduled: Any

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        due = [
            each.when()
            for each in self._scheduled
            # Who sleeps for ever waits until infinity, which is no time to go to.
            if not each.cancelled() and each.when() != math.inf
        ]
        if due and not self._ready:
            self._now = max(self._now, min(due))
        super()._run_once()  # type: ignore[misc]


VIRTUAL = ("asyncio", {"loop_factory": VirtualLoop})
"""For the fixture `anyio_backend`: which loop it is makes no difference here."""


class ScriptedTransport(asyncio.Transport):
    """A transport that keeps what is written, for a peer who does as it is told."""

    HIGH = 64 * 1024

    def __init__(self, **extra: Any) -> None:
        addresses = {"peername": ("192.0.2.1", 5000), "sockname": ("192.0.2.9", 80)}
        super().__init__({**addresses, **extra})
        self.loop = asyncio.get_running_loop()
        self.protocol: Connection
        self.writes: list[bytes] = []
        self.stalled = False
        """Whether the peer reads nothing."""
        self.reading = True
        self.eof = False
        """Whether the peer was told that nothing more comes."""
        self.aborted = False
        self.lost = False
        self._closing = False
        self._unread = 0
        self._full = False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = cast("Connection", protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol

    def write(self, data: Any) -> None:
        assert not self.eof, "written after the end"
        assert not self.lost, "written to nobody"
        self.writes.append(bytes(data))
        if self.stalled:
            self._unread += len(data)
            if self._unread > self.HIGH and not self._full:
                self._full = True
                self.protocol.pause_writing()

    def get_write_buffer_size(self) -> int:
        return self._unread

    def peer_reads(self) -> None:
        """Have the peer read all that was written, and go on so."""
        self.stalled = False
        self._unread = 0
        if self._full:
            self._full = False
            self.protocol.resume_writing()
        if self._closing:
            self._lose(None)

    def peer_leaves(self) -> None:
        """Have the peer end its side without a word."""
        self.protocol.eof_received()
        self.close()

    def peer_vanishes(self) -> None:
        """Have the connection break."""
        self._closing = True
        self._lose(ConnectionResetError())

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = not self._closing

    def is_closing(self) -> bool:
        return self._closing

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.eof = True

    def close(self) -> None:
        self._closing = True
        self.reading = False
        if not self._unread:
            self._lose(None)

    def abort(self) -> None:
        self.aborted = True
        self._closing = True
        self.reading = False
        self._lose(None)

    def _lose(self, error: Exception | None) -> None:
        if not self.lost:
            self.lost = True
            self.loop.call_soon(self.protocol.connection_lost, error)


class Driven:
    """One connection, with the application in the test's hands.

    ``app`` is an application to be run in place of that.
    """

    def __init__(
        self,
        app: Any = None,
        *,
        request: bytes | None = None,
        extra: dict[str, Any] | None = None,
        state: ServerState | None = None,
        config: Config | None = None,
        kind: type[Protocol] = Protocol,
        app_state: dict[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        self.receive: Any
        self.send: Any
        self.scope: Any
        self.outcome: BaseException | None = None
        """What the application raises, once `leave` is set."""
        self.leave = anyio.Event()
        self.cancelled = False
        self.config = config or Config(
            app or self._application,
            lifespan="off",
            log_config=None,
            interface="asgi3",
            proxy_headers=False,
            **{"ws_ping_interval": None, **settings},
        )
        self.state = state or ServerState()
        app_state = app_state or {"shared": "from the lifespan"}
        self.protocol = kind(self.config, self.state, app_state)
        self.transport = ScriptedTransport(**(extra or {}))
        self.transport.set_protocol(self.protocol)
        self.protocol.connection_made(self.transport)
        self.protocol.data_received(handshake("/") if request is None else request)

    async def _application(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope, self.receive, self.send = scope, receive, send
        try:
            await self.leave.wait()
        except CancelledError:
            self.cancelled = True
            raise
        if self.outcome is not None:
            raise self.outcome

    @property
    def written(self) -> bytes:
        """Return all that was written, and forget it."""
        written = b"".join(self.transport.writes)
        self.transport.writes.clear()
        return written

    def says(self, *frames: bytes) -> None:
        """Have the peer send frames, which come in one read."""
        self.protocol.data_received(b"".join(frames))

    async def begin(self) -> None:
        """Let the application take the handshake."""
        await anyio.lowlevel.checkpoint()
        assert await self.receive() == CONNECT

    async def accept(self, **answer: Any) -> bytes:
        """Let the application accept, and return what the client got."""
        await self.begin()
        await self.send({"type": "websocket.accept", **answer})
        return self.written

    async def text(self, text: str) -> None:
        """Let the application send a text."""
        await self.send({"type": "websocket.send", "text": text})

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Let the application close."""
        await self.send({"type": "websocket.close", "code": code, "reason": reason})

    async def fill(self) -> None:
        """Have the peer read nothing, and send until the transport has enough."""
        self.transport.stalled = True
        await self.text("x" * (self.transport.HIGH + 1))
        self.transport.writes.clear()

    async def end(self, error: BaseException | None = None) -> None:
        """Let the application return or raise, and what follows happen."""
        self.outcome = error
        self.leave.set()
        await turns()


async def opened(**settings: Any) -> Driven:
    """Return a connection that is open."""
    driven = Driven(**settings)
    await driven.accept()
    return driven


async def turns(count: int = 4) -> None:
    """Let everything happen that waits for nothing but its turn."""
    for _ in range(count):
        await anyio.lowlevel.checkpoint()


def said(text: str | bytes) -> bytes:
    """Return a client's text frame."""
    return client_frame(TEXT, text.encode() if isinstance(text, str) else text)


def closing(code: int, reason: str = "") -> bytes:
    """Return a client's close frame."""
    return client_frame(CLOSE, code.to_bytes(2, "big") + reason.encode())


def received(text: str) -> dict[str, str]:
    """Return the event of a client's text."""
    return {"type": "websocket.receive", "text": text}


def disconnect(code: int, reason: str = "") -> dict[str, Any]:
    """Return the event of an end."""
    return {"type": "websocket.disconnect", "code": code, "reason": reason}
