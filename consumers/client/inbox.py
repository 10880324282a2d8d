"""`Inbox`: what came and is not read yet, up to a bound."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

import anyio
from anyio import EndOfStream
from anyio.lowlevel import checkpoint

__all__ = ["Inbox"]

T = TypeVar("T")


class Inbox(Generic[T]):
    """A queue that never makes the one who puts wait: where it is full, it says so."""

    def __init__(self, most: int) -> None:
        self.most = most
        """How many items may wait."""
        self._items: deque[T | Exception] = deque()
        self._error: Exception | None = None
        self._over = False
        self._changed = anyio.Event()

    def __len__(self) -> int:
        return len(self._items)

    @property
    def is_over(self) -> bool:
        """Whether nothing comes any more; what came can still be read."""
        return self._over

    def put(self, item: T) -> bool:
        """Add an item; return whether there was room for it."""
        if self._over or len(self._items) >= self.most:
            return False
        self._add(item)
        return True

    def fault(self, error: Exception) -> None:
        """Have it raised, once, behind what waits; a second one right behind is none.

        Where the reader has not come to the last fault yet, this is the same gap.
        """
        if not self._over and not (
            self._items and isinstance(self._items[-1], Exception)
        ):
            self._add(error)

    def end(self, error: Exception | None = None) -> None:
        """Let nothing come any more; then reading raises this, or ``EndOfStream``."""
        if not self._over:
            self._over, self._error = True, error
            self._notify()

    async def get(self) -> T:
        """Wait for the next item. Cancelling is safe: no item is lost.

        Raises:
            EndOfStream: No item comes any more.
        """
        await checkpoint()
        while not self._items:
            if self._over:
                raise EndOfStream if self._error is None else self._error
            await self._changed.wait()
        item = self._items.popleft()
        if isinstance(item, Exception):
            raise item
        return item

    def _add(self, item: T | Exception) -> None:
        self._items.append(item)
        self._notify()

    def _notify(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()
