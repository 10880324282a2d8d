"""A server that goes by a test's script, on the other end of a client's transport."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio
import msgspec
from anyio.lowlevel import checkpoint

from consumers.client import Client, Ended, connect
from consumers.clock import VirtualClock, current_clock
from consumers.testing.settling import settle

WELCOME = {
    "type": "welcome",
    "connection": "c-1",
    "heartbeat": None,
    "timeout": 10,
    "requests": 8,
}


class Peer:
    """The server's end of one connection; the client's is a `Transport`."""

    def __init__(self, offered: Sequence[str], headers: Mapping[str, str]) -> None:
        self.subprotocol: str | None = offered[0]
        self.offered = list(offered)
        self.headers = dict(headers)
        self.closed: tuple[int, str] | None = None
        """The client's close frame."""
        self.flows = anyio.Event()
        """Unset while the server reads nothing."""
        self.flows.set()
        self.dropped = anyio.Event()
        """Set when the client has let the connection go."""
        self._ended: Ended | None = None
        self._inbox: list[str | bytes] = []
        self._outbox: list[str | bytes] = []
        self._changed = anyio.Event()

    # The client's end.

    async def send(self, message: str | bytes) -> None:
        await checkpoint()
        await self.flows.wait()
        if self._ended is not None:
            raise self._ended
        self._inbox.append(message)
        self._notify()

    async def receive(self) -> str | bytes:
        await checkpoint()
        while not self._outbox:
            if self._ended is not None:
                raise self._ended
            await self._changed.wait()
        return self._outbox.pop(0)

    async def close(self, code: int, reason: str) -> None:
        await checkpoint()
        if self.closed is None:
            self.closed = (code, reason)
            self._notify()
            if self.flows.is_set():
                self.close_with(code, reason)

    # The server's end.

    def say(self, *frames: Any) -> None:
        """Send frames: one by itself, several as one array."""
        module: Any = msgspec.msgpack if self._is_msgpack else msgspec.json
        data = module.encode(frames[0] if len(frames) == 1 else frames)
        self.say_raw(data if self._is_msgpack else data.decode())

    def say_raw(self, message: str | bytes) -> None:
        self._outbox.append(message)
        self._notify()

    def welcome(self, **settings: Any) -> None:
        self.say({**WELCOME, **settings})

    async def hear(self) -> Any:
        """Wait for the client's next frame."""
        with anyio.fail_after(5):
            while not self._inbox:
                await self._changed.wait()
        module: Any = msgspec.msgpack if self._is_msgpack else msgspec.json
        return module.decode(self._inbox.pop(0))

    async def hear_nothing(self) -> None:
        """Wait until nothing goes on, and check that the client said nothing."""
        await settle()
        assert self._inbox == []

    def close_with(self, code: int, reason: str = "") -> None:
        """End the connection."""
        if self._ended is None:
            self._ended = Ended(code, reason)
            self._notify()

    def drop(self) -> None:
        """Let the connection break."""
        self.close_with(1006)

    @property
    def _is_msgpack(self) -> bool:
        return self.subprotocol is not None and self.subprotocol.endswith("msgpack")

    def _notify(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()


class Server:
    """Accepts connections, or refuses them; `dial` is a client's ``transport``."""

    def __init__(self) -> None:
        self.refusals: list[Ended] = []
        """How the next attempts fail."""
        self.stalls = False
        """Whether a handshake is never answered."""
        self.subprotocol: str | None = ""
        """What it chooses; empty: what it is offered."""
        self.attempts = 0
        self._waiting: list[Peer] = []
        self._changed = anyio.Event()

    @asynccontextmanager
    async def dial(
        self, url: str, subprotocols: Sequence[str], headers: Mapping[str, str]
    ) -> AsyncIterator[Peer]:
        self.attempts += 1
        await checkpoint()
        if self.stalls:
            await anyio.sleep_forever()
        if self.refusals:
            raise self.refusals.pop(0)
        peer = Peer(subprotocols, headers)
        if self.subprotocol != "":
            peer.subprotocol = self.subprotocol
        self._waiting.append(peer)
        changed, self._changed = self._changed, anyio.Event()
        changed.set()
        try:
            yield peer
        finally:
            peer.dropped.set()

    async def accept(self, **welcome: Any) -> Peer:
        """Wait for the client's next connection, and welcome it."""
        peer = await self.next()
        peer.welcome(**welcome)
        return peer

    async def next(self) -> Peer:
        """Wait for the client's next connection."""
        with anyio.fail_after(5):
            while not self._waiting:
                await self._changed.wait()
        return self._waiting.pop(0)

    def client(self, **settings: Any) -> Client:
        """Return a client of this server."""
        return connect("ws://test/", transport=self.dial, **settings)


@contextmanager
def virtual_time() -> Iterator[VirtualClock]:
    """Let time stand still in the block, and in what is started in it."""
    clock = VirtualClock()
    token = current_clock.set(clock)
    try:
        yield clock
    finally:
        current_clock.reset(token)


async def pass_time(clock: VirtualClock, seconds: float) -> None:
    """Let time pass, timer by timer, and what it brings about happen."""
    await settle()
    until = clock.time() + seconds
    while clock.time() + clock.next_due() <= until:
        clock.advance(clock.next_due())
        await settle()
    clock.advance(until - clock.time())
    await settle()
