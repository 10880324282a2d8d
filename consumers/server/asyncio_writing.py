"""What one connection on asyncio has to write: gathered, and waited for.

Frames that are due together go out in one write. Whoever sends waits while the
transport has enough, and for others' turns where much is sent. A peer that never reads
what it has to is cut off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from consumers.server.corking import Cork
from consumers.server.exchange import Settings
from consumers.server.keepalive import Keepalive
from consumers.server.pacing import Pace, Paced

__all__ = ["CLOSE_TIMEOUT", "MORE", "SMALL", "LoopPace", "Shared", "Writing"]

CLOSE_TIMEOUT: Final = 10.0
"""Seconds that a peer has to answer our close frame, and to read what was sent."""

MORE: Final = 62
"""So many frames are gathered beyond the first; with another one they are written."""

SMALL: Final = 16 * 1024
"""A frame of so many bytes is not kept waiting for others, so that little is gathered
for a peer that does not read."""


class LoopPace(Pace["asyncio.Future[None]"]):
    """What may be sent on one of asyncio's loops."""

    __slots__ = ("_loop",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin."""
        super().__init__(loop.call_soon)
        self._loop = loop

    async def wait(self, amount: int) -> None:
        """See :class:`~consumers.server.pacing.Pace`."""
        waiter = self._loop.create_future()
        self._add(amount, waiter)
        await waiter

    def _wake(self, waiter: asyncio.Future[None]) -> None:
        if not waiter.done():
            waiter.set_result(None)


@dataclass(frozen=True, slots=True)
class Shared:
    """What the connections of one server have in common."""

    loop: asyncio.AbstractEventLoop
    settings: Settings
    keepalive: Keepalive
    cork: Cork
    pace: LoopPace


class Writing(Paced, asyncio.Protocol):
    """One connection's writing half."""

    __slots__ = (
        "_deadline",
        "_first",
        "_more",
        "_paused",
        "_shared",
        "_write",
        "_writers",
        "transport",
    )

    transport: asyncio.Transport

    def __init__(self, shared: Shared) -> None:
        """Begin without a transport."""
        super().__init__(shared.pace)
        self._shared = shared
        self._writers: Sequence[asyncio.Future[None]] = ()  # those who wait to send
        # What is gathered, to be written together: mostly it is one frame.
        self._first: bytes | None = None
        self._more: list[bytes] | None = None
        self._paused = False  # the transport has enough to write
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection over from whoever has read its request."""
        # Not asked whether it is one: uvloop's transports are none of asyncio's.
        self.transport = transport  # type: ignore[assignment]
        self._write = self.transport.write

    def pause_writing(self) -> None:
        """Have senders wait: the peer reads more slowly than they send."""
        self._paused = True

    def resume_writing(self) -> None:
        """Let senders go on."""
        self._paused = False
        self._wake_writers()

    def _wake_writers(self) -> None:
        writers, self._writers = self._writers, ()
        for writer in writers:
            if not writer.done():
                writer.set_result(None)

    async def _writable(self) -> None:
        writer = self._shared.loop.create_future()
        waiting = [each for each in self._writers if not each.done()]
        self._writers = [*waiting, writer]
        await writer

    def gather(self, frame: bytes) -> None:
        """Write a frame together with others, at the loop's next turn at the latest."""
        more = self._more
        if self._first is None:
            self._shared.cork.hold(self)
            self._first = frame
        elif more is None:
            self._more = more = [frame]
        else:
            more.append(frame)
        if len(frame) >= SMALL or (more is not None and len(more) > MORE):
            self.flush()

    def flush(self) -> None:
        """Write what was gathered."""
        first = self._first
        if first is not None:
            write, more = self._write, self._more
            self._first = None
            if more is None:
                write(first)
            else:
                self._more = None
                write(b"".join((first, *more)))

    def _hang_up(self) -> None:
        """Close the transport; a peer that has something to read has time for it."""
        if self.transport.get_write_buffer_size():
            self._set_deadline()
        self.transport.close()

    def _set_deadline(self) -> None:
        if self._deadline is None:
            self._deadline = self._shared.loop.call_later(
                CLOSE_TIMEOUT, self.transport.abort
            )
