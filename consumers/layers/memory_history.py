"""Histories in the memory of this process. Times are seconds, now and at the end."""

from __future__ import annotations

import secrets
from collections import OrderedDict, deque
from itertools import islice
from typing import Final

from consumers.history import History, Position

from .contract import Carried, Kept, Replay

__all__ = ["MemoryHistory", "MemoryKeys"]

_KEY_SECONDS: Final = 300.0
_KEYS: Final = 100_000


class MemoryHistory:
    """What one group keeps, until its position is forgotten."""

    __slots__ = ("_declared", "_expires", "_forgotten", "_kept", "epoch", "offset")

    def __init__(self, declared: History, now: float) -> None:
        """Begin a history, with an epoch of its own."""
        self.epoch: Final = secrets.token_urlsafe(6)
        """Tells it from every other history, also of this group."""
        self.offset = 0
        """How many publications there were."""
        self._kept: deque[Kept] = deque(maxlen=declared.size)
        self._forgotten = 0.0
        self._declare(declared, now)

    @property
    def position(self) -> Position:
        """Where it stands."""
        return Position(self.offset, self.epoch)

    @property
    def kept(self) -> int:
        """How many publications it holds."""
        return len(self._kept)

    def forgotten(self, now: float) -> bool:
        """Tell whether nothing of it may be remembered; if not, drop what is too old.

        Whoever finds it forgotten drops it as a whole.
        """
        if now >= self._expires:
            self._kept.clear()
        return now >= self._forgotten

    def append(self, carried: Carried, declared: History | None, now: float) -> Kept:
        """Keep a publication, and all for as long as ``declared`` says from now on."""
        self._declare(self._declared if declared is None else declared, now)
        self.offset += 1
        kept = Kept(self.position, carried)
        self._kept.append(kept)
        return kept

    def remember(self, declared: History, now: float) -> None:
        """Remember the position for as long as ``declared`` says from now on."""
        self._forgotten = max(self._forgotten, now + declared.remembered)

    def replay(self, since: Position | None, limit: int | None) -> Replay:
        """Return a part, as :meth:`Layer.history` says.

        What can't be complete begins with the oldest that there is.
        """
        if since is None:
            wanted = len(self._kept) if limit is None else limit
            return Replay(self._latest(wanted), self.position, complete=False)
        missed = self.offset - since.offset
        complete = since.epoch == self.epoch and 0 <= missed <= len(self._kept)
        kept = self._latest(missed if complete else len(self._kept))
        return Replay(kept[:limit], self.position, complete)

    def _latest(self, count: int) -> tuple[Kept, ...]:
        return tuple(islice(reversed(self._kept), count))[::-1]

    def _declare(self, declared: History, now: float) -> None:
        self._declared = declared
        self._expires = now + declared.ttl
        self._forgotten = now + declared.remembered
        if declared.size != self._kept.maxlen:
            self._kept = deque(self._kept, maxlen=declared.size)


class MemoryKeys:
    """The idempotency keys of late: for five minutes, and the latest 100,000."""

    def __init__(self) -> None:
        # {(group, key): (the first one's position, when it is forgotten)}, by age.
        self._known: OrderedDict[tuple[str, str], tuple[Position | None, float]] = (
            OrderedDict()
        )

    def find(self, group: str, key: str, now: float) -> tuple[Position | None] | None:
        """Return the position under the key, in a tuple; ``None``: it is new."""
        position, until = self._known.get((group, key), (None, now))
        return None if now >= until else (position,)

    def add(self, group: str, key: str, position: Position | None, now: float) -> None:
        """Remember a key."""
        self._known.pop((group, key), None)
        self._known[group, key] = (position, now + _KEY_SECONDS)
        if len(self._known) > _KEYS:
            self._known.popitem(last=False)

    def sweep(self, now: float) -> None:
        """Drop what is too old."""
        while self._known and next(iter(self._known.values()))[1] <= now:
            self._known.popitem(last=False)

    def clear(self) -> None:
        """Drop all of them."""
        self._known.clear()
