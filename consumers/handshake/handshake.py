"""The handshake: a connection's beginning, which is accepted or refused.

Source: ASGI WebSocket, spec version 2.5; RFC 6455 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from consumers.close import CloseEvent
from consumers.errors import Rejected, StateError
from consumers.state import CONNECTING, OPEN, Action, State

from .connection import Connection
from .headers import Headers, checked_headers, checked_subprotocol
from .refusal import Refusal

if TYPE_CHECKING:
    from starlette.types import Receive

    from consumers.codecs import Event
    from consumers.queues.inbox import Inbox

__all__ = ["Handshake"]


class Handshake(Connection):
    """What a connection can do about its handshake."""

    refusals: ClassVar[Any] = "http"

    _stage: State
    _inbox: Inbox
    _connect_seen: bool
    _is_accepted = False  # and all was sent that comes first
    _asgi_receive: Receive
    close_event: CloseEvent | None

    if TYPE_CHECKING:

        async def close(self, code: int = 1000, reason: str = "") -> None:
            """Close the connection."""

        async def _do(self, action: Action) -> None: ...
        async def _hand_over(self, event: Event) -> None: ...
        def _left(self, event: Event) -> None: ...

    # -- the handshake --------------------------------------------------------------

    async def accept(
        self, subprotocol: str | None = None, headers: Headers | None = None
    ) -> None:
        """Accept the handshake.

        Args:
            subprotocol: One of those that the client offered; ``None``: `consumers.v1`
                where it offers that, else none.
            headers: For the answer: a mapping or pairs, of str or bytes.

        Raises:
            ValueError: The subprotocol was not offered, or a header can't be sent.
            StateError: It was accepted before.
            ConnectionClosed: The client is gone.
            starlette.exceptions.HTTPException: 429: ``self.user`` has too many
                connections. Let it pass: it refuses the handshake.

        Cancelling leaves it open whether the client learned of the acceptance.

        Source: RFC 6455 4.2.2; ASGI WebSocket "Accept - send event".
        """
        if subprotocol is None:
            subprotocol = self._negotiated()
        if subprotocol is not None:
            checked_subprotocol(subprotocol, self.subprotocols)
        event = {
            "type": "websocket.accept",
            "subprotocol": subprotocol,
            "headers": checked_headers(headers),
        }
        if not self._connect_seen:
            await self._read_connect()
        if "user" in self.scope and self._stage is CONNECTING:
            self._settled()
        await self._do(Action.ACCEPT)
        self._agreed(subprotocol)
        await self._hand_over(event)
        await self._accepted()
        self._is_accepted = True

    async def reject(
        self,
        status: int = 403,
        content: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> NoReturn:
        """Refuse the handshake with an HTTP status. Never returns.

        After accept it closes with 1008 instead. Where ``refusals`` is ``"close"`` the
        connection is accepted and closed at once with 4000 + ``status``, which a
        browser's script can read. A server without denial responses answers 403.

        Args:
            status: 400-599.
            content: A text, or a value for JSON. For the client's eyes.
            headers: For the answer, such as ``{"retry-after": "5"}``.

        Raises:
            Rejected: Always. Let it pass: whoever catches it gets it again.
            ValueError: The status is not one of an error.

        Source: ASGI WebSocket "Websocket Denial Response".
        """
        if not 400 <= status <= 599:
            raise ValueError(
                f"a refusal's status must be 400-599, got {status!r}; "
                "redirects do not work for WebSockets"
            )
        if self._stage is OPEN:
            await self.close(1008)
        else:
            await self._read_connect()
            await self._refuse(status, content, headers)
        raise Rejected(status)

    async def _refuse(
        self, status: int, content: object, headers: Mapping[str, str] | None
    ) -> None:
        protocol = self._negotiated()
        refusal = Refusal(
            self.scope, self.refusals, status, content, headers, protocol=protocol
        )
        await self._do(Action.REFUSE)
        self._inbox.closed = True
        self.close_event = CloseEvent(1006, "", None, "server", status)
        await refusal.send(self._asgi_receive, self._hand_over)

    async def _read_connect(self) -> None:
        """Read the first event. Does nothing where it was read before."""
        if self._connect_seen:
            return
        event = await self._asgi_receive()
        self._connect_seen = True
        if event["type"] == "websocket.disconnect":
            self._left(event)
        elif event["type"] != "websocket.connect":
            raise StateError(
                f"the first event must be 'websocket.connect', got {event['type']!r}; "
                "the server or a middleware is at fault"
            )

    # -- what a consumer does at these points ---------------------------------------

    def _negotiated(self) -> str | None:
        """Return the subprotocol of the framework's own that will be spoken."""
        return None

    def _settled(self) -> None:
        """The handshake is about to be accepted, and it is settled who the user is."""

    def _agreed(self, subprotocol: str | None) -> None:
        """The handshake is about to be accepted with this subprotocol."""

    async def _accepted(self) -> None:
        """The handshake was accepted."""
