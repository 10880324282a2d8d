"""A connection's bytes: a socket that never makes its writer wait."""

from __future__ import annotations

import enum
import logging
import socket
import struct
from contextlib import suppress
from typing import Final, Protocol

import trio

from consumers.server.trio_poller import LoopPace, Poller, TurnEnd
from consumers.server.trio_timers import Timer, Timers

__all__ = ["Gone", "Loop", "Receiver", "Transport"]

logger: Final = logging.getLogger("consumers.server")

HIGH: Final = 64 * 1024
"""Bytes that may wait to be written before who sends has to wait."""

STALL_TIMEOUT: Final = 30.0
"""Seconds that a client may take nothing of what is left to write at the end."""

_LINGER: Final = 5.0
"""Seconds that a client has to read our last words while it goes on sending."""

_READ: Final = 64 * 1024
_RESET: Final = struct.pack("ii", 1, 0)


class Gone(OSError):
    """The client is gone, so that nothing can be sent to it."""


class Receiver(Protocol):
    """What a transport brings its bytes to.

    None of it waits. What it raises is logged, and ends the connection.
    """

    def data_received(self, data: bytes) -> None:
        """Take what came."""

    def eof_received(self) -> None:
        """The client sends no more; close the transport."""

    def has_room(self) -> None:
        """The transport was full, and is not any more."""

    def lost(self) -> None:
        """The connection is over, however that came about. Called once."""

    def timed_out(self) -> None:
        """The time that was set by ``Transport.timer`` has come."""


class _Nobody:
    """Who a transport that is over brings things to."""

    def nothing(self, *_: object, **__: object) -> None:
        """Take what comes too late."""

    data_received = eof_received = has_room = lost = timed_out = nothing


_NOBODY: Final = _Nobody()


class Loop:
    """What all connections of one server share."""

    def __init__(self, poller: Poller) -> None:
        self.poller = poller
        self.turn_end = TurnEnd()
        self.pace = LoopPace(self.turn_end.add)
        self.timers = Timers()

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Serve the connections until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.turn_end.run)
            nursery.start_soon(self.timers.run)
            await nursery.start(self.poller.run)
            task_status.started()


class _Closing(enum.Enum):
    FLUSH = "writes what is left, and closes"
    FLUSH_AND_LINGER = "writes what is left, and lingers"
    LINGER = "reads what comes, and forgets it"


class Transport:
    """One connected socket.

    What the kernel does not take at once is kept, and written when there is room:
    whoever writes much calls :meth:`drain` to wait for that. A client that leaves is
    told of once everything that it sent before has been passed on.
    """

    __slots__ = (
        "_closing",
        "_drained",
        "_fd",
        "_gathering",
        "_out",
        "_out_size",
        "_reading",
        "_stuck",
        "_watched",
        "is_gone",
        "is_lost",
        "loop",
        "receiver",
        "sock",
        "timer",
    )

    receiver: Receiver

    def __init__(self, sock: socket.socket, loop: Loop) -> None:
        self.sock = sock
        self.loop = loop
        self.timer = Timer(loop.timers, self._timed_out)
        self.is_gone = False
        """Whether nothing more can be written."""
        self.is_lost = False
        """Whether it is over."""
        self._fd = sock.fileno()
        self._out: list[bytes | memoryview] = []
        self._out_size = 0
        self._stuck = False  # the kernel took less than all
        self._gathering = False  # the turn's end will write
        self._reading = True
        self._watched = True  # whether the poller may be asked
        self._closing: _Closing | None = None
        self._drained: trio.Event | None = None

    def start(self) -> None:
        """Begin to read."""
        self._watch()

    # -- writing --------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Write now, after what was gathered. Never waits, never raises."""
        if self.is_gone:
            return
        if self._out:
            self._out.append(data)
            self._out_size += len(data)
            self._flush()
            return
        try:
            sent = self.sock.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self._write_failed()
            return
        if sent < len(data):
            self._out.append(memoryview(data)[sent:])
            self._out_size = len(data) - sent
            self._stuck = True
            self._watch()

    def gather(self, data: bytes) -> None:
        """Write at the end of this turn, together with all else that is gathered."""
        if self.is_gone:
            return
        self._out.append(data)
        self._out_size += len(data)
        if not self._gathering:
            self._gathering = True
            self.loop.turn_end.add(self._turn_over)
        if self._out_size > HIGH:
            self._flush()

    def flush(self) -> None:
        """Write what was gathered."""
        if self._out:
            self._flush()

    @property
    def is_full(self) -> bool:
        """Whether who sends should wait in :meth:`drain`."""
        return self._out_size > HIGH

    async def drain(self) -> None:
        """Wait until the client has read enough, or is gone."""
        self.flush()
        while self._out_size > HIGH and not self.is_gone:
            if self._drained is None:
                self._drained = trio.Event()
            await self._drained.wait()

    def _turn_over(self) -> None:
        self._gathering = False
        if self._out:
            self._flush()

    def _flush(self) -> None:
        if self._stuck:
            return
        out = self._out
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        try:
            sent = self.sock.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self._write_failed()
            return
        self._out_size -= sent
        if self._out_size:
            out.append(memoryview(data)[sent:])
            self._stuck = True
            self._watch()

    def writable(self) -> None:
        """There is room again. For the poller."""
        self._stuck = False
        if self._out:
            self._flush()
        if self._out_size <= HIGH:
            self._wake()
            self.receiver.has_room()
        if self._closing is not None and not self.is_lost:
            self.timer.set(STALL_TIMEOUT)
        if self._stuck or self.is_lost:
            return
        self._watch()
        if self._closing is not None:
            self._flushed()

    def _write_failed(self) -> None:
        # What the client sent before it left is there to be read still: its close
        # frame, perhaps. The end comes with the reading.
        self._out.clear()
        self._out_size = 0
        self._stuck = False
        self.is_gone = True
        self._wake()
        if self._closing is not None:
            self._end()

    def _wake(self) -> None:
        if self._drained is not None:
            self._drained.set()
            self._drained = None

    # -- reading --------------------------------------------------------------------

    @property
    def is_reading(self) -> bool:
        """Whether reading is not paused."""
        return self._reading

    def pause_reading(self) -> None:
        """Read no more for now; what comes waits in the kernel."""
        if self._reading:
            self._reading = False
            self._watch()

    def resume_reading(self) -> None:
        """Read again."""
        if not self._reading:
            self._reading = self._watched = True
            self._watch()

    def readable(self) -> None:
        """Read once. For the poller."""
        try:
            data = self.sock.recv(_READ)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.abort()
            return
        if self._closing is not None:
            if not data:
                self._end()
            return
        try:
            if data:
                self._received(data)
            else:
                self._reading = False
                self._watch()
                self.receiver.eof_received()
        except Exception as error:
            self._fail(error)

    def _received(self, data: bytes) -> None:
        self.receiver.data_received(data)

    def hung_up(self) -> None:
        """Both directions are over, and nobody reads. For the poller."""
        if self._reading:
            self.readable()
            return
        if self._closing is not None:
            self._end()
            return
        # What came before the end is read when somebody wants it. Until then the
        # poller would tell the same at every turn.
        self.loop.poller.forget(self._fd)
        self._watched = False
        self._write_failed()

    def _watch(self) -> None:
        if self._watched and not self.is_lost:
            self.loop.poller.watch(self._fd, self, self._reading, self._stuck)

    # -- the end --------------------------------------------------------------------

    def close(self, *, linger: bool = False) -> None:
        """Close once all is written. Does nothing the second time.

        ``linger`` where the client may be sending still: a socket that is closed with
        something unread is reset, and takes our last words from the client.
        """
        if self._closing is not None or self.is_lost:
            return
        self.flush()
        self.is_gone = True
        self._closing = _Closing.FLUSH_AND_LINGER if linger else _Closing.FLUSH
        if self._out:
            self._reading = False
            self._watch()
            self.timer.set(STALL_TIMEOUT)
        else:
            self._flushed()

    def abort(self) -> None:
        """Close at once. Does nothing the second time."""
        if self._out and not self.is_lost:
            # The client must not take what it got for all there is.
            with suppress(OSError):
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._end()

    def _flushed(self) -> None:
        if self._closing is _Closing.FLUSH_AND_LINGER:
            self._closing = _Closing.LINGER
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_WR)
            self.timer.set(_LINGER)
            self._reading = True
            self._watch()
        elif self._closing is _Closing.FLUSH:
            self._end()

    def _timed_out(self) -> None:
        if self._closing is not None:
            self.abort()
            return
        try:
            self.receiver.timed_out()
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        """Drop this connection, so that its failure is nobody else's."""
        # One line: the usual reason is a client that speaks something else.
        logger.warning("a connection was dropped: %r", error)
        logger.debug("this is where it failed", exc_info=error)
        self.abort()

    def _end(self) -> None:
        if self.is_lost:
            return
        self.is_lost = self.is_gone = True
        self._out.clear()
        self._out_size = 0
        self.loop.poller.forget(self._fd)
        self.timer.end()
        self.sock.close()
        self._wake()
        # Kept no longer: the two would refer to each other until the garbage
        # collector comes by.
        receiver, self.receiver = self.receiver, _NOBODY
        receiver.lost()
