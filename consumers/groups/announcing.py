"""Announcing: who of this event loop is present, and what the groups are told of it.

The layer knows who is present everywhere. Here the entries of this event loop are kept
alive, in batches, and changes are gathered and published to the group as diffs.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec

from consumers.clock import current_time, sleep
from consumers.codecs import pack
from consumers.errors import ConfigurationError, LayerUnavailable
from consumers.layers import Changes, Entry

from .presence import Presence, PresenceDiff, Present
from .publication import Kind, Publication
from .subscribing import at_once

if TYPE_CHECKING:
    from consumers.layers import Layer

    from .declaration import GroupName
    from .hub import Member

__all__ = ["Announcing", "no_presence", "present"]

_RENEWALS_PER_LEASE: Final = 3
_SETTLE_EVERY: Final = 0.25
"""Seconds between two looks at who has really left, while somebody lingers."""


def no_presence(name: GroupName) -> ConfigurationError:
    """Return what says that nobody knows who is in a group."""
    return ConfigurationError(
        f"group {name.name!r} must be declared with presence=True to tell who is "
        "in it, in all processes; write "
        f"Groups(url, [Group({name.group.pattern!r}, presence=True)])"
    )


def present(entries: Iterable[Entry]) -> list[Present]:
    """Return who is present: each user once, in the order of entering."""
    found: dict[str, Present] = {}
    for entry in entries:
        known = found.get(entry.user)
        others = known.connections if known else ()
        metadata = msgspec.msgpack.decode(entry.metadata)
        found[entry.user] = Present(entry.user, (*others, entry.connection), metadata)
    return list(found.values())


class _Gathered:
    """Changes that the group was not told of yet."""

    __slots__ = ("joined", "left", "updated")

    def __init__(self) -> None:
        self.joined: dict[str, Entry] = {}
        self.updated: dict[str, Entry] = {}
        self.left: dict[str, None] = {}

    def add(self, changes: Changes) -> None:
        for entry in changes.joined:
            self.left.pop(entry.user, None)
            self.joined[entry.user] = entry
        for entry in changes.updated:
            known = self.joined if entry.user in self.joined else self.updated
            known[entry.user] = entry

    def remove(self, users: Iterable[str]) -> None:
        for user in users:
            # Who came and went since the last diff was never told of.
            self.updated.pop(user, None)
            if self.joined.pop(user, None) is None:
                self.left[user] = None

    def diff(self) -> PresenceDiff:
        return PresenceDiff(
            tuple(present(self.joined.values())),
            tuple(present(self.updated.values())),
            tuple(self.left),
        )


class Announcing:
    """The presence of one event loop's connections."""

    def __init__(
        self,
        layer: Layer,
        spawn: Callable[[Callable[[], Awaitable[Any]]], object],
        can_spawn: Callable[[], bool],
        publish: Callable[[Sequence[Publication]], Awaitable[object]],
    ) -> None:
        """Begin with nobody.

        Args:
            layer: What knows who is present.
            spawn: Starts a task of the event loop's.
            can_spawn: Tells whether it can.
            publish: Publishes to all members.
        """
        self._layer = layer
        self._spawn = spawn
        self._can_spawn = can_spawn
        self._publish = publish
        self._declared: dict[str, Presence] = {}
        self._entries: dict[str, dict[str, Entry]] = {}  # {group: {connection: entry}}
        self._exits: dict[str, list[str]] = {}  # {group: connections}, to be told
        self._gathered: dict[str, _Gathered] = {}
        self._renewing = False
        # {group that some have left: when the first of them may be told, and the last}
        self._leaving: dict[str, tuple[float, float]] = {}
        self._settling = False

    async def enter(
        self, name: GroupName, connection: str, user: str, metadata: object
    ) -> None:
        """Have a connection present, or change what it tells.

        Raises:
            MessageNotEncodable: ``metadata`` has no form in MessagePack.
            LayerUnavailable: The layer can't be reached; its lease may have it entered
                later.
        """
        declared = name.group.presence
        assert declared is not None
        entry = Entry(connection, user, pack(metadata))
        self._declared[name.name] = declared
        self._entries.setdefault(name.name, {})[connection] = entry
        self._renew_later()
        await self._enter(name.name, [entry])

    async def _enter(self, group: str, entries: Sequence[Entry]) -> None:
        """Have the layer know connections, unless they leave meanwhile."""
        declared = self._declared[group]
        changes = await self._layer.enter(group, entries, self._lease(declared))
        present = self._entries.get(group, ())
        for entry in entries:
            if entry.connection not in present:
                # Where both had to wait for the broker, its exit may have been first.
                self._declared[group] = declared
                self._exit_soon(group, entry.connection)
        self._gather(group, changes, ())

    def exit(self, group: str, member: Member) -> None:
        """Have a connection present no longer. Does nothing where it is not."""
        entries = self._entries.get(group)
        if entries is None or entries.pop(connection := member.id, None) is None:
            return
        if not entries:
            del self._entries[group]
        self._exit_soon(group, connection)

    def _exit_soon(self, group: str, connection: str) -> None:
        linger = self._declared[group].linger
        if self._layer.local:
            at_once(self._layer.exit(group, [connection], linger))
        else:
            waiting = self._exits.setdefault(group, [])
            waiting.append(connection)
            # Those that could not be told wait for a renewal, which needs an entry.
            if len(waiting) == 1 or group not in self._entries:
                self._spawn_if(lambda: self._send_exits(group))
        if self._can_spawn():
            due = current_time() + linger
            first, _ = self._leaving.get(group, (due, due))
            self._leaving[group] = (first, due)
            if not self._settling:
                self._settling = True
                self._spawn(self._settle)
        else:
            self._forget(group)

    async def _send_exits(self, group: str) -> None:
        waiting, entries = self._exits.pop(group, []), self._entries.get(group, {})
        connections = [each for each in waiting if each not in entries]
        if not connections:
            return
        linger = self._declared[group].linger
        try:
            await self._layer.exit(group, connections, linger)
            # And the other way round: who is back may have been first.
            entries = self._entries.get(group, {})
            back = [entries[each] for each in connections if each in entries]
            if back:
                await self._enter(group, back)
        except LayerUnavailable:
            if group in self._entries:  # else the lease ends, with all of them
                self._exits.setdefault(group, []).extend(connections)

    def _forget(self, group: str) -> None:
        """Forget what was declared about a group of which nothing is to be done."""
        kept: tuple[Mapping[str, object], ...] = (
            self._entries,
            self._exits,
            self._leaving,
            self._gathered,
        )
        if not any(group in each for each in kept):
            self._declared.pop(group, None)

    async def _settle(self) -> None:
        """See who has really left, when that may be told, in all groups at once."""
        try:
            while self._leaving:
                await sleep(_SETTLE_EVERY)
                now = current_time()
                due = [each for each, (at, _) in self._leaving.items() if at < now]
                for group in due:
                    _, last = self._leaving.pop(group)
                    if last >= now:
                        self._leaving[group] = (last, last)
                await self._renew(self._leases(due))
                for group in due:
                    self._forget(group)
        finally:
            self._settling = False

    # -- leases ---------------------------------------------------------------------

    def _lease(self, declared: Presence) -> float:
        return math.inf if self._layer.local else declared.lease

    def _renew_later(self) -> None:
        if not self._renewing and not self._layer.local:
            self._renewing = True
            self._spawn(self._renew_for_ever)

    async def _renew_for_ever(self) -> None:
        try:
            while self._entries:
                shortest = min(self._declared[group].lease for group in self._entries)
                await sleep(shortest / _RENEWALS_PER_LEASE)
                await self.renew()
        finally:
            self._renewing = False

    async def renew(self) -> None:
        """Renew all leases; enter again where they were lost. Raises nothing."""
        for group in list(self._exits):
            await self._send_exits(group)
        await self._renew(self._leases(self._entries))

    def _leases(self, groups: Iterable[str]) -> dict[str, float]:
        return {group: self._lease(self._declared[group]) for group in groups}

    async def _renew(self, leases: dict[str, float]) -> None:
        if not leases:
            return
        try:
            renewals = await self._layer.renew(leases)
            for group, renewal in renewals.items():  # nobody else is told of these
                self._gather(group, Changes(), renewal.left)
            for group, renewal in renewals.items():
                entries = list(self._entries.get(group, {}).values())
                if entries and not renewal.held:
                    await self._enter(group, entries)
        except LayerUnavailable:
            return  # it says so itself, and the next renewal comes

    # -- diffs ----------------------------------------------------------------------

    def _gather(self, group: str, changes: Changes, left: Sequence[str]) -> None:
        if not (changes.joined or changes.updated or left) or not self._can_spawn():
            return
        gathered = self._gathered.get(group)
        if gathered is None:
            gathered = self._gathered[group] = _Gathered()
            self._spawn(lambda: self._tell(group))
        gathered.add(changes)
        gathered.remove(left)

    async def _tell(self, group: str) -> None:
        await sleep(self._declared[group].batch)
        diff = self._gathered.pop(group).diff()
        if diff:
            with suppress(LayerUnavailable):  # once it is back, presence is right again
                await self._publish([Publication(group, diff, kind=Kind.PRESENCE)])
        self._forget(group)

    def _spawn_if(self, function: Callable[[], Awaitable[Any]]) -> None:
        if self._can_spawn():
            self._spawn(function)
