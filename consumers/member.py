"""`GroupMember`: a connection that can be a member of groups."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from .delivery import Delivery
from .errors import NotAllowed
from .groups import Groups, Membership, Past, Target
from .handlers.call import current_call
from .history import Position, Recovery
from .over_limit import exceeded
from .state import CONNECTING, OPEN, Action

if TYPE_CHECKING:
    from .groups import GroupName

__all__ = ["GroupMember"]


class GroupMember(Delivery):
    """A connection with groups. Users subclass ``WebSocketConsumer``."""

    @property
    def id(self) -> str:
        """What names this connection, in all processes: see ``groups.send``."""
        if not self._id:
            name = super().id
            if self._stage is not CONNECTING or hasattr(self, "_groups"):
                self._groups.named(self)
            return name
        return self._id

    @property
    def groups(self) -> Groups:
        """The groups of the application."""
        return self._groups

    async def join(
        self,
        *groups: Target,
        presence: Any = None,
        since: Position | None = None,
        last: int | None = None,
    ) -> Recovery:
        """Become a member: get what is published to ``groups`` from now on.

        The membership ends with the connection. Joining again changes ``presence``.

        Args:
            groups: Which; all in one round trip to the layer.
            presence: What ``groups.presence`` tells of this connection.
            since: The client's position in the one group. What it missed is sent to
                it, in order and once, before anything later is.
            last: How many of the latest publications are sent where ``since`` is not
                given, or can't be recovered.

        Returns:
            What became of ``since``, for the only group or else the last one.

        Raises:
            NotAllowed: A rule of one of the groups does not allow it, or it would be in
                more than ``limits.groups``; none is joined.
            ConfigurationError: A group without history has no positions.
            TypeError: ``since`` or ``last`` are given with several groups.
            StateError: The connection is not open.
            ConnectionClosed: The client is gone.
            LayerUnavailable: The layer can't be reached.

        Where it raises, or is cancelled, it is a member of no group that it was not in
        before.
        """
        if since is not None or last is not None:
            if len(groups) != 1:
                raise TypeError(
                    "since and last are about one group, got "
                    f"{len(groups)} groups; join each by itself"
                )
            async with self.joining(
                groups[0], presence=presence, since=since, last=last
            ) as recovery:
                pass
            return recovery
        names = [self._groups.resolve(group) for group in groups]
        await self._join(names, presence)
        return Recovery(False, 0, self._groups.position(names[-1]) if names else None)

    async def leave(self, *groups: Target) -> None:
        """Stop being a member. Does nothing where it is none. Cancelling is safe.

        A client that has subscribed by `consumers.v1` is told.
        """
        names = [self._groups.resolve(group).name for group in groups]
        for name in names:
            self._memberships.pop(name, None)
        self._groups.leave(names, self)
        await self._unsubscribed(names)

    @asynccontextmanager
    async def joining(
        self,
        group: Target,
        presence: Any = None,
        *,
        since: Position | None = None,
        last: int | None = None,
    ) -> AsyncIterator[Recovery]:
        """Join, and hold the group's publications back until the block ends.

        ::

            async with self.joining(room, since=since) as recovery:
                if not recovery.recovered:
                    await self.send(await snapshot())

        The client gets the snapshot and then every later change, without a gap. What
        it missed since its position, or the ``last`` publications, is sent when the
        block ends. An exception or a cancellation in the block leaves the group again.

        Raises:
            NotAllowed: As for :meth:`join`.
            ConfigurationError: A group without history has no positions.
            StateError: The connection is not open.
            ConnectionClosed: The client is gone.
            LayerUnavailable: The layer can't be reached.
        """
        name = self._groups.resolve(group)
        try:
            [membership] = await self._join([name], presence, hold=True)
            past: Past = await self._groups.past(name, since, last)
            yield past.recovery
            for publication in past.publications:
                if name.name not in self._memberships:
                    break  # it has left meanwhile
                await self._send_again(publication)
        except BaseException:
            self._memberships.pop(name.name, None)
            self._groups.leave([name.name], self)
            raise
        self._groups.release(name, membership, self, past.recovery.position)

    async def subscribe(self, group: Target, since: Position | None = None) -> Recovery:
        """Join by the class's ``@subscribes`` method for ``group``.

        It decides whether the client may, and what it returns is sent first; where
        everything since ``since`` is recovered that is sent instead. An exception or a
        cancellation before that is out leaves the group again.

        Raises:
            NotAllowed: The method refuses, or the class has none for the group.
            ConfigurationError: ``since``, of a group without history.
            StateError: The connection is not open.
            ConnectionClosed: The client is gone.
            LayerUnavailable: The layer can't be reached.
        """
        return await self._subscribe(self._groups.resolve(group), since)

    async def _subscribe(
        self, name: GroupName, since: Position | None, asked: int | None = None
    ) -> Recovery:
        """Subscribe; ``asked``: the id of the request of a client that asked for it."""
        found = self._plan.subscribers.get(name.group)
        if found is None:
            raise NotAllowed(
                f"{type(self).__name__} has no method for group {name.name!r}; "
                "mark one @subscribes(group)"
            )
        texts: Mapping[str, str] = name.group.values_of(name.name) or {}
        try:
            values = {
                each.name: each.convert(texts[each.name])
                for each in found.signature.parameters
                if each.name in texts
            }
        except msgspec.ValidationError as error:
            raise NotAllowed(f"group {name.name!r}: {error}") from error
        async with self.joining(name, since=since, last=found.last) as recovery:
            if any(each.name == "recovered" for each in found.signature.parameters):
                values["recovered"] = recovery.recovered
            method = getattr(self, found.name)
            snapshot = await self._call_with(found.signature, method, values)
            if recovery.recovered:
                snapshot = None
            await self._subscribed(name, snapshot, recovery, since, asked)
        if name.name not in self._memberships:
            await self._unsubscribed([name.name])  # who left could not tell it yet
        return recovery

    async def _subscribed(
        self,
        name: GroupName,
        snapshot: Any,
        recovery: Recovery,
        since: Position | None,
        asked: int | None,
    ) -> None:
        """Tell the client that it is a member, before what it has missed."""
        if snapshot is not None:
            await self.send(snapshot)

    async def _unsubscribed(self, groups: Sequence[str]) -> None:
        """Tell the client that it is no member any more, if it knows that it was."""

    async def update_presence(self, group: Target, presence: Any) -> None:
        """Change what ``groups.presence`` tells of this connection.

        Cancelling leaves it open whether it was changed.

        Raises:
            ConfigurationError: The group was declared without presence.
            StateError: The connection is no member.
            LayerUnavailable: The layer can't be reached.
        """
        name = self._groups.resolve(group)
        if name.name not in self._memberships:
            await self._do(Action.JOIN)
            raise self._mistake(f"update its presence in {name.name!r}: join it first")
        await self._groups.enter(name, self, presence)

    async def publish(
        self,
        group: Target,
        message: Any,
        *,
        exclude_self: bool = False,
        idempotency_key: str | None = None,
    ) -> Position | None:
        """Send ``message`` to every member of ``group``, as ``Groups.publish`` does.

        Works in ``on_disconnect`` too. Where a message that came with an idempotency
        key is handled, it is published once, however often the message comes.
        """
        if idempotency_key is None and (call := current_call.get()) is not None:
            idempotency_key = call.publication_key()
        return await self._groups.publish(
            group,
            message,
            exclude=self if exclude_self else None,
            idempotency_key=idempotency_key,
        )

    def _check_groups(self, names: Sequence[GroupName]) -> None:
        most = self._bounds.groups
        if most is None or len(self._memberships) + len(names) <= most:
            return
        # A user's own, which all of its connections are in, begin with an @.
        known = self._memberships.keys() | {name.name for name in names}
        if sum(not name.startswith("@") for name in known) > most:
            text = "may not join more groups: limits.groups allows %d"
            exceeded("groups", text, most, by=self)
            raise NotAllowed(
                f"a connection may be a member of {most} groups, which "
                "limits.groups sets; leave those that it needs no more"
            )

    async def _join(
        self, names: Sequence[GroupName], presence: Any, *, hold: bool = False
    ) -> list[Membership]:
        if self._stage is not OPEN:
            await self._do(Action.JOIN)
        for name in names:
            for each in name.group.allow:
                await each.check(self, name)
        self._check_groups(names)
        new = [each.name for each in names if each.name not in self._memberships]
        for name in names:
            self._memberships[name.name] = name
        if not self._plan.interceptors:
            self._send_stepped()
            self._share_frames()
        hears = self._plan.on_presence is not None
        try:
            memberships = await self._groups.join(
                names, self, hold=hold, hears_presence=hears
            )
            for name in names:
                # It may have left, or ended, while the layer was asked.
                if name.group.presence is not None and name.name in self._memberships:
                    await self._groups.enter(name, self, presence)
        except BaseException:
            for group in new:
                self._memberships.pop(group, None)
            self._groups.leave(new, self)
            raise
        if self._stage is not OPEN:  # it ended while the layer was asked
            self._groups.leave([name.name for name in names], self)
            await self._do(Action.JOIN)
        return memberships
