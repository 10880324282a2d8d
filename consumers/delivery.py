"""`Delivery`: what publications go through on their way into one connection."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, Final

from .codecs import CODECS, Codec
from .errors import MessageNotEncodable
from .groups import Groups, Kind, Membership, Publication
from .over_limit import exceeded
from .queues.backlog import Backlog, Entry
from .state import OPEN
from .websocket import WebSocket

if TYPE_CHECKING:
    from .codecs import Event
    from .groups import GroupName
    from .groups.hub import Send
    from .handlers.plan import Plan
    from .handlers.signatures import Signature
    from .queues.backlog import Published
    from .queues.direct import Direct
    from .queues.outbox import Outbox, Suspended
    from .queues.policies import Loss

__all__ = ["Delivery"]

log: Final = logging.getLogger("consumers")

# A publication that is yet to be intercepted has no size; it counts as this many bytes.
_INTERCEPTED_SIZE: Final = 256

_ALONE: Final = ()
"""What a connection shares that needs frames of its own."""

_TOLD: Final[dict[Loss, str]] = {
    "dropped_oldest": "reads too slowly, old publications are dropped for new ones",
    "dropped_newest": "reads too slowly, new publications are dropped",
    "given_up": "was closed while publications waited for it, which are dropped",
}
"""What the log says of a connection, once each."""


class Delivery(WebSocket):
    """A connection that publications are delivered to, as the hub's `Member`."""

    positions: ClassVar[bool] = False
    """Whether publications of groups with history are sent with their position:
    ``{"group": "chat.lobby", "position": "17.k3jx", "message": …}``. JSON or
    MessagePack only."""

    _plan: ClassVar[Plan]
    _publish_codec: Codec = CODECS["text"]
    straight: tuple[Codec, Send] | None = None
    """What publications go by just so, while nothing waits. For the hub."""
    framed: tuple[Hashable, Direct] | None = None
    """The same where the server takes ready frames."""
    # The same, whether something waits or not; None: they can't be stepped, or are not
    # sent as they are.
    _stepped: tuple[Codec, Send] | None = None
    # What members have in common that are sent the same frames; None: all it gets goes
    # by the server's `send`.
    _shares: Hashable | None = None
    _groups: Groups
    _memberships: dict[str, GroupName]

    if TYPE_CHECKING:  # what the class has that stands above this one

        async def _call_with(
            self,
            signature: Signature,
            function: Callable[..., Awaitable[Any]],
            values: dict[str, Any],
            *given: Any,
        ) -> Any: ...

        def end(self, code: int, reason: str = "") -> None:
            """Begin to close from outside, without waiting."""

    def deliver(self, publication: Publication) -> None:
        """Take a publication. For the hub."""
        if self._stage is not OPEN:
            return
        shares = self._shares
        if (
            shares is not None
            and publication.is_plain
            and self._outbox is None
            and self._posts(publication, shares)
        ):
            return
        if publication.kind:
            if publication.kind is not Kind.DIRECT:
                self._tell(publication)
                return
            if not self._is_accepted:
                return  # its id is known since the handshake; nothing may overtake that
        interceptors = self._plan.interceptors
        if interceptors:
            method = self._interceptor_of(type(publication.message))
            if method is not None:
                self._intercept(method, publication)
                return
        if not publication.internal:
            self._post(*self._encoded(publication), publication)

    def _posts(self, publication: Publication, shares: Hashable) -> bool:
        """Send it as a ready frame; tell whether it went out."""
        direct, frames = self._direct, publication.frames
        assert direct is not None
        frame = frames.get(shares)
        if frame is None:
            event, _ = self._encoded(publication)
            if shares is _ALONE:
                # Not by `write`: a publication waits for no turn.
                text = event.get("text")
                data = event["bytes"] if text is None else text.encode()
                return direct.write_data(data, text is not None)
            frame = frames[shares] = direct.frame(event)
        return direct.post(frame)

    def _share_frames(self) -> None:
        """Send publications as frames that are made once, where the server can."""
        direct = self._direct
        if direct is not None:
            codec, shares = self._publish_codec, direct.shares
            self._shares = codec if shares == () else (codec, shares)
            if shares is None:
                self._shares = _ALONE
        self._straighten()

    def _send_stepped(self) -> None:
        """Have the hub step this connection's sendings, where the server allows it."""
        if self._steps:
            send: Any = self._asgi_send
            self._stepped = (self._publish_codec, send)

    def _straighten(self) -> None:
        """Say what publications go by, after something about that has changed.

        Nothing may overtake what waits, nor follow the connection's end.
        """
        is_clear = self._outbox is None and self._stage is OPEN
        self.straight = self._stepped if is_clear else None
        shares, direct = self._shares, self._direct
        if is_clear and shares is not None and shares is not _ALONE:
            assert direct is not None
            self.framed = (shares, direct)
        else:
            self.framed = None

    def _open_outbox(self) -> Outbox:
        outbox = super()._open_outbox()
        self._straighten()
        return outbox

    async def _write(self) -> None:
        try:
            await super()._write()
        finally:
            self._straighten()

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
        return self._publish_codec.join is not None and not self._plan.interceptors

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
        exceeded(
            "outbox",
            "closed with 1013, it reads too slowly: %d publications "
            "wait for it, %d bytes, and %s of group %s allows no more",
            self._ledger.messages,
            self._ledger.bytes,
            type(publication.policy).__name__,
            publication.group,
            by=self,
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
        return publication.encoded(self._publish_codec)
