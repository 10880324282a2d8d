"""Answered: what requests with an idempotency key were answered, for those sent again.

A client whose connection broke can't know whether its request was handled, and sends it
again with the same key, on another connection. Here it finds the first answer, or waits
for it. Remembered by the process; what a method publishes is made once by its key in
all of them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import anyio
from anyio.lowlevel import RunVar

from consumers.clock import current_time
from consumers.errors import MessageError

__all__ = ["Answered", "Entry", "current_answered"]

_TTL: Final = 300.0
"""Seconds that an answer is kept: as long as layers know a publication's key."""
_BYTES: Final = 32 * 1024 * 1024
_OVERHEAD: Final = 512
"""What an entry takes beside its answer, in bytes: so there are 65,536 at most."""


class Entry:
    """One key."""

    __slots__ = ("_done", "at", "error", "known", "size", "value")

    def __init__(self) -> None:
        self.known = False
        """Whether there is an answer."""
        self.value: Any = None
        """What the method returned."""
        self.error: MessageError | None = None
        """Or what it raised."""
        self.size = _OVERHEAD
        """In bytes."""
        self.at = 0.0
        """When it was answered."""
        self._done: anyio.Event | None = None

    def answer(self, size: int, value: Any, error: MessageError | None = None) -> None:
        """Set the answer; ``size`` in bytes."""
        self.known, self.value, self.error = True, value, error
        self.size = size + _OVERHEAD

    async def wait(self) -> None:
        """Wait until whoever works on it has ended."""
        if self._done is None:
            self._done = anyio.Event()
        await self._done.wait()

    def wake(self) -> None:
        """Wake those who wait."""
        if self._done is not None:
            self._done.set()


class Answered:
    """The answers of late, up to a size; the oldest are forgotten first."""

    __slots__ = ("_bytes", "_entries", "_working")

    def __init__(self) -> None:
        """Begin with none."""
        self._entries: OrderedDict[str, Entry] = OrderedDict()  # answered, oldest first
        self._working: dict[str, Entry] = {}
        self._bytes = 0

    def __len__(self) -> int:
        """Return how many answers are kept."""
        return len(self._entries)

    async def find(self, key: str) -> Entry | None:
        """Return what is known of a key, after whoever works on it has ended."""
        while (working := self._working.get(key)) is not None:
            await working.wait()
        self._forget_old()
        return self._entries.get(key)

    @contextmanager
    def work(self, key: str) -> Iterator[Entry]:
        """Work on a key; what the entry is given as its answer is kept."""
        entry = self._working[key] = Entry()
        try:
            yield entry
        finally:
            del self._working[key]
            if entry.known:
                self._keep(key, entry)
            entry.wake()

    def _keep(self, key: str, entry: Entry) -> None:
        entry.at = current_time()
        self._entries[key] = entry
        self._bytes += entry.size
        while self._bytes > _BYTES:
            self._forget_oldest()

    def _forget_old(self) -> None:
        limit = current_time() - _TTL
        while self._entries and next(iter(self._entries.values())).at < limit:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        _, entry = self._entries.popitem(last=False)
        self._bytes -= entry.size


_current: Final[RunVar[Answered]] = RunVar("consumers.answered")


def current_answered() -> Answered:
    """Return the answers of the running event loop."""
    with suppress(LookupError):
        return _current.get()
    answered = Answered()
    _current.set(answered)
    return answered
