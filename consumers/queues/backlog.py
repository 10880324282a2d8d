"""The backlog: what waits for one connection, in order, bounded by the policies.

Pure: it decides what may wait and what has to go. `outbox.py` sends it; what `joining`
holds back is one too.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any, Final, Generic, Protocol, Self, TypeAlias, TypeVar

from consumers.codecs import Event
from consumers.limits import Limits

from .policies import Coalesce, DropNewest, DropOldest, Loss, Policy

__all__ = ["Backlog", "Encode", "Entry", "Ledger", "Lost", "Published"]


class Published(Protocol):
    """What has to be known of a publication that waits."""

    @property
    def group(self) -> str:
        """The group's name."""
        ...

    @property
    def policy(self) -> Policy:
        """What becomes of it where there is no room."""
        ...

    @property
    def message(self) -> Any:
        """What was published."""
        ...

    @property
    def items(self) -> Mapping[Hashable, Any] | None:
        """Of a batch, ``{key: publication}``, in order; ``None``: it is none."""
        ...

    def holding(self, items: Mapping[Hashable, Any]) -> Self:
        """Return a batch of other items. Only for batches."""
        ...


Encode: TypeAlias = "Callable[[Any], tuple[Event, int]]"
"""Makes the event of a publication, and tells its size in bytes."""
Lost: TypeAlias = "Callable[[Loss, int], None]"
"""Is told what became of so many publications."""


class Ledger:
    """What waits for one connection as a whole, and what has become of the rest."""

    __slots__ = ("bytes", "losses", "messages")

    def __init__(self) -> None:
        self.messages = 0
        """How many publications wait."""
        self.bytes = 0
        """Their bytes."""
        self.losses: dict[Loss, int] = {}
        """How many have not been sent, by what became of them."""

    @property
    def dropped(self) -> int:
        """How many publications the client will not get, nor a newer one instead."""
        return sum(self.losses.values()) - self.losses.get("superseded", 0)

    def note(self, loss: Loss, count: int) -> bool:
        """Take note of losses; return whether they are the first of their kind."""
        before = self.losses.get(loss, 0)
        self.losses[loss] = before + count
        return not before


class Entry:
    """One thing that waits its turn: a publication, or a direct message."""

    __slots__ = ("count", "event", "keys", "publication", "share", "size")

    def __init__(
        self,
        event: Event | None = None,
        size: int = 0,
        publication: Published | None = None,
    ) -> None:
        self.event = event
        self.size = size  # bytes; 0 for what is not bounded
        self.publication = publication  # None: a direct message
        self.count = 0  # publications
        if publication is not None:
            self.count = 1 if publication.items is None else len(publication.items)
        # What follows is there where the policy counts or replaces what waits.
        self.share: Any | None = None
        self.keys: Iterable[Hashable] = ()


E = TypeVar("E", bound=Entry)


class _Share(Generic[E]):
    """What waits of one group, and may be replaced or dropped."""

    __slots__ = ("bytes", "entries", "keyed", "messages")

    def __init__(self) -> None:
        self.messages = 0
        self.bytes = 0
        self.entries: OrderedDict[E, None] = OrderedDict()  # oldest first
        self.keyed: dict[Hashable, E] = {}


class Backlog(Generic[E]):
    """What waits for one connection."""

    __slots__ = ("_encode", "_entries", "_ledger", "_lost", "_shares")

    def __init__(self, ledger: Ledger, encode: Encode, lost: Lost) -> None:
        """Begin with nothing.

        Args:
            ledger: Of the connection, which may have several backlogs.
            encode: Makes the event of a batch that has changed.
            lost: Is told of publications that will not be sent.
        """
        self._ledger: Final = ledger
        self._encode: Final = encode
        self._lost: Final = lost
        # Ordered, and quick to take anything out of: a stalled client's may be long.
        self._entries: OrderedDict[E, None] = OrderedDict()
        self._shares: dict[str, _Share[E]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def take_all(self) -> Iterator[Any]:
        """Yield all publications that wait, oldest first, each taken out before."""
        while self._entries:
            entry = next(iter(self._entries))
            self._take_out(entry)
            yield entry.publication

    def give_up(self) -> None:
        """Take all out, and count it as not sent."""
        given_up = 0
        for entry in [*self._entries]:
            given_up += entry.count
            self._take_out(entry)
        if given_up:
            self._lost("given_up", given_up)

    def add(self, entry: E, limits: Limits) -> bool:
        """Add a publication, or do with it as its policy says.

        Where nothing waits, there is room for one of any size.

        Returns:
            Whether the connection can go on; if not, nothing was added.
        """
        publication = entry.publication
        assert publication is not None
        policy = publication.policy
        if policy.is_plain:
            if not self._has_room(entry, limits):
                return False
            self._append(entry)
            return True
        share = self._shares.setdefault(publication.group, _Share())
        merged = isinstance(policy, Coalesce) and self._supersede(share, entry, policy)
        fits = self._fits(share, entry, policy, limits, alone=not merged)
        if not fits:
            if isinstance(policy, DropOldest):
                fits = self._make_room(share, entry, policy, limits)
            if not fits and isinstance(policy, DropOldest | DropNewest):
                self._lost("dropped_newest", entry.count)
                return True
            if not fits:
                return False
        self._append(entry)
        self._join_share(share, entry)
        return True

    # -- room -----------------------------------------------------------------------

    def _has_room(self, entry: E, limits: Limits, alone: bool = True) -> bool:
        """Tell whether the connection's limits allow an entry.

        ``alone``: whether they allow any, where nothing else waits.
        """
        ledger = self._ledger
        return (alone and not ledger.messages) or (
            ledger.messages + entry.count <= limits.outbox_messages
            and ledger.bytes + entry.size <= limits.outbox_bytes
        )

    def _fits(
        self,
        share: _Share[E],
        entry: E,
        policy: Policy,
        limits: Limits,
        alone: bool = True,
    ) -> bool:
        """Tell whether the group's bounds allow it too."""
        if not self._has_room(entry, limits, alone):
            return False
        messages, size = policy.messages, policy.bytes
        return (alone and not share.messages) or (
            (messages is None or share.messages + entry.count <= messages)
            and (size is None or share.bytes + entry.size <= size)
        )

    def _make_room(
        self, share: _Share[E], entry: E, policy: Policy, limits: Limits
    ) -> bool:
        """Drop what waits of a group, oldest first; not if that does not help."""
        others = self._ledger.messages - share.messages
        if others and (
            others + entry.count > limits.outbox_messages
            or self._ledger.bytes - share.bytes + entry.size > limits.outbox_bytes
        ):
            return False
        dropped = 0
        while not self._fits(share, entry, policy, limits):
            oldest = next(iter(share.entries))
            dropped += oldest.count
            self._take_out(oldest)
        self._lost("dropped_oldest", dropped)
        return True

    # -- what a newer one replaces --------------------------------------------------

    def _supersede(self, share: _Share[E], entry: E, policy: Coalesce) -> bool:
        """Take out what waits under the keys of ``entry``.

        Returns:
            Whether it was merged with a batch that waited, and may have grown.
        """
        publication = entry.publication
        assert publication is not None
        items = publication.items
        if items is not None:
            entry.keys = items
        elif (key := policy.key_of(publication.message)) is not None:
            entry.keys = (key,)
        outdated: dict[E, set[Hashable]] = {}
        for key in entry.keys:
            older = share.keyed.get(key)
            if older is not None:
                outdated.setdefault(older, set()).add(key)
        for older, keys in outdated.items():
            self._lost("superseded", len(keys))
            if len(keys) == older.count:
                self._take_out(older)
            else:
                self._keep_only(share, older, keys)
        last = next(reversed(self._entries), None)
        if items is None or last is None or last.share is not share:
            return False
        # Nothing has come in between, so that both can be one message.
        assert last.publication is not None
        if last.publication.items is None:
            return False
        self._take_out(last)
        self._fill(entry, {**last.publication.items, **items})
        return True

    def _keep_only(self, share: _Share[E], older: E, gone: set[Hashable]) -> None:
        """Take some items out of a batch that waits, which keeps its place."""
        assert older.publication is not None
        assert older.publication.items is not None
        items = {
            key: item
            for key, item in older.publication.items.items()
            if key not in gone
        }
        self._leave_share(older)
        self._count(older, -1)
        self._fill(older, items)
        self._count(older, 1)
        self._join_share(share, older)

    def _fill(self, entry: E, items: Mapping[Hashable, Any]) -> None:
        assert entry.publication is not None
        entry.publication = entry.publication.holding(items)
        entry.event, entry.size = self._encode(entry.publication)
        entry.count, entry.keys = len(items), items

    # -- the book-keeping -----------------------------------------------------------

    def _append(self, entry: E) -> None:
        self._entries[entry] = None
        self._count(entry, 1)

    def _take_out(self, entry: E) -> None:
        del self._entries[entry]
        self._count(entry, -1)
        self._leave_share(entry)

    def _count(self, entry: E, times: int) -> None:
        self._ledger.messages += times * entry.count
        self._ledger.bytes += times * entry.size

    def _join_share(self, share: _Share[E], entry: E) -> None:
        entry.share = share
        share.entries[entry] = None
        share.messages += entry.count
        share.bytes += entry.size
        for key in entry.keys:
            share.keyed[key] = entry

    def _leave_share(self, entry: E) -> None:
        """From now on it is neither replaced nor dropped, nor counted for its group."""
        share, entry.share = entry.share, None
        if share is not None:
            del share.entries[entry]
            share.messages -= entry.count
            share.bytes -= entry.size
            for key in entry.keys:
                del share.keyed[key]
