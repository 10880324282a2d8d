"""Collecting: Python's garbage collector, kept from holding clients up.

A full collection looks at all objects that there are, some forty for each connection,
and nobody is served meanwhile. Python makes one whenever there are a quarter more of
them than at the last: several in the second in which thousands connect.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

__all__ = ["ShortCollections"]

_SHARE: Final = 500
"""Of the time, one part in so many at most goes into looking at all objects."""

_OLDEST: Final = 2
"""The generation of which a full collection is one."""


class ShortCollections:
    """Adds a generation to Python's: of what a full collection has left alive.

    Inside the block a full collection looks at what was made since the last one alone,
    so that it is about as long however many objects there are. All are looked at where
    a full collection is due and the last look at all is 500 times as long ago as it
    took. Until then a cycle that was old when it was given up stays in memory.

    It is the whole process that this is about.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin outside; ``clock`` is in seconds."""
        self._clock = clock
        self._next = 0.0  # when all may be looked at again
        self._began: float | None = None  # when a look at all did, while it lasts

    def __enter__(self) -> Self:
        """Look at all that there is, once."""
        self._next = self._clock()
        gc.callbacks.append(self._told)
        gc.collect()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the collector as it was."""
        gc.callbacks.remove(self._told)
        gc.unfreeze()

    def _told(self, phase: str, info: dict[str, Any]) -> None:
        """Take note of a collection. Called by Python before and after each."""
        if info["generation"] != _OLDEST:
            return
        now = self._clock()
        if phase == "start":
            if now >= self._next:
                self._began = now
                gc.unfreeze()
            return
        gc.freeze()
        if self._began is not None:
            self._next = now + _SHARE * (now - self._began)
            self._began = None
