"""The one clock that every timer of the framework goes by.

Time limits and :func:`sleep` ask the clock of the current context. It is the event
loop's own clock, except in tests, where a virtual one can be advanced by hand, on every
backend alike.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from typing import Final, Protocol

import anyio

__all__ = [
    "Clock",
    "LoopClock",
    "VirtualClock",
    "current_clock",
    "current_time",
    "move_on_after",
    "sleep",
]


class Clock(Protocol):
    """What a clock must do. Times are in seconds, from an arbitrary start."""

    def time(self) -> float:
        """Return the time now."""
        ...

    def cancel_after(self, scope: anyio.CancelScope, seconds: float) -> None:
        """Cancel ``scope`` when ``seconds`` have passed; again replaces the last call.

        ``math.inf`` takes the deadline off.
        """
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait until ``seconds`` have passed. Cancelling is safe."""
        ...


class LoopClock:
    """The event loop's own clock."""

    def time(self) -> float:
        """Return the event loop's time."""
        return anyio.current_time()

    def cancel_after(self, scope: anyio.CancelScope, seconds: float) -> None:
        """Set the scope's deadline."""
        # Which loop's time it is takes longer to find out than all the rest.
        now = 0.0 if seconds == math.inf else anyio.current_time()
        scope.deadline = now + seconds

    async def sleep(self, seconds: float) -> None:
        """Sleep on the event loop."""
        await anyio.sleep(seconds)


class VirtualClock:
    """A clock that stands still until :meth:`advance` moves it.

    What is due is done in order of its time, with the clock showing that time.
    """

    def __init__(self) -> None:
        self._now = 0.0
        self._order = count()
        # A heap of (when it is due, tie-breaker, what is due then).
        self._due: list[tuple[float, int, anyio.CancelScope | anyio.Event]] = []
        # {scope: the tie-breaker of its entry that counts}: older ones are void.
        self._deadlines: dict[anyio.CancelScope, int] = {}
        self._sleeping: set[anyio.Event] = set()

    def time(self) -> float:
        """Return the virtual time: the sum of all advances, in seconds."""
        return self._now

    def cancel_after(self, scope: anyio.CancelScope, seconds: float) -> None:
        """Cancel ``scope`` when the clock has been advanced by ``seconds``."""
        if seconds == math.inf:
            self._deadlines.pop(scope, None)
            return
        self._deadlines[scope] = self._push(seconds, scope)

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock has been advanced by ``seconds``."""
        await anyio.lowlevel.checkpoint()
        if seconds > 0:
            due = anyio.Event()
            self._sleeping.add(due)
            self._push(seconds, due)
            try:
                await due.wait()
            finally:
                self._sleeping.discard(due)

    def advance(self, seconds: float) -> None:
        """Move the clock and do all that is due until then.

        What is done takes effect when the event loop runs next. Timers which that
        starts count from the new time; :meth:`next_due` helps to go step by step.

        Raises:
            ValueError: ``seconds`` is negative: time does not run backwards.
        """
        if not seconds >= 0:
            raise ValueError(f"seconds must not be negative, got {seconds!r}")
        until = self._now + seconds
        while self._due and self._due[0][0] <= until:
            self._now, order, target = heapq.heappop(self._due)
            if isinstance(target, anyio.Event):
                target.set()
            elif self._deadlines.get(target) == order:
                del self._deadlines[target]
                target.cancel()
        self._now = until

    def _counts(self, order: int, target: anyio.CancelScope | anyio.Event) -> bool:
        """Tell whether somebody waits for an entry still."""
        if isinstance(target, anyio.Event):
            return target in self._sleeping
        return self._deadlines.get(target) == order

    def next_due(self) -> float:
        """Return the seconds to the next timer, ``math.inf`` if there is none."""
        return self._due[0][0] - self._now if self._due else math.inf

    def _push(self, seconds: float, target: anyio.CancelScope | anyio.Event) -> int:
        order = next(self._order)
        if len(self._due) > 2 * (len(self._deadlines) + len(self._sleeping)) + 64:
            # Most are void: what they were for is over, and has not waited for them.
            self._due = [entry for entry in self._due if self._counts(*entry[1:])]
            heapq.heapify(self._due)
        heapq.heappush(self._due, (self._now + max(seconds, 0.0), order, target))
        return order


current_clock: Final[ContextVar[Clock]] = ContextVar(
    "current_clock",
    default=LoopClock(),  # noqa: B039  has no state
)
"""The clock of the current context, which tasks inherit from whoever starts them."""


def current_time() -> float:
    """Return the time of the current clock, in seconds from an arbitrary start."""
    return current_clock.get().time()


@contextmanager
def move_on_after(seconds: float) -> Iterator[anyio.CancelScope]:
    """Cancel the block after ``seconds`` by the current clock; see ``anyio``'s own."""
    clock = current_clock.get()
    with anyio.CancelScope() as scope:
        clock.cancel_after(scope, seconds)
        try:
            yield scope
        finally:
            clock.cancel_after(scope, math.inf)


async def sleep(seconds: float) -> None:
    """Wait for ``seconds`` by the current clock. Cancelling is safe.

    Like ``anyio.sleep``, but a test can let the time pass.
    """
    await current_clock.get().sleep(seconds)
