"""A subscription: a member that is no connection, for workers and bridges."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from itertools import count
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import anyio
from anyio.lowlevel import checkpoint
from starlette.authentication import UnauthenticatedUser

from consumers.codecs import CODECS, Event
from consumers.errors import (
    ConfigurationError,
    MessageNotEncodable,
    PublicationsLost,
    StateError,
    SubscriptionOverflow,
)
from consumers.handshake.connection import process_id
from consumers.history import Position, Recovery
from consumers.limits import DEFAULT_LIMITS
from consumers.queues.backlog import Backlog, Entry, Ledger

from .publication import Kind, Publication

if TYPE_CHECKING:
    from consumers.queues.policies import Loss

    from .declaration import GroupName
    from .groups import Groups
    from .hub import Membership

__all__ = ["Subscription"]

_ids = count(1)
_NOBODY: Final = UnauthenticatedUser()
_CODEC: Final = CODECS["msgpack"]

# What can't be measured counts as this many bytes.
_SIZE: Final = 256


class Subscription:
    """What ``groups.subscribe`` returns: an asynchronous context and iterator.

    ::

        async with groups.subscribe(room("lobby")) as subscription:
            async for publication in subscription:
                await store(publication.message)

    A member of the group while the context lasts. It yields each `Publication`: what
    was asked for of the past first, and then what is published, in order, without a gap
    and without doubles. ``publish(…, exclude=subscription)`` spares it one's own.
    """

    takes_batches: Final = False
    """It gets every publication by itself."""

    def __init__(
        self,
        groups: Groups,
        name: GroupName,
        since: Position | None = None,
        last: int | None = None,
        *,
        presence: bool = False,
    ) -> None:
        """Prepare one; see ``Groups.subscribe``."""
        self.group: Final = name
        """The group."""
        self.recovery = Recovery(False)
        """What became of ``since``; after a gap, of that."""
        self.position: Position | None = None
        """After what was yielded last: the ``since`` to come back with. ``None``: there
        is none, or not yet."""
        self.user: Final = _NOBODY
        """Nobody: a subscription is not present in the group."""
        self.id: Final = f"{process_id()}-subscription-{next(_ids)}"
        """What names it, in every process."""
        self._groups: Final = groups
        self._since: Final = since
        self._last: Final = last
        self._presence: Final = presence
        self._ledger: Final = Ledger()
        self._past: deque[Publication] = deque()
        self._waiting = self.backlog()
        self._more = anyio.Event()
        self._state = "new"  # or "open", "overflowed", "over"

    @property
    def dropped(self) -> int:
        """How many publications the group's policy has dropped: read too slowly."""
        return self._ledger.dropped

    async def __aenter__(self) -> Self:
        """Join.

        Raises:
            ConfigurationError: The group has no history, or no presence, to ask for.
            LayerUnavailable: The layer can't be reached.
            StateError: It was entered before, or the groups don't run and have to.
        """
        if self._state != "new":
            raise StateError(
                "a subscription can be entered once; call groups.subscribe again"
            )
        name = self.group
        if self._presence and name.group.presence is None:
            raise ConfigurationError(
                f"group {name.name!r} must be declared with presence=True to be "
                "subscribed to with presence=True"
            )
        self._state = "open"
        try:
            [membership] = await self._groups.join(
                [name], self, hold=True, hears_presence=self._presence
            )
            past = await self._groups.past(name, self._since, self._last)
        except BaseException:
            self._leave("over")
            raise
        self._past.extend(past.publications)
        self.recovery = past.recovery
        if past.recovery.recovered:
            self.position = self._since
        elif not past.publications:
            self.position = past.recovery.position
        self._groups.release(name, membership, self, past.recovery.position)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave, without waiting. The iteration ends, and what waits is forgotten."""
        self._leave("over")
        self._past.clear()
        self._waiting = self.backlog()

    def __aiter__(self) -> Self:
        """Iterate over what is published; it can be gone on with at any time."""
        return self

    async def __anext__(self) -> Publication:
        """Return the next publication, as soon as there is one.

        Cancelling is safe: nothing is lost.

        Raises:
            PublicationsLost: Here in the order there is a gap: the layer has lost
                publications. Iterate again to go on after it.
            SubscriptionOverflow: More waited than may, and so the membership has ended.
                All that had waited before was returned.
            StateError: The context was not entered.
        """
        await checkpoint()
        while True:
            publication = self._next()
            if publication is not None:
                return publication
            if self._state == "overflowed":
                raise SubscriptionOverflow(
                    self.group.name, self.group.group.outbox, self.position
                )
            if self._state == "over":
                raise StopAsyncIteration
            if self._state == "new":
                raise StateError(
                    "a subscription must be entered before it is iterated over; write "
                    "async with groups.subscribe(group) as subscription"
                )
            if self._more.is_set():
                self._more = anyio.Event()
            await self._more.wait()

    def _next(self) -> Publication | None:
        publication: Publication | None
        if self._past:
            publication = self._past.popleft()
        else:
            publication = next(self._waiting.take_all(), None)
        if publication is None:
            return None
        if publication.kind is Kind.GAP:
            self.recovery = publication.message
            self.position = self.recovery.position
            raise PublicationsLost(self.group.name, self.position)
        if publication.position is not None:
            self.position = publication.position
        return publication

    def _leave(self, state: str) -> None:
        self._state = state
        self._groups.leave([self.group.name], self)
        self._more.set()

    # -- as a member, for the hub ---------------------------------------------------

    straight: Final = None
    """What is read here is not sent."""
    framed: Final = None
    """Nor is it framed."""

    def deliver(self, publication: Publication) -> None:
        """Take a publication."""
        if self._state != "open":
            return
        if publication.kind is Kind.PRESENCE and not self._presence:
            return
        self._add(self._waiting, publication)
        self._more.set()

    def put_off(self, rest: object, publication: Publication) -> None:
        """Never called, as nothing is sent."""
        raise AssertionError(publication)

    def hold(self, membership: Membership, publication: Publication) -> None:
        """Keep a publication back while the past is fetched."""
        assert membership.held is not None
        self._add(membership.held, publication)

    def backlog(self) -> Backlog[Entry]:
        """Return something to hold publications back in."""
        return Backlog(self._ledger, _encoded, self._lost)

    def end(self, code: int, reason: str = "") -> None:
        """End the iteration, once all that waits was read."""
        self._leave("over")

    def _add(self, backlog: Backlog[Any], publication: Publication) -> None:
        if publication.connection == self.id:
            return  # its own, from the history, which does not know itself
        size = _SIZE
        with suppress(MessageNotEncodable):  # no matter: it is not sent anywhere
            size = _encoded(publication)[1]
        if not backlog.add(Entry(None, size, publication), DEFAULT_LIMITS):
            self._lost("overflowed", 1)
            self._leave("overflowed")

    def _lost(self, loss: Loss, times: int) -> None:
        if loss != "given_up":  # that is its own doing
            self._groups.counters.count(loss, times)
            self._ledger.note(loss, times)


def _encoded(publication: Any) -> tuple[Event, int]:
    encoded: tuple[Event, int] = publication.encoded(_CODEC)
    return encoded
