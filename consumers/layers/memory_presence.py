"""Presence in the memory of this process. Times are seconds, now and at the end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from .contract import Changes, Count, Entry

__all__ = ["MemoryPresence", "Stay"]


@dataclass(slots=True)
class _User:
    """A user who is present."""

    metadata: bytes
    """What one of the user's connections told last."""
    connections: int = 0


@dataclass(slots=True, eq=False)
class Stay:
    """The time for which a layer has somebody present without a break."""

    end: float
    """When its lease runs out."""
    connections: set[str] = field(default_factory=set)
    """Whom it has entered."""


class MemoryPresence:
    """Who is present in one group.

    ``owner`` stands for a layer: what it entered is there for as long as its lease.
    """

    __slots__ = ("_entries", "_lingering", "_stays", "_users")

    def __init__(self) -> None:
        # {connection: (its entry, its owner)}, in the order of entering.
        self._entries: dict[str, tuple[Entry, object]] = {}
        self._users: dict[str, _User] = {}
        self._stays: dict[object, Stay] = {}
        # {user who is gone but not told: (when to tell, the last metadata)}
        self._lingering: dict[str, tuple[float, bytes]] = {}

    def enter(
        self, owner: object, entries: Iterable[Entry], lease: float, now: float
    ) -> Changes:
        """Have connections present, as :meth:`Layer.enter` says."""
        self.expire(now)
        stay = self._stays.setdefault(owner, Stay(now))
        stay.end = max(stay.end, now + lease)
        joined: list[Entry] = []
        updated: list[Entry] = []
        for entry in entries:
            metadata = self._metadata(entry, now)
            if metadata is None:
                joined.append(entry)
            elif metadata != entry.metadata or entry.user not in self._users:
                updated.append(entry)
            user = self._users.setdefault(entry.user, _User(entry.metadata))
            user.metadata = entry.metadata
            before = self._entries.get(entry.connection)
            if before is None:
                user.connections += 1
            elif before[1] in self._stays:
                self._stays[before[1]].connections.discard(entry.connection)
            stay.connections.add(entry.connection)
            self._entries[entry.connection] = (entry, owner)
        return Changes(tuple(joined), tuple(updated))

    def exit(self, connections: Iterable[str], linger: float, now: float) -> None:
        """Have connections present no longer, as :meth:`Layer.exit` says."""
        self.expire(now)
        for connection in connections:
            self._remove(connection, now + linger)
        for owner in [own for own, stay in self._stays.items() if not stay.connections]:
            del self._stays[owner]

    def renew(self, owner: object, seconds: float, now: float) -> tuple[str, ...]:
        """Renew a lease, if there is one; return who is gone and told now."""
        self.expire(now)
        stay = self._stays.get(owner)
        if stay is not None:
            stay.end = now + seconds
        left = [user for user, (due, _) in self._lingering.items() if due <= now]
        for user in left:
            del self._lingering[user]
        return tuple(left)

    def stay(self, owner: object) -> Stay | None:
        """Return an owner's stay, if it has one: another object after each break."""
        return self._stays.get(owner)

    def present(self) -> list[Entry]:
        """Return who is present, in the order of entering."""
        return [entry for entry, _ in self._entries.values()]

    def count(self) -> Count:
        """Return how many are present."""
        return Count(len(self._entries), len(self._users))

    def expire(self, now: float) -> None:
        """Remove what owners have left behind whose leases have run out."""
        for owner, stay in list(self._stays.items()):
            if stay.end <= now:
                del self._stays[owner]
                for connection in list(stay.connections):
                    self._remove(connection, now)

    def forgotten(self, now: float) -> bool:
        """Tell whether nobody is there, nor anybody who could still be told."""
        self.expire(now)
        return not self._entries and (
            not self._lingering
            or (
                not self._stays
                and all(due <= now for due, _ in self._lingering.values())
            )
        )

    def _metadata(self, entry: Entry, now: float) -> bytes | None:
        """Return what a user told last; ``None``: the user was not there."""
        before, _ = self._entries.get(entry.connection, (entry, None))
        if before.user != entry.user:
            self._remove(entry.connection, now)
        due, metadata = self._lingering.pop(entry.user, (now, b""))
        if entry.user in self._users:
            return self._users[entry.user].metadata
        # Who returns too late is new to those that came meanwhile, told or not.
        return metadata if due > now else None

    def _remove(self, connection: str, tell_at: float) -> None:
        entry, owner = self._entries.pop(connection, (None, None))
        if entry is None:
            return
        if owner in self._stays:
            self._stays[owner].connections.discard(connection)
        user = self._users[entry.user]
        user.connections -= 1
        if not user.connections:
            del self._users[entry.user]
            self._lingering[entry.user] = (tell_at, user.metadata)
