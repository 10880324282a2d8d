"""Timers of many connections, in one task.

A timer that is put off again and again, as most are, costs an assignment each time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

import trio

__all__ = ["Timer", "Timers"]


class Timer:
    """Calls a function once its time has come; the time can be changed."""

    __slots__ = ("_action", "_at", "_queued", "_timers")

    def __init__(self, timers: Timers, action: Callable[[], None]) -> None:
        self._timers = timers
        self._action: Callable[[], None] | None = action
        self._at = math.inf  # when it is due
        self._queued = math.inf  # when the task looks at it next

    def set(self, seconds: float | None) -> None:
        """Call the function in so many seconds, once, instead of when it was due.

        ``None``: not at all.
        """
        if seconds is None:
            self._at = math.inf
        elif self._action is not None:
            self._at = trio.current_time() + seconds
            if self._at < self._queued:
                self._queued = self._at
                self._timers.put(self, self._at)

    def end(self) -> None:
        """Never call it, and forget it."""
        self._at = math.inf
        self._action = None

    def look(self, queued: float, now: float) -> None:
        """Call the function if it is due, or be looked at again. For the task."""
        if queued != self._queued:
            return  # it was put in once more, to be looked at sooner
        self._queued = math.inf
        if self._at > now:
            if self._at != math.inf:
                self._queued = self._at
                self._timers.put(self, self._at)
        elif self._action is not None:
            self._at = math.inf
            self._action()


class Timers:
    """The timers of one server. What they call must not raise, nor wait."""

    def __init__(self) -> None:
        self._queue: list[tuple[float, int, Timer]] = []
        self._next = -math.inf  # when the task looks; it need not be woken before
        self._sooner = trio.Event()
        self._order = count()

    def put(self, timer: Timer, at: float) -> None:
        """Have a timer looked at. For itself."""
        heappush(self._queue, (at, next(self._order), timer))
        if at < self._next:
            self._next = at
            self._sooner.set()

    async def run(self) -> None:
        """Look at them when it is time, until cancelled."""
        queue = self._queue
        while True:
            self._next = queue[0][0] if queue else math.inf
            self._sooner = trio.Event()
            with trio.move_on_at(self._next):
                await self._sooner.wait()
            now = trio.current_time()
            while queue and queue[0][0] <= now:
                queued, _, timer = heappop(queue)
                timer.look(queued, now)
