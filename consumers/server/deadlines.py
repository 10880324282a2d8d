"""Deadlines: many who have equally long for something, on one timer of asyncio's.

A timer for each would cost more time and memory than what it guards. All wait equally
long, so those that are due are always the first ones.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Final, Generic, TypeVar

__all__ = ["Deadlines"]

T = TypeVar("T")

_GRAIN: Final = 0.05
"""Seconds by which one may be late, so that many can be dealt with in one turn."""

_AT_ONCE: Final = 100
"""And so many at most, before others have theirs."""


class Deadlines(Generic[T]):
    """Who has to be done with something when, and what happens to who is not."""

    __slots__ = ("_loop", "_overdue", "_seconds", "_timer", "waiting")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        seconds: float | None,
        overdue: Callable[[T], object],
    ) -> None:
        """Call ``overdue`` with each whose time is over, once.

        Args:
            loop: Whose clock counts.
            seconds: How long each has; ``None``: for ever.
            overdue: It may begin the same one's time anew, or others'.
        """
        self._loop = loop
        self._seconds = seconds
        self._overdue = overdue
        self.waiting: dict[T, float] = {}
        """``{who: when it is due}``, in the order of that.

        Whoever is done is taken out. Where nobody is left the timer runs out.
        """
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, one: T) -> None:
        """Begin its time, unless it has begun already."""
        seconds = self._seconds
        if seconds is not None and one not in self.waiting:
            self.waiting[one] = self._loop.time() + seconds
            if self._timer is None:
                self._wait(max(seconds, _GRAIN))

    def put_off(self, one: T) -> None:
        """Begin its time anew."""
        self.waiting.pop(one, None)  # it is the last one now
        self.begin(one)

    def _wait(self, seconds: float) -> None:
        self._timer = self._loop.call_later(seconds, self._look)

    def _look(self) -> None:
        now, waiting = self._loop.time(), self.waiting
        try:
            for _ in range(_AT_ONCE):
                one, due = next(iter(waiting.items()), (None, math.inf))
                if one is None or due > now:
                    break
                del waiting[one]
                self._overdue(one)
        finally:
            # Also where one has failed: the others are due still.
            self._timer = None
            if waiting:
                seconds = next(iter(waiting.values())) - now
                self._wait(max(seconds, _GRAIN) if seconds > 0 else 0)
