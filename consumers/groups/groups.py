"""`Groups`: everything that can be done with groups, from inside and from outside."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

from anyio.lowlevel import RunVar

from consumers.close import check_code, check_reason
from consumers.errors import MessageNotEncodable
from consumers.history import Position
from consumers.layers import Layer, layers_by_url
from consumers.observing import Observer, Observers

from .announcing import no_presence, present
from .declaration import Group, Target, node_group, session_group, user_group
from .declaring import Declaring
from .hub import Member
from .joining import Joining
from .local import Local
from .presence import Present
from .publication import Kind, Publication
from .recovery import Excerpt, no_history, publications_of
from .subscription import Subscription
from .sync import SyncGroups

__all__ = ["STATE_KEY", "Groups", "Health"]

log = logging.getLogger("consumers")

STATE_KEY: Final = "consumers.groups"
"""Where the lifespan's state has the groups."""


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the layer answers."""

    ok: bool
    """Whether it does."""
    latency: float | None = None
    """Seconds that a round trip took."""
    detail: str = ""
    """What is wrong."""


class Groups(Declaring, Joining):
    """The groups of an application.

    Made at import time, without an event loop. Members belong to the event loop that
    their connection runs on.
    """

    def __init__(
        self,
        url: str = "memory://",
        declared: Iterable[Group] = (),
        *,
        wait: float = 0.0,
        layer: Callable[[], Layer] | None = None,
    ) -> None:
        """Declare groups.

        Args:
            url: Which layer carries publications. ``memory://``: this process alone.
                ``redis://``, ``rediss://`` (TLS) and ``unix://``: all processes that
                use the same Redis or Valkey; see the reference for the URL's options.
            declared: The groups. A plain string that is one of their names is that
                group.
            wait: Seconds to wait for a layer that can't be reached at the start, before
                that fails.
            layer: Makes a layer of one's own instead, for each event loop. Then ``url``
                is only what it is called.

        Raises:
            ConfigurationError: There is no such layer, or a pattern is declared twice.
        """
        Declaring.__init__(self)
        Joining.__init__(self, layer or layers_by_url(url, wait), url)
        self.has_own_layer = layer is not None
        """Whether the URL says nothing of the layer."""
        for group in declared:
            self.declare(group)
        self.sync = SyncGroups(self)
        """The same for threads, without ``await``."""
        # Of each event loop, what `async with` has entered there.
        self._entered: RunVar[tuple[AbstractAsyncContextManager[Any], ...]] = RunVar(
            f"consumers.groups.entered.{id(self)}", ()
        )

    # -- its life -------------------------------------------------------------------

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncIterator[dict[str, Any]]:
        """Run the groups' part of a lifespan: ``FastAPI(lifespan=groups.lifespan)``.

        Consumers in that application's table then join these groups: servers pass on
        the state that is yielded. A lifespan of one's own does so too::

            async with groups.lifespan(app) as state:
                yield {**state, "pool": pool}

        Entered again on the same event loop, it lasts until the first is left.

        Raises:
            LayerUnavailable: The layer can't be reached.
        """
        local = self._local()
        if local.is_running:
            yield {STATE_KEY: self}
            return
        try:
            async with local.running():
                yield {STATE_KEY: self}
        finally:
            self._loop.set(None)
            self.loops.discard(local.token)

    async def __aenter__(self) -> Self:
        """Connect, for a program that is no application: a worker, a script."""
        context = self.lifespan()
        await context.__aenter__()
        self._entered.set((*self._entered.get(), context))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        """Disconnect."""
        *outer, context = self._entered.get()
        self._entered.set(tuple(outer))
        return await context.__aexit__(kind, error, traceback)

    async def health(self) -> Health:
        """Tell whether the layer answers, for a readiness check. Raises nothing."""
        try:
            local = await self._here()
            return Health(True, await local.layer.check())
        except Exception as error:
            return Health(False, detail=str(error))

    def observe(self, observer: Observer) -> None:
        """Have an observer told of the publications of this process.

        Before the groups run: an `App` does so with its own.
        """
        self.observers = Observers([*self.observers.all, observer])
        observer.attached(self)

    # -- publishing -----------------------------------------------------------------

    async def publish(
        self,
        group: Target,
        message: Any,
        *,
        exclude: Member | None = None,
        idempotency_key: str | None = None,
    ) -> Position | None:
        """Send ``message`` to every member of ``group``.

        Never waits for a client: who does not read fast enough has it wait in its
        outbox. Members get what one task publishes in the order of its calls.

        Args:
            group: Where to.
            message: What each member's ``send_type`` can send.
            exclude: A member that does not get it.
            idempotency_key: What tells a repetition: a second publication to the group
                with this key, within some minutes, is not sent.

        Returns:
            Its position, in a group with history; that of the first one where this is
            a repetition.

        Raises:
            TypeError: The group was declared to send other types.
            MessageNotEncodable: On a layer of this process alone: a member's type can't
                send it, and the others have got it. With a broker: it has no form in
                MessagePack, and nobody has got it; what one member's type can't send is
                only logged there, in the member's process.
            LayerUnavailable: The layer can't be reached. Whether it was sent is open;
                with an ``idempotency_key`` it can be tried again.

        Cancelling leaves it open who gets it.
        """
        publication = self._publication(group, message, idempotency_key)
        if exclude is not None:
            publication.exclude, publication.connection = exclude, exclude.id
        return (await self._publish([publication]))[0]

    async def publish_many(
        self, messages: Iterable[tuple[Target, Any]]
    ) -> list[Position | None]:
        """Send messages, each to a group of its own: ``[(group, message), ...]``.

        In one round trip to the layer. Otherwise as `publish`.
        """
        return await self._publish(
            [self._publication(group, message) for group, message in messages]
        )

    async def publish_to_user(self, key: str, message: Any) -> None:
        """Send ``message`` to every connection of one user. Otherwise as `publish`."""
        await self._publish([Publication(user_group(key).name, message)])

    async def send(self, connection: str, message: Any) -> None:
        """Send ``message`` to one connection, wherever it is: ``groups.send(id, ...)``.

        ``id`` is its ``consumer.id``, as in ``groups.presence``. Nothing happens where
        it is gone. Otherwise as `publish`.
        """
        await self._publish([self._direct(connection, message)])

    async def disconnect(
        self,
        *,
        user: str | None = None,
        session: str | None = None,
        code: int = 1008,
        reason: str = "",
    ) -> int:
        """Close every connection of one user, or of one session, in all processes.

        A handshake that is before its accept meanwhile is not closed: first end what
        ``authenticate`` goes by, such as the session's row, and then call this.

        Args:
            user: The identity's ``key``.
            session: The identity's ``session``, instead.
            code: The close code; 4401 has clients come back with another credential.
            reason: The close reason.

        Returns when their ends have begun here; handlers that run may finish within
        ``finish_timeout``.

        Returns:
            How many there were in this process.

        Raises:
            TypeError: It is neither a user nor a session, or both.
            ValueError: The code may not be sent, or the reason is too long.
            LayerUnavailable: The layer can't be reached.
        """
        publication = self._goodbye(user, session, code, reason)
        count = sum(await self._everywhere(self._count_here, publication.group))
        await self._publish([publication])
        return count

    def subscribe(
        self,
        group: Target,
        since: Position | None = None,
        last: int | None = None,
        *,
        presence: bool = False,
    ) -> Subscription:
        """Return a member of ``group`` for a worker or a bridge, to be iterated over.

        Args:
            group: Which.
            since: A position; what was published after it comes first.
            last: How many of the latest publications come first where ``since`` is not
                given, or can't be recovered.
            presence: Whether presence diffs come too, as publications whose message is
                a `PresenceDiff`.
        """
        name = self.resolve(group)
        return Subscription(self, name, since, last, presence=presence)

    def _publication(
        self, group: Target, message: Any, idempotency_key: str | None = None
    ) -> Publication:
        name = self.resolve(group)
        name.group.check(message)
        return Publication(
            name.name,
            message,
            declared=name.group,
            idempotency_key=idempotency_key,
        )

    def _direct(self, connection: str, message: Any) -> Publication:
        node = node_group(connection.partition("-")[0]).name
        return Publication(node, message, kind=Kind.DIRECT, connection=connection)

    def _goodbye(
        self, user: str | None, session: str | None, code: int, reason: str
    ) -> Publication:
        check_code(code)
        check_reason(reason)
        if (user is None) is (session is None):
            raise TypeError(
                "disconnect must get either a user or a session, got "
                f"{'neither' if user is None else 'both'}; write disconnect(user=key)"
            )
        name = session_group(session or "") if user is None else user_group(user)
        return Publication(name.name, (code, reason), kind=Kind.DISCONNECT)

    async def _publish(
        self, publications: Sequence[Publication]
    ) -> list[Position | None]:
        local = self._loop.get()
        if local is None or not local.is_ready:
            local = await self._here()
        if not local.layer.local or not self.loops - {local.token}:
            return await local.publish(publications)
        positions: list[Position | None] = []
        unencodable: MessageNotEncodable | None = None
        try:
            positions = await local.publish(publications)
            for publication, position in zip(publications, positions, strict=True):
                publication.position = position
        except MessageNotEncodable as error:
            unencodable = error
        await self._elsewhere(local, self._publish_there, publications)
        if unencodable is not None:
            raise unencodable
        return positions

    async def _publish_there(
        self, local: Local, publications: Sequence[Publication]
    ) -> None:
        await local.deliver_from_elsewhere(publications)

    # -- asking ---------------------------------------------------------------------

    async def count(self, group: Target, *, users: bool = False) -> int:
        """Return how many connections are members of ``group``, without fetching them.

        Args:
            group: Which.
            users: Count those of one user once.

        Raises:
            ConfigurationError: That needs a group declared with presence: across
                processes, or for users.
            LayerUnavailable: The layer can't be reached.
        """
        name = self.resolve(group)
        local = await self._here()
        if name.group.presence is not None:
            count = await local.layer.count(name.name)
            return count.users if users else count.connections
        if users or not local.layer.local:
            raise no_presence(name)
        return sum(await self._everywhere(self._count_here, name.name))

    async def _count_here(self, local: Local, group: str) -> int:
        return len(local.hub.get(group))

    async def presence(self, group: Target) -> list[Present]:
        """Return who is in ``group``: each user once, first joined first.

        Raises:
            ConfigurationError: The group was declared without presence.
            LayerUnavailable: The layer can't be reached.
        """
        name = self.resolve(group)
        if name.group.presence is None:
            raise no_presence(name)
        local = await self._here()
        return present(await local.layer.present(name.name))

    async def history(
        self,
        group: Target,
        since: Position | None = None,
        limit: int | None = None,
    ) -> Excerpt:
        """Return what a group has kept.

        Args:
            group: Whose history.
            since: After which position; ``None``: the latest ones.
            limit: How many at most; ``None``: all.

        Raises:
            ConfigurationError: The group was declared without history.
            LayerUnavailable: The layer can't be reached.
        """
        name = self.resolve(group)
        local = await self._here()
        if name.group.history is None:
            raise no_history(name)
        replay = await local.layer.history(
            name.name, name.group.history, since=since, limit=limit
        )
        publications = publications_of(replay, name, self.counters)
        return Excerpt(publications, replay.position, replay.complete)
