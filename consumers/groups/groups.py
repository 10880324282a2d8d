"""`Groups`: everything that can be done with groups, from inside and from outside."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import EventLoopToken, RunVar, checkpoint, current_token

from consumers.close import check_code, check_reason
from consumers.errors import ConfigurationError, MessageNotEncodable
from consumers.layers import Layer, MemoryLayer

from .declaration import Group, GroupName, Target, name_of, user_group
from .hub import Hub, Member, Membership
from .publication import Publication
from .sync import SyncGroups, run_in

__all__ = ["STATE_KEY", "Groups", "Present"]

log = logging.getLogger("consumers")

T = TypeVar("T")

STATE_KEY: Final = "consumers.groups"
"""Where the lifespan's state has the groups."""

# Deliveries after which a publisher lets others run. Below it, a checkpoint would cost
# more than it gives.
_DELIVERIES_BETWEEN_CHECKPOINTS = 64


@dataclass(frozen=True, slots=True)
class Present:
    """Somebody in a group: one user, however many connections, or one nobody."""

    key: str
    """The identity's key; of a connection without an identity its id."""
    connections: tuple[str, ...]
    """The ids of the connections, first joined first."""
    metadata: Any
    """What the latest of them gave to ``join``."""


class _Loop:
    """What belongs to one event loop: its members and its layer."""

    __slots__ = ("deliveries", "hub", "layer", "token")

    def __init__(self, layer: Layer) -> None:
        self.token = current_token()
        self.hub = Hub()
        self.layer = layer
        self.deliveries = 0


class Groups:
    """The groups of an application.

    Made at import time, without an event loop. Members belong to the event loop that
    their connection runs on.
    """

    def __init__(self, url: str = "memory://", declared: Iterable[Group] = ()) -> None:
        """Declare groups.

        Args:
            url: Which layer carries publications; ``memory://``: this process alone.
            declared: The groups, for tools that list them.

        Raises:
            ConfigurationError: There is no such layer, or a pattern is declared twice.
        """
        if url.partition("://")[:2] != ("memory", "://"):
            raise ConfigurationError(
                f"a layer's URL must be 'memory://', got {url!r}; publications to "
                "other processes need a layer that this release does not have"
            )
        self.url = url
        self.declared = tuple(declared)
        patterns = [group.pattern for group in self.declared]
        if len(set(patterns)) != len(patterns):
            raise ConfigurationError(
                f"each pattern must be declared once, got {patterns!r}"
            )
        for group in self.declared:
            group.groups = self
        self._strangers: set[Group] = set()  # declared elsewhere, and warned of
        self.sync = SyncGroups(self)
        """The same for threads, without ``await``."""
        self.loops: set[EventLoopToken] = set()
        """The event loops that have members: normally one."""
        self._loop: RunVar[_Loop | None] = RunVar(f"consumers.groups.{id(self)}", None)

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncIterator[dict[str, Any]]:
        """Run the groups' part of a lifespan: ``FastAPI(lifespan=groups.lifespan)``.

        Consumers in that application's table then join these groups: servers pass on
        the state that is yielded. A lifespan of one's own does so too::

            async with groups.lifespan(app) as state:
                yield {**state, "pool": pool}
        """
        loop = await self._here()
        try:
            yield {STATE_KEY: self}
        finally:
            self._loop.set(None)
            self.loops.discard(loop.token)
            await loop.layer.stop()

    # -- publishing -----------------------------------------------------------------

    async def publish(
        self, group: Target, message: Any, *, exclude: Member | None = None
    ) -> None:
        """Send ``message`` to every member of ``group``.

        Never waits for a client: who does not read fast enough has it wait in its
        outbox. Members get what one task publishes in the order of its calls.

        Args:
            group: Where to.
            message: What each member's ``send_type`` can send.
            exclude: A member that does not get it.

        Raises:
            TypeError: The group was declared to send other types.
            MessageNotEncodable: A member's type can't send it; the others have got it.

        Cancelling leaves it open who gets it.
        """
        name = name_of(group)
        name.group.check(message)
        await self._publish(name, message, exclude)

    async def publish_to_user(self, key: str, message: Any) -> None:
        """Send ``message`` to every connection of one user. Otherwise as `publish`."""
        await self._publish(user_group(key), message, None)

    async def _publish(
        self, name: GroupName, message: Any, exclude: Member | None
    ) -> None:
        await self._everywhere(
            self._publish_here, Publication(name.name, message, exclude)
        )

    async def _publish_here(self, loop: _Loop, publication: Publication) -> None:
        await loop.layer.publish(publication)
        loop.deliveries += len(loop.hub.get(publication.group))
        if loop.deliveries >= _DELIVERIES_BETWEEN_CHECKPOINTS:
            loop.deliveries = 0
            await checkpoint()

    # -- asking ---------------------------------------------------------------------

    async def count(self, group: Target) -> int:
        """Return how many connections are members of ``group``."""
        return sum(await self._everywhere(self._count_here, name_of(group).name))

    async def _count_here(self, loop: _Loop, group: str) -> int:
        return len(loop.hub.get(group))

    async def presence(self, group: Target) -> list[Present]:
        """Return who is in ``group``: each user once, first joined first.

        Raises:
            ConfigurationError: The group was declared without presence.
        """
        name = name_of(group)
        if not name.group.presence:
            raise ConfigurationError(
                f"group {name.group.pattern!r} must be declared with presence=True to "
                f"tell who is in it, got presence={name.group.presence}"
            )
        found: dict[str, Present] = {}
        for present in await self._everywhere(self._presence_here, name.name):
            for key, connection, metadata in present:
                known = found.get(key)
                others = known.connections if known else ()
                found[key] = Present(key, (*others, connection), metadata)
        return list(found.values())

    async def _presence_here(
        self, loop: _Loop, group: str
    ) -> list[tuple[str, str, Any]]:
        return [
            (member.user.identity or member.id, member.id, membership.metadata)
            for member, membership in loop.hub.get(group).items()
        ]

    # -- from outside ---------------------------------------------------------------

    async def disconnect(self, *, user: str, code: int = 1008, reason: str = "") -> int:
        """Close every connection of one user; return how many there were.

        Returns when their ends have begun; handlers that run may finish within
        ``finish_timeout``.

        Raises:
            ValueError: The code may not be sent, or the reason is too long.
        """
        check_code(code)
        check_reason(reason)
        name = user_group(user).name
        return sum(await self._everywhere(self._disconnect_here, name, code, reason))

    async def _disconnect_here(
        self, loop: _Loop, group: str, code: int, reason: str
    ) -> int:
        members = list(loop.hub.get(group))
        for member in members:
            member.end(code, reason)
        return len(members)

    # -- what connections call ------------------------------------------------------

    async def add(self, target: Target, member: Member) -> Membership:
        """Make a connection a member. For the framework: consumers call ``join``."""
        loop = await self._here()
        name = name_of(target)
        if name.group.groups not in (None, self) and name.group not in self._strangers:
            self._warn_of(name.group)
        if name.name not in loop.hub.members:
            await loop.layer.subscribe(name.name)
        self.loops.add(loop.token)
        return loop.hub.add(name.name, member)

    def _warn_of(self, group: Group) -> None:
        self._strangers.add(group)
        log.warning(
            "%r is declared in other Groups than those of the connection that joins "
            "it: what is published there does not reach it; write App(groups=groups), "
            "or lifespan=groups.lifespan where the application is not an App",
            group,
        )

    async def remove(self, target: Target, member: Member) -> None:
        """End a membership. Does nothing where there is none."""
        loop = await self._here()
        name = name_of(target).name
        if loop.hub.remove(name, member):
            self._forget_if_empty(loop)
            await loop.layer.unsubscribe(name)

    def leave_all(self, names: Iterable[str], member: Member) -> None:
        """End memberships at once, without waiting for the layer.

        For a client that left: no publication may go its way any more.
        """
        loop = self._loop.get()
        if loop is not None:
            for name in names:
                loop.hub.remove(name, member)
            self._forget_if_empty(loop)

    def release(self, membership: Membership, member: Member) -> None:
        """Deliver what was held for a member. For the framework."""
        loop = self._loop.get()
        if loop is not None:
            loop.hub.release(membership, member)

    def _forget_if_empty(self, loop: _Loop) -> None:
        if not loop.hub.members:
            self.loops.discard(loop.token)

    async def _everywhere(
        self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any
    ) -> list[T]:
        """Call ``function`` here and on every other event loop that has members."""
        loop = await self._here()
        others = self.loops - {loop.token} if self.loops else ()
        if not others:
            return [await function(loop, *args)]
        results: list[T] = []
        unencodable: MessageNotEncodable | None = None
        try:
            results.append(await function(loop, *args))
        except MessageNotEncodable as error:
            unencodable = error
        for token in others:
            ask = partial(run_in, self.loops, token, self._there, function, *args)
            try:
                # With a limiter of its own: the default one's threads may all be
                # waiting for such a call.
                results += await to_thread.run_sync(ask, limiter=CapacityLimiter(1))
            except MessageNotEncodable as error:
                unencodable = error
        if unencodable is not None:
            raise unencodable
        return results

    async def _there(
        self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any
    ) -> T:
        return await function(await self._here(), *args)

    async def _here(self) -> _Loop:
        """Return what belongs to the running event loop, started."""
        loop = self._loop.get()
        if loop is None:
            loop = _Loop(MemoryLayer())
            self._loop.set(loop)
            await loop.layer.start(loop.hub.deliver)
        return loop
