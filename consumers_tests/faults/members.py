"""The clients of a fault run: they remember where they stand, and always come back.

Parsing is kept to the least, so that one process can be five hundred of them.
"""

from __future__ import annotations

import asyncio
import socket
import time
from array import array
from collections import Counter
from random import Random
from typing import cast

import msgspec

from consumers_tests.benchmarks import frames

from .jobs import Heard, Note
from .verdict import Segment
from .wire import CLOSE, PING, PONG, TEXT, Frames

__all__ = ["Member", "Surroundings"]

_decode = msgspec.json.Decoder(Heard).decode
_SOON, _LATE = 0.05, 1.0
"""Seconds before coming back: at first, and at most."""
_HANDSHAKE = 5.0
"""Seconds after which a client that has not joined tries again."""


class Surroundings:
    """What the clients of a crowd have in common."""

    def __init__(self, ports: list[int], seed: int, resume: bool) -> None:
        self.ports = ports
        self.random = Random(seed)
        self.resume = resume
        self.delays = array("d")
        self.last = time.monotonic()
        """When one got something."""
        self.closes: Counter[int] = Counter()
        self.leaving = False


class Member:
    """One client in one group.

    Args:
        around: What it has in common with the others.
        path: Where it goes to, without a query.
        first: Which of the servers it visits first.
        buffer: Bytes of its receive buffer; ``None``: the system's choice.
    """

    def __init__(
        self, around: Surroundings, path: str, first: int, buffer: int | None = None
    ) -> None:
        self.around = around
        self.path = path
        self.port = around.ports[first % len(around.ports)]
        self.buffer = buffer
        self.segments: list[Segment] = []
        self.joined = asyncio.Event()
        self.returns = 0
        self.told = 0
        self.last = 0.0
        """When it got something."""
        self._lost = asyncio.Event()

    @property
    def received(self) -> int:
        """How many publications it has got."""
        return sum(len(segment.numbers) for segment in self.segments)

    def position(self) -> str | None:
        """Return where it stands."""
        if not self.segments or not self.segments[-1].epoch:
            return None
        segment = self.segments[-1]
        offset = segment.offsets[-1] if segment.offsets else segment.start
        return f"{offset}.{segment.epoch}"

    async def live(self) -> None:
        """Be connected, until cancelled."""
        around = self.around
        pause = _SOON
        while True:
            self._lost.clear()
            begun = time.monotonic()
            visit = await self._visit()
            if visit is not None:
                try:
                    # Bounded, so that nobody waits for ever for an answer.
                    await asyncio.wait_for(self.joined.wait(), _HANDSHAKE)
                    await self._lost.wait()
                except TimeoutError:
                    around.closes[0] += 1
                finally:
                    self.joined.clear()
                    visit.abort()
            self.returns += 1
            pause = _SOON if time.monotonic() - begun > 1 else min(2 * pause, _LATE)
            await asyncio.sleep(pause * (0.5 + around.random.random()))
            self.port = around.random.choice(around.ports)

    async def _visit(self) -> asyncio.WriteTransport | None:
        path = self.path
        position = self.position()
        if position is not None and self.around.resume:
            path += f"{'&' if '?' in path else '?'}since={position}"
        loop = asyncio.get_running_loop()
        sock = socket.socket()
        sock.setblocking(False)
        if self.buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.buffer)
        try:
            await loop.sock_connect(sock, ("127.0.0.1", self.port))
            if sock.getsockname() == sock.getpeername():
                raise OSError  # A free port may connect with itself.
            made: tuple[object, Visit] = await loop.create_connection(
                lambda: Visit(self, frames.request(self.port, path)), sock=sock
            )
        except OSError:
            sock.close()
            return None
        return made[1].transport

    def lost(self) -> None:
        """Note that the connection has ended."""
        self._lost.set()

    def hear(self, payload: bytes) -> None:
        """Take a message."""
        heard = _decode(payload)
        if heard.recovered is not None:
            self._start(heard)
            return
        message = heard.message
        now = self.last = self.around.last = time.monotonic()
        segment = self.segments[-1]
        if message is None:
            assert heard.number is not None
            segment.numbers.append(heard.number)
            self.around.delays.append(now - heard.at)
            return
        self.around.delays.append(now - message.at)
        offset, _, epoch = cast("str", heard.position).partition(".")
        if epoch == segment.epoch:
            segment.offsets.append(int(offset))
            segment.numbers.append(message.number)
        else:
            segment.strangers += 1

    def _start(self, heard: Heard) -> None:
        offset, _, epoch = (heard.position or "").partition(".")
        if not self.segments:
            self.segments.append(Segment(epoch, int(offset or 0)))
        elif not heard.recovered:
            self.told += 1
            # Without having asked it can't know what it missed: nor may the judge.
            if self.around.resume:
                self.segments.append(Segment(epoch, int(offset or 0)))
        self.joined.set()

    def add_to(self, note: Note) -> None:
        """Count it."""
        note.clients += 1
        note.joined += self.joined.is_set()
        note.received += self.received
        note.returns += self.returns
        note.told += self.told > 0


class Visit(asyncio.Protocol):
    """One connection of a member."""

    transport: asyncio.WriteTransport

    def __init__(self, member: Member, request: bytes) -> None:
        self.member = member
        self.request = request
        self.head: bytes | None = b""
        self.frames = Frames()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not registered as this, and they are it.
        self.transport = cast("asyncio.WriteTransport", transport)
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        if self.head is not None:
            self.head += data
            head, end, data = self.head.partition(b"\r\n\r\n")
            if not end:
                return
            if not frames.accepted(head):
                self.member.around.closes[int(head[9:12])] += 1
                self.transport.abort()
                return
            self.head = None
        for opcode, payload in self.frames.feed(data):
            if opcode == TEXT:
                self.member.hear(payload)
            elif opcode == PING:
                self.transport.write(frames.client_frame(payload, PONG))
            elif opcode == CLOSE:
                code = int.from_bytes(payload[:2], "big") if payload else 1005
                self.member.around.closes[code] += 1
                self.transport.write(frames.client_frame(payload, CLOSE))
                self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.member.lost()
