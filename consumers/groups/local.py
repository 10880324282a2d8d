"""One event loop's part in the groups: its members, its layer, its tasks."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from contextvars import copy_context
from typing import Any, Final

import anyio
import msgspec
from anyio import create_task_group
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint, current_token

from consumers.clock import move_on_after
from consumers.errors import LayerUnavailable, MessageNotEncodable, StateError
from consumers.handshake.connection import process_id
from consumers.history import Position
from consumers.layers import Carried, Layer
from consumers.observing import NOBODY, Observers

from .announcing import Announcing
from .coalescing import Coalescing
from .counters import Counters
from .declaration import GroupName, node_group
from .follower import Follower
from .hub import Hub, Member, Membership
from .observed import observed_delivering, observed_publishing
from .publication import Kind, Publication
from .recovery import publication_of
from .sources import Sources
from .subscribing import Subscribing

__all__ = ["Local"]

log = logging.getLogger("consumers")

# Deliveries after which a publisher lets others run. Below it, a checkpoint would cost
# more than it gives.
_DELIVERIES_BETWEEN_CHECKPOINTS: Final = 64

_FRAMES_PER_DELIVERY: Final = 128
"""So many ready frames that are added to others cost as much as one delivery, which is
a system call. Publications that are made in one go then share a write."""

_ECHO_TIMEOUT: Final = 5.0
"""Seconds that a publisher waits until this process's members have what the layer has
already taken."""


class Local:
    """What belongs to one event loop. It is the receiver of its layer."""

    def __init__(
        self,
        layer: Layer,
        counters: Counters,
        url: str,
        observers: Observers = NOBODY,
    ) -> None:
        """Begin without members, on the running event loop."""
        self.token = current_token()
        self.hub = Hub()
        self.layer = layer
        self.counters = counters
        self.subscribing = Subscribing(
            layer, self.hub, self._follower, self.spawn, self._recover, self._silent
        )
        deliver = observed_delivering(self.hub, observers)
        self.coalescing = Coalescing(deliver, self.spawn, counters)
        self.announcing = Announcing(
            layer, self.spawn, lambda: self.is_running, self.publish
        )
        self.sources = Sources(layer, self.hub, self.spawn, self._dispatch)
        if observers.wants("publishing", "published"):
            self.publish = observed_publishing(  # type: ignore[assignment]
                self.publish, observers
            )
        self._url = url
        self._tasks: TaskGroup | None = None
        # For its tasks: the lifespan's, and not that of whoever happens to start them.
        self._context = copy_context()
        self._started = AsyncExitStack()  # holds a layer that no lifespan runs
        self.is_ready = False
        """Whether the layer can be used."""
        self._deliveries = 0
        # {id of what is being published here: it, and what is set when it comes back}
        self._echoes: dict[str, tuple[Publication, anyio.Event]] = {}

    # -- its life -------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        """Tell whether :meth:`running` is."""
        return self._tasks is not None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Connect the layer, and hold the tasks, while the context lasts.

        Raises:
            LayerUnavailable: The layer can't be reached.
        """
        failure: Exception | None = None
        async with self._connected(), create_task_group() as tasks:
            self._tasks, self.is_ready = tasks, True
            self._context = copy_context()
            try:
                await self.subscribing.ensure([node_group(process_id())])
                if not self.layer.local:
                    self.spawn(self.subscribing.check_for_ever)
                yield
            except Exception as error:
                failure = error  # the task group would make a group of it
            finally:
                tasks.cancel_scope.cancel()
                self._tasks = None
        self.is_ready = False
        if failure is not None:
            raise failure

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[None]:
        if self.is_ready:  # by `start_lazily`
            yield
            await self._started.aclose()
        else:
            async with self.layer.running(self):
                yield

    async def start_lazily(self) -> None:
        """Have the layer ready where no lifespan runs: only one that is local can.

        Raises:
            StateError: It can't.
        """
        if not self.layer.local:
            raise self.not_running()
        await self._started.enter_async_context(self.layer.running(self))
        await self.subscribing.ensure([node_group(process_id())])
        self.is_ready = True

    def spawn(self, function: Callable[[], Awaitable[Any]]) -> None:
        """Start a task that lasts until the groups stop. What it raises is logged.

        Raises:
            StateError: The groups' lifespan does not run.
        """
        if self._tasks is None:
            raise self.not_running()
        self._context.copy().run(self._tasks.start_soon, _contained, function)

    def not_running(self) -> StateError:
        """Return what says that the groups have no lifespan here."""
        return StateError(
            f"this needs the groups of {self._url} to run, which they do not on this "
            "event loop; pass lifespan=groups.lifespan to the application (an App has "
            "it), or write async with groups"
        )

    # -- publishing -----------------------------------------------------------------

    async def publish(
        self, publications: Sequence[Publication]
    ) -> list[Position | None]:
        """Give publications to the layer; return when the members here have them.

        Raises:
            LayerUnavailable: It is open whether they arrive.
            MessageNotEncodable: A member's codec can't send one.
        """
        if not self.layer.local:
            return await self._publish_and_hear(publications)
        positions = await self.layer.publish(publications)
        members = self.hub.members
        for publication in publications:
            count = len(members.get(publication.group, ()))
            if publication.frames:  # gathered, to be written when others have run
                count = 1 + count // _FRAMES_PER_DELIVERY
            self._deliveries += count
        if self._deliveries >= _DELIVERIES_BETWEEN_CHECKPOINTS:
            self._deliveries = 0
            await checkpoint()
        return positions

    async def _publish_and_hear(
        self, publications: Sequence[Publication]
    ) -> list[Position | None]:
        for publication in publications:
            if self.subscribing.is_ready(publication.group):
                self._echoes[publication.id] = (publication, anyio.Event())
        try:
            positions = await self.layer.publish(publications)
            with move_on_after(_ECHO_TIMEOUT):
                for publication, position in zip(publications, positions, strict=True):
                    await self._heard(publication, position)
            return positions
        finally:
            for publication in publications:
                self._echoes.pop(publication.id, None)

    async def _heard(self, publication: Publication, position: Position | None) -> None:
        """Wait until the members here have what the layer has taken."""
        known = self.subscribing.of.get(publication.group)
        if position is not None and known is not None and known.follower is not None:
            await known.follower.reached(position)
        # Without a history a repetition does not come back, and can't be told from one
        # that does.
        elif publication.idempotency_key is None:
            echo = self._echoes.get(publication.id)
            if echo is not None:
                await echo[1].wait()

    # -- receiving ------------------------------------------------------------------

    def deliver(self, group: str, carried: Carried, position: Position | None) -> None:
        """Take what the layer delivers, and hand it to the members.

        Raises:
            MessageNotEncodable: A member's codec can't send what was published here;
                only where the layer is local.
        """
        if isinstance(carried, bytes):
            try:
                if (publication := self._opened(group, carried)) is not None:
                    self._take(publication, position)
            except MessageNotEncodable as error:
                log.error("a publication to %s is dropped: %s", group, error)
        else:
            assert isinstance(carried, Publication)
            self._take(carried, position)

    async def deliver_from_elsewhere(self, publications: Sequence[Publication]) -> None:
        """Take what was published on another event loop of this process.

        Raises:
            MessageNotEncodable: A member's codec can't send one.
        """
        for publication in publications:
            self._take(publication, publication.position)
        for follower in self.subscribing.followers:
            await follower.recover()
        await checkpoint()

    def _take(self, publication: Publication, position: Position | None) -> None:
        if position is not None:
            publication.position = position
            known = self.subscribing.of.get(publication.group)
            if known is not None and known.follower is not None:
                if known.follower.take(publication, position):
                    self._recover(known.follower)
                return
        self._dispatch(publication)

    def _dispatch(self, publication: Publication) -> None:
        """Hand a publication to whom it is for; its turn has come."""
        match publication.kind:
            case Kind.MESSAGE | Kind.PRESENCE | Kind.GAP:
                self.coalescing.deliver(publication)
            case Kind.DISCONNECT:
                code, reason = publication.message
                self.hub.disconnect(publication.group, code, reason)
            case Kind.DIRECT:
                self.hub.direct(publication)
            case Kind.STOP | Kind.FREE:
                self.sources.take(publication)

    def _opened(self, group: str, payload: bytes) -> Publication | None:
        try:
            wire = Publication.open(payload)
            if wire.id in self._echoes:
                publication, event = self._echoes[wire.id]
                event.set()
                return publication
            known = self.subscribing.of.get(group)
            return Publication.read(group, wire, None if known is None else known.group)
        except (msgspec.MsgspecError, ValueError) as error:
            self.counters.unreadable += 1
            log.error("what came to group %s is no publication: %s", group, error)
            return None

    # -- following ------------------------------------------------------------------

    def resumed(self) -> None:
        """Take note that the layer was cut off: look for what is missing."""
        self._silent()
        if self._tasks is not None:
            self.spawn(self._check)
            self.spawn(self.announcing.renew)

    def _silent(self, group: str | None = None) -> None:
        """Have nobody wait for what may not come back, of one group or of any."""
        for publication, event in self._echoes.values():
            if group in (None, publication.group):
                event.set()

    async def _check(self) -> None:
        with suppress(LayerUnavailable):  # it calls `resumed` again
            await self.subscribing.check()

    def _recover(self, follower: Follower) -> None:
        if self._tasks is not None:
            self.spawn(follower.recover)

    def _follower(self, name: GroupName) -> Follower | None:
        if name.group.history is None:
            return None
        return Follower(
            name.name,
            name.group.history,
            self.layer,
            read=lambda kept: publication_of(kept, name, self.counters),
            deliver=self._dispatch,
            counters=self.counters,
        )

    # -- members --------------------------------------------------------------------

    async def join(
        self, names: Sequence[GroupName], member: Member, *, hold: bool = False
    ) -> list[Membership]:
        """Make a connection a member; when it returns it gets what is published.

        Args:
            names: Of which groups.
            member: Who.
            hold: Whether publications, and sources, are to wait for its release.

        Raises:
            LayerUnavailable: It is a member of none that it was not before.
            InvalidParameters: A source can't take what a group's name holds.
            StateError: A group has a source, and the groups do not run.

        Cancelling leaves it open of which it is a member.
        """
        for name in names:
            for source in name.group.sources:
                if not self.is_running:
                    raise self.not_running()
                source.check(name)
        added = [each for each in names if member not in self.hub.get(each.name)]
        for name in names:
            self.coalescing.flush(name.name)  # what was published before
        memberships = [self.hub.add(name.name, member) for name in names]
        for membership in memberships if hold else ():
            self.hub.hold(membership, member)
        try:
            await self.subscribing.ensure(names)
        except LayerUnavailable:
            for name in added:
                self.leave(name.name, member)
            raise
        for name in names:
            if name.group.sources:
                self.sources.join(name, begin=not hold)
        return memberships

    def leave(self, group: str, member: Member) -> None:
        """End a membership at once. Does nothing where there is none."""
        if self.hub.remove(group, member):
            self.subscribing.forget(group)
            self.sources.leave(group)
        self.announcing.exit(group, member)

    def position(self, name: GroupName) -> Position | None:
        """Return where a group that has members here stands; ``None``: no history."""
        known = self.subscribing.of.get(name.name)
        follower = None if known is None else known.follower
        return None if follower is None else follower.position

    def release(
        self,
        name: GroupName,
        membership: Membership,
        member: Member,
        after: Position | None,
    ) -> None:
        """Deliver what was held for a member, and is after a position."""
        here = self.position(name)
        ahead = (
            after is not None
            and here is not None
            and here.epoch == after.epoch
            and here.offset < after.offset
        )
        self.coalescing.flush(name.name)  # else it would come after the release
        self.hub.release(membership, member, after, ahead=ahead)
        if name.group.sources and self.is_running:
            self.sources.join(name)


async def _contained(function: Callable[[], Awaitable[Any]]) -> None:
    try:
        await function()
    except Exception:
        name = getattr(function, "__qualname__", repr(function))
        log.exception("%s of the groups failed", name)
