"""Lanes: how many messages are handled at once, and which of them one by one.

Pure: a lane decides whose turn it is, and starts it by the function that it was given.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable

__all__ = ["Lane"]


class Lane:
    """So many calls at once, of each key one at a time, begun in order of coming."""

    __slots__ = ("_busy", "_limit", "_running", "_waiting")

    def __init__(self, limit: int) -> None:
        """Let ``limit`` calls run at once."""
        self._limit = limit
        self._running = 0
        self._busy: set[Hashable] = set()
        self._waiting: deque[tuple[Hashable, Callable[[], None]]] = deque()

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    def is_free(self, key: Hashable = None) -> bool:
        """Tell whether a call with this key could begin at once."""
        return self._running < self._limit and (key is None or key not in self._busy)

    def put(self, start: Callable[[], None], key: Hashable = None) -> None:
        """Begin a call, now or when it is its turn.

        Args:
            start: Starts it. When it has ended, :meth:`done` is to be called.
            key: Calls with one key run one by one; ``None``: it has none.
        """
        if self.is_free(key):
            self._begin(start, key)
        else:
            self._waiting.append((key, start))

    def done(self, key: Hashable = None) -> None:
        """Take note that a call has ended; begin the first that can."""
        self._running -= 1
        self._busy.discard(key)
        for index, (following, start) in enumerate(self._waiting):
            if self.is_free(following):
                del self._waiting[index]
                self._begin(start, following)
                return

    def _begin(self, start: Callable[[], None], key: Hashable) -> None:
        self._running += 1
        if key is not None:
            self._busy.add(key)
        start()
