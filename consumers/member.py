"""`GroupMember`: a connection that can be a member of groups.

What publications go through on their way into one connection stands here as well:
:meth:`~GroupMember.deliver`.
"""

from __future__ import annotations

import logging
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Hashable,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec

from .backlog import Backlog, Entry
from .errors import MessageNotEncodable, NotAllowed
from .groups import Groups, Kind, Membership, Past, Publication, Target
from .groups.publication import form_of
from .history import Position, Recovery
from .state import OPEN, Action, State
from .websocket import WebSocket

if TYPE_CHECKING:
    from .backlog import Published
    from .codecs import Event
    from .forms import Sending
    from .groups import GroupName
    from .outbox import Suspended
    from .plan import Plan
    from .policies import Loss
    from .signatures import Signature

__all__ = ["GroupMember"]

log: Final = logging.getLogger("consumers")

# A publication that is yet to be intercepted has no size; it counts as this many bytes.
_INTERCEPTED_SIZE: Final = 256

_TOLD: Final[dict[Loss, str]] = {
    "dropped_oldest": "reads too slowly, old publications are dropped for new ones",
    "dropped_newest": "reads too slowly, new publications are dropped",
    "given_up": "was closed while publications waited for it, which are dropped",
}
"""What the log says of a connection, once each."""


class GroupMember(WebSocket):
    """A connection with groups. Users subclass ``WebSocketConsumer``."""

    positions: ClassVar[bool] = False
    """Whether publications of groups with history are sent with their position:
    ``{"group": "chat.lobby", "position": "17.k3jx", "message": …}``. JSON or
    MessagePack only."""

    _plan: ClassVar[Plan]
    # What publications are sent in, where they are sent as they are and can be stepped.
    _form: Hashable | None = None
    _groups: Groups
    _memberships: dict[str, GroupName]

    @property
    def id(self) -> str:
        """What names this connection, in all processes: see ``groups.send``."""
        if not self._id:
            name = super().id
            if self._stage is not State.CONNECTING or hasattr(self, "_groups"):
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
            ConfigurationError: A group without history has no positions.
            StateError: The connection is not open.
            ConnectionClosed: The client is gone.
            LayerUnavailable: The layer can't be reached.

        Cancelling leaves it open which groups were joined.
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
        """Stop being a member. Does nothing where it is none. Cancelling is safe."""
        names = [self._groups.resolve(group).name for group in groups]
        for name in names:
            self._memberships.pop(name, None)
        self._groups.leave(names, self)

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
                await self._send_again(publication)
        except BaseException:
            self._memberships.pop(name.name, None)
            self._groups.leave([name.name], self)
            raise
        self._groups.release(name, membership, self, past.recovery.position)

    async def subscribe(self, group: Target, since: Position | None = None) -> Recovery:
        """Join by the class's ``@subscribes`` method for ``group``.

        It decides whether the client may, and what it returns is sent first; where
        everything since ``since`` is recovered that is sent instead.

        Raises:
            NotAllowed: The method refuses, or the class has none for the group.
            StateError: The connection is not open.
            ConnectionClosed: The client is gone.
            LayerUnavailable: The layer can't be reached.
        """
        name = self._groups.resolve(group)
        found = self._plan.subscribers.get(name.group)
        if found is None:
            raise NotAllowed(
                f"{type(self).__name__} has no method for group {name.name!r}; "
                "mark one @subscribes(group)"
            )
        signature, method = found
        texts: Mapping[str, str] = name.group.values_of(name.name) or {}
        try:
            values = {
                each.name: each.convert(texts[each.name])
                for each in signature.parameters
                if each.name in texts
            }
        except msgspec.ValidationError as error:
            raise NotAllowed(f"group {name.name!r}: {error}") from error
        async with self.joining(name, since=since) as recovery:
            if any(each.name == "recovered" for each in signature.parameters):
                values["recovered"] = recovery.recovered
            snapshot = await self._call_with(signature, getattr(self, method), values)
            if snapshot is not None and not recovery.recovered:
                await self.send(snapshot)
        return recovery

    async def update_presence(self, group: Target, presence: Any) -> None:
        """Change what ``groups.presence`` tells of this connection.

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

        Works in ``on_disconnect`` too.
        """
        return await self._groups.publish(
            group,
            message,
            exclude=self if exclude_self else None,
            idempotency_key=idempotency_key,
        )

    async def _join(
        self, names: Sequence[GroupName], presence: Any, *, hold: bool = False
    ) -> list[Membership]:
        if self._stage is not State.OPEN:
            await self._do(Action.JOIN)
        for name in names:
            self._memberships[name.name] = name
        if self._steps and not self._plan.interceptors:
            self._form = form_of(self._send_codec, self.positions)
        memberships = await self._groups.join(
            names, self, hold=hold, hears_presence=self._plan.on_presence is not None
        )
        for name in names:
            if name.group.presence is not None and self._stage is State.OPEN:
                await self._groups.enter(name, self, presence)
        if self._stage is not State.OPEN:  # it ended while the layer was asked
            self._groups.leave([name.name for name in names], self)
            await self._do(Action.JOIN)
        return memberships

    async def _call_with(
        self,
        signature: Signature,
        function: Callable[..., Awaitable[Any]],
        values: dict[str, Any],
        *given: Any,
    ) -> Any:
        """Call a hook with what it asks for."""
        raise NotImplementedError

    # -- what is published ----------------------------------------------------------

    def deliver(self, publication: Publication) -> None:
        """Take a publication. For the hub."""
        if self._stage is not OPEN:
            return
        if publication.kind and publication.kind is not Kind.DIRECT:
            self._tell(publication)
            return
        interceptors = self._plan.interceptors
        if interceptors:
            method = self._interceptor_of(type(publication.message))
            if method is not None:
                self._intercept(method, publication)
                return
        if not publication.internal:
            self._post(*self._encoded(publication), publication)

    def sending(self, publication: Publication) -> Sending | None:
        """Return the sending of what can go out as it is, and at once. For the hub."""
        # Every member of every publication passes here.
        form = self._form
        if (
            form is not None
            and self._outbox is None
            and self._stage is OPEN
            and publication.is_plain
        ):
            event, _ = publication.forms.get(form) or self._encoded(publication)
            return self._asgi_send(event)  # type: ignore[return-value]
        return None

    def put_off(self, rest: Suspended, publication: Publication) -> None:
        """Finish a sending that has to wait. For the hub."""
        _, size = self._encoded(publication)
        self._open_outbox().put_suspended(rest, size, publication)

    def hold(self, membership: Membership, publication: Publication) -> None:
        """Keep a publication back while :meth:`joining` sends its snapshot."""
        assert membership.held is not None
        size = _INTERCEPTED_SIZE
        if not publication.kind and not publication.internal:
            with suppress(MessageNotEncodable):  # told when it is delivered
                size = self._encoded(publication)[1]
        entry = Entry(None, size, publication)
        if not membership.held.add(entry, self._bounds):
            self._overflowed(publication)

    def backlog(self) -> Backlog[Entry]:
        """Return something to hold publications back in. For the hub."""
        return Backlog(self._ledger, self._encoded, self._lost)

    @property
    def takes_batches(self) -> bool:
        """Whether several publications may be sent to it as one. For the hub."""
        return self._send_codec.join is not None and not self._plan.interceptors

    @property
    def dropped(self) -> int:
        """How many publications this client did not get, nor newer ones instead.

        Its groups' policies have dropped them, or they waited when the server closed
        the connection.
        """
        return self._ledger.dropped

    def _lost(self, loss: Loss, count: int) -> None:
        event = self.close_event
        if loss == "given_up" and (event is None or event.initiator != "server"):
            return  # it is the client who left
        self._groups.counters.count(loss, count)
        if self._ledger.note(loss, count) and loss in _TOLD:
            log.info("connection %s: %s", self.id, _TOLD[loss])

    def _overflowed(self, publication: Published) -> None:
        self._lost(
            "overflowed", 1 if publication.items is None else len(publication.items)
        )
        log.warning(
            "connection %s: closed with 1013, it reads too slowly: %d publications "
            "wait for it, %d bytes, and %s of group %s allows no more",
            self.id,
            self._ledger.messages,
            self._ledger.bytes,
            type(publication.policy).__name__,
            publication.group,
        )

    def _tell(self, publication: Publication) -> None:
        """Have the hook called that a presence diff, or a gap, is for."""
        plan = self._plan
        if publication.kind is Kind.PRESENCE:
            signature, hook = plan.on_presence, "on_presence"
        else:
            signature, hook = plan.on_gap, "on_gap"
        if signature is not None:
            name = self._memberships.get(publication.group)

            async def late() -> None:
                if name is not None:
                    await self._call_with(
                        signature, getattr(self, hook), {}, name, publication.message
                    )

            self._post_late(late, publication)
        elif publication.kind is Kind.GAP:
            self.end(1013, "publications were lost, come back")

    def _interceptor_of(self, kind: type) -> str | None:
        for base in kind.__mro__:
            if base in self._plan.interceptors:
                return self._plan.interceptors[base]
        return None

    def _intercept(self, method: str, publication: Publication) -> None:
        async def late() -> Event | None:
            return await self._intercepted(method, publication)

        self._post_late(late, publication)

    async def _intercepted(self, method: str, publication: Publication) -> Event | None:
        message = await getattr(self, method)(publication.message)
        if message is None:
            return None
        if message is publication.message and not publication.internal:
            return self._encoded(publication)[0]
        return self._encoded(publication.changed(message))[0]

    async def _send_again(self, publication: Publication) -> None:
        """Send what a group has kept, and wait until it is out."""
        event: Event | None = None
        method = self._interceptor_of(type(publication.message))
        if method is not None:
            event = await self._intercepted(method, publication)
        elif not publication.internal:
            event, _ = self._encoded(publication)
        if event is not None:
            await self._transmit(event)

    def _post_late(
        self, late: Callable[[], Awaitable[Event | None]], publication: Publication
    ) -> None:
        outbox, size = self._open_outbox(), _INTERCEPTED_SIZE
        if not outbox.put_late(late, size, publication, self._bounds):
            self._overflowed(publication)

    def _encoded(self, publication: Publication) -> tuple[Event, int]:
        return publication.encoded(self._send_codec, positioned=self.positions)

    def end(self, code: int, reason: str = "") -> None:
        """Begin to close from outside, without waiting. For ``groups.disconnect``."""
        raise NotImplementedError
