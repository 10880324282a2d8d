"""Joining: what connections ask of the groups. Users call their connection's `join`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

from consumers.history import Position
from consumers.layers import Layer

from .announcing import no_presence
from .declaration import Group, GroupName
from .hub import Member, Membership
from .loops import EventLoops
from .recovery import Past, past_of

__all__ = ["Joining"]

log = logging.getLogger("consumers")


class Joining(EventLoops):
    """The memberships of connections and subscriptions."""

    def __init__(self, make_layer: Callable[[], Layer], url: str) -> None:
        """Begin without members; see `EventLoops`."""
        super().__init__(make_layer, url)
        self._strangers: set[Group] = set()  # declared elsewhere, and warned of

    async def join(
        self,
        names: Sequence[GroupName],
        member: Member,
        *,
        hold: bool = False,
        hears_presence: bool = False,
    ) -> list[Membership]:
        """Make a connection a member. For the framework: consumers call ``join``."""
        local = await self._here()
        for name in names:
            declared = name.group
            if declared.groups not in (None, self) and declared not in self._strangers:
                self._warn_of(declared)
            if hears_presence and declared.presence and not local.is_running:
                raise local.not_running()
        self.loops.add(local.token)
        return await local.join(names, member, hold=hold)

    def leave(self, names: Iterable[str], member: Member) -> None:
        """End memberships at once, without waiting for the layer.

        Does nothing where there is none: for a client that left.
        """
        local = self._loop.get()
        if local is not None:
            for name in names:
                local.leave(name, member)
            self._forget_idle(local)

    async def past(
        self, name: GroupName, since: Position | None, last: int | None
    ) -> Past:
        """Return what a new member has missed. For the framework."""
        return await past_of(await self._here(), name, since, last)

    def position(self, name: GroupName) -> Position | None:
        """Return where a group that has members here stands. For the framework."""
        return self._local().position(name)

    def release(
        self,
        name: GroupName,
        membership: Membership,
        member: Member,
        after: Position | None,
    ) -> None:
        """Deliver what was held for a member, and is after a position."""
        local = self._loop.get()
        if local is not None:
            local.release(name, membership, member, after)

    async def enter(self, name: GroupName, member: Member, metadata: object) -> None:
        """Have a member present, or change what it tells. For the framework."""
        if name.group.presence is None:
            raise no_presence(name)
        local = await self._here()
        user = member.user.identity or member.id
        await local.announcing.enter(name, member.id, user, metadata)

    def named(self, member: Member) -> None:
        """Take note that somebody knows a connection's id, and may send to it."""
        local = self._local()
        local.hub.named[member.id] = member
        self.loops.add(local.token)

    def _warn_of(self, group: Group) -> None:
        self._strangers.add(group)
        log.warning(
            "%r is declared in other Groups than those of the connection that joins "
            "it: what is published there does not reach it; write App(groups=groups), "
            "or lifespan=groups.lifespan where the application is not an App",
            group,
        )
