"""`Subscription`: to a group, over any number of a client's connections."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar

import msgspec
from anyio import EndOfStream
from msgspec import UNSET, Raw

from consumers.clock import move_on_after
from consumers.errors import (
    InvalidMessage,
    MessageError,
    StateError,
    SubscriptionOverflow,
)
from consumers.history import Position
from consumers.protocol.frames import (
    PublicationFrame,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Unsubscribed,
)
from consumers.queues.policies import CloseWhenFull

from .errors import Closed, UnexpectedMessage
from .inbox import Inbox

if TYPE_CHECKING:
    from .parts import Parts

__all__ = ["Publication", "Resubscribed", "Subscription", "Subscriptions"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Publication(Generic[T]):
    """One publication to a group."""

    message: T
    """What was published."""
    position: Position | None
    """Where it stands in the group's history; ``None``: there is none."""
    group: str
    """The group's name."""


@dataclass(frozen=True, slots=True)
class Resubscribed:
    """The subscription stands again, after a connection was lost."""

    recovered: bool
    """Whether nothing is missed: what was published meanwhile comes next."""
    position: Position | None
    """Where it stands now."""
    snapshot: Any
    """What the application sends where nothing was recovered."""


class Subscription(Generic[T]):
    """What ``client.subscribe`` returns: an asynchronous context and iterator.

    ::

        async with client.subscribe("chat.lobby", type=Said) as subscription:
            async for publication in subscription:
                print(publication.message.text)

    It stands while the context lasts, over reconnects too: in a group with history what
    was missed meanwhile comes next, in order and without doubles; where that can't be
    done, :meth:`events` tells.
    """

    def __init__(
        self, parts: Parts, group: str, since: Position | None, kind: Any, snapshot: Any
    ) -> None:
        self.group: Final = group
        """The group's name."""
        self.recovered = False
        """Whether nothing was missed since the position that it returned with."""
        self.snapshot: Any = None
        """What the application sent first, where nothing was recovered."""
        self.position = since
        """After what was read last: the ``since`` to come back with."""
        self._parts = parts
        self._kind = kind
        self._snapshot_kind = snapshot
        self._inbox: Inbox[Publication[Raw] | Resubscribed] = Inbox(parts.unread)
        self._number = 0
        self._confirmed = False
        self.stood = False
        """Whether it was ever confirmed."""
        # Where the next connection goes on; what waits to be read last; and up to where
        # what comes is a double.
        self._reached = since
        self._kept = since
        self._floor: Position | None = since

    async def __aenter__(self) -> Self:
        """Subscribe, and wait until that is confirmed.

        Raises:
            MessageError: The server refuses; ``not_allowed`` by default.
            TimeoutError: No answer came within the client's deadline.
            Closed: The client is closed for good.
            StateError: The client subscribes to this group already.
        """
        subscriptions = self._parts.subscriptions
        subscriptions.add(self)
        try:
            with move_on_after(self._parts.deadline) as scope:
                first = await self._inbox.get()
            if scope.cancelled_caught:
                raise TimeoutError(f"the subscription to {self.group} was not answered")
            assert isinstance(first, Resubscribed)
            self._note(first)
        except BaseException:
            subscriptions.leave(self)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._parts.subscriptions.leave(self)
        self._inbox.end()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Publication[T]:
        """Wait for the next publication. Cancelling is safe: none is lost.

        Raises:
            MessageError: The server has ended the subscription.
            SubscriptionOverflow: It is read too slowly, and is over; ``position`` is
                where another one can go on.
            UnexpectedMessage: The publication is not of the expected type.
            Closed: The client is closed for good, and not by its own ``close()``.
        """
        while True:
            event = await self.next()
            if isinstance(event, Publication):
                return event

    def events(self) -> AsyncIterator[Publication[T] | Resubscribed]:
        """Yield publications, and `Resubscribed` wherever a connection was lost."""
        return _Events(self)

    async def next(self) -> Publication[T] | Resubscribed:
        """Wait for what comes next; see :meth:`events`."""
        try:
            event = await self._inbox.get()
        except EndOfStream:
            raise StopAsyncIteration from None
        self.position = event.position
        if isinstance(event, Resubscribed):
            self._note(event)
            return event
        message: T = self._parts.wire.convert(event.message, self._kind)
        return Publication(message, event.position, event.group)

    def _note(self, event: Resubscribed) -> None:
        self.position = event.position
        self.recovered, self.snapshot = event.recovered, event.snapshot

    # What the connections say; called by `Subscriptions`.

    def ask(self) -> None:
        """Subscribe over the connection that there is."""
        self._confirmed = False
        self._number = self._parts.outgoing.number()
        position = None if self._reached is None else str(self._reached)
        self._parts.outgoing.urge(Subscribe(self._number, self.group, position))

    def unask(self) -> int:
        """Unsubscribe over the connection that there is; return the id of that."""
        number = self._parts.outgoing.number()
        self._parts.outgoing.urge(Unsubscribe(number, self.group))
        return number

    def confirmed(self, frame: Subscribed) -> None:
        """Take the answer to a subscribe."""
        if frame.id != self._number:
            return
        self._confirmed = self.stood = True
        position = _position(frame.position)
        if not frame.recovered:
            # The latest publications may follow, from before that position.
            self._floor = None
        self._reached = position
        snapshot = frame.snapshot
        if snapshot is not None and self._snapshot_kind is not Any:
            try:
                snapshot = msgspec.convert(snapshot, self._snapshot_kind)
            except msgspec.ValidationError as error:
                self._parts.subscriptions.leave(self)
                self._inbox.end(UnexpectedMessage(self._snapshot_kind, str(error)))
                return
        self._put(Resubscribed(frame.recovered, position, snapshot))

    def published(self, frame: PublicationFrame[Raw]) -> None:
        """Take a publication; a double is dropped."""
        if not self._confirmed:
            return
        position = _position(frame.position)
        floor = self._floor
        if position is not None:
            if (
                floor is not None
                and floor.epoch == position.epoch
                and position.offset <= floor.offset
            ):
                return
            self._reached = self._floor = position
        self._put(Publication(frame.message, position, frame.group))

    def end(self, error: Exception | None) -> None:
        """Let nothing come any more."""
        self._parts.subscriptions.forget(self)
        self._inbox.end(error)

    @property
    def asked(self) -> int:
        """The id of the subscribe that is not answered; 0: there is none."""
        return 0 if self._confirmed else self._number

    def _put(self, event: Publication[Raw] | Resubscribed) -> None:
        if self._inbox.put(event):
            self._kept = event.position
        elif not self._inbox.is_over:
            policy = CloseWhenFull(messages=self._inbox.most)
            self._parts.subscriptions.leave(self)
            self._inbox.end(SubscriptionOverflow(self.group, policy, self._kept))


class _Events(Generic[T]):
    """No generator: those want to be closed, on trio."""

    def __init__(self, subscription: Subscription[T]) -> None:
        self._subscription = subscription

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Publication[T] | Resubscribed:
        return await self._subscription.next()


def _position(text: str | None) -> Position | None:
    try:
        return None if text is None else Position.parse(text)
    except ValueError as error:
        raise InvalidMessage(1007, "a position is none", str(error)) from error


class Subscriptions:
    """A client's subscriptions, by their groups' names."""

    def __init__(self) -> None:
        self._all: dict[str, Subscription[Any]] = {}
        # {the id of an unsubscribe that is not answered: the group}
        self._leaving: dict[int, str] = {}
        self._closed: Closed | None = None

    def add(self, subscription: Subscription[Any]) -> None:
        """Subscribe, now and over each other connection."""
        if self._closed is not None:
            raise self._closed
        if subscription.group in self._all:
            raise StateError(
                "one subscription to each group was expected, got another one to "
                f"{subscription.group!r}; leave the first one before"
            )
        self._all[subscription.group] = subscription
        subscription.ask()

    def leave(self, subscription: Subscription[Any]) -> None:
        """Unsubscribe, unless that is over already."""
        if self.forget(subscription):
            self._leaving[subscription.unask()] = subscription.group

    def left(self, number: int) -> None:
        """Take the answer to an unsubscribe, if it is one."""
        self._leaving.pop(number, None)

    def forget(self, subscription: Subscription[Any]) -> bool:
        """Take one away; return whether it was there."""
        found = self._all.get(subscription.group) is subscription
        if found:
            del self._all[subscription.group]
        return found

    def opened(self) -> None:
        """Subscribe to everything over a new connection."""
        self._leaving.clear()
        for subscription in self._all.values():
            subscription.ask()

    def close(self, closed: Closed, *, quietly: bool) -> None:
        """End all; ``quietly``: without an exception for who reads."""
        self._closed = closed
        for subscription in list(self._all.values()):
            subscription.end(None if quietly else closed)

    def subscribed(self, frame: Subscribed) -> None:
        """Take the answer to a subscribe."""
        if (subscription := self._all.get(frame.group)) is not None:
            subscription.confirmed(frame)

    def published(self, frame: PublicationFrame[Raw]) -> bool:
        """Take a publication; return whether it is of a subscription, or was of one."""
        if (subscription := self._all.get(frame.group)) is not None:
            subscription.published(frame)
            return True
        return frame.group in self._leaving.values()

    def unsubscribed(self, frame: Unsubscribed) -> None:
        """Take the end of a subscription."""
        if (subscription := self._all.get(frame.group)) is not None:
            detail = None if frame.detail is UNSET else frame.detail
            subscription.end(MessageError(frame.code, detail))

    def asked(self, number: int) -> Subscription[Any] | None:
        """Return whose subscribe has this id and is not answered."""
        for subscription in self._all.values():
            if subscription.asked == number:
                return subscription
        return None

    def ask_again(self, subscription: Subscription[Any]) -> None:
        """Subscribe again, if it is still there."""
        if self._all.get(subscription.group) is subscription:
            subscription.ask()
