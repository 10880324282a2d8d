"""`WebSocket`: one connection over ASGI.

What may be done when stands in one table, ``consumers.state``. The interface is
pull-style: ``receive`` and ``send``; :class:`~consumers.consumer.WebSocketConsumer`
adds the hooks. :class:`~consumers.sender.Sender` is the half of it that sends.

Source of the events: ASGI WebSocket, spec version 2.5.
"""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, ClassVar, NoReturn, Self

from anyio.lowlevel import checkpoint
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from .clock import move_on_after
from .close import CloseEvent, catches, check_code, check_reason
from .codecs import CODECS, Codec, Event
from .errors import ConnectionClosed, Rejected, StateError, shorten
from .forms import Forms
from .handshake.handshake import Handshake
from .handshake.refusal import closing_by
from .limits import DEFAULT_LIMITS
from .queues.direct import direct_of
from .queues.inbox import Inbox
from .sender import Sender
from .state import CLOSED, CLOSING, CONNECTING, OPEN, REFUSED, TRANSITIONS, WHY, Action

__all__ = ["WebSocket"]


async def _stopped() -> NoReturn:
    """Stop an iteration, for who awaits the next."""
    raise StopAsyncIteration


class WebSocket(Handshake, Sender, Forms):
    """One connection over ASGI, in pull style.

    ``receive`` and ``send`` use the types that the class or the route sets; the forms
    with a suffix are always there. Several tasks may send at once. What one task sends
    arrives in the order of its calls.
    """

    auto_accept: ClassVar[bool] = True
    # CaughtCodes, and Limits or None: Any for the reason that
    # WebSocketConsumer gives.
    caught_close_codes: ClassVar[Any] = None
    limits: ClassVar[Any] = None

    _receive_codec: ClassVar[Codec] = CODECS["text"]

    close_event: CloseEvent | None = None
    """How the connection ended, once it has."""

    # Not set where it is the same: Python keeps some 30 attributes of an instance, the
    # application's among them, in a quarter of the room that a dictionary takes.
    _connect_seen = False
    _close_sent = False
    _bounds = DEFAULT_LIMITS
    _retry: float | bool | None = None
    _last: Event | None = None  # what was sent before the close frame

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wrap the three arguments of an ASGI application.

        Raises:
            StateError: The scope is not a WebSocket's.
        """
        if scope["type"] != "websocket":
            raise StateError(
                "a WebSocket serves scopes of type 'websocket', got "
                f"{scope['type']!r}; route HTTP requests elsewhere"
            )
        self.scope = scope
        self._asgi_receive = receive
        # Servers only read the events that they get; publications share theirs.
        self._asgi_send = send  # type: ignore[assignment]
        self._direct = direct = direct_of(scope, receive, send)
        self._take_now = None if direct is None else direct.take
        self._inbox = Inbox(receive, self._left)
        self._stage = CONNECTING
        self._sends = 0
        self._outbox = None

    def __repr__(self) -> str:
        name, path = type(self).__name__, self.scope.get("path")
        return f"<{name} {path} {self._stage.name.lower()} id={self.id}>"

    # -- closing --------------------------------------------------------------------

    async def close(
        self, code: int = 1000, reason: str = "", *, retry: float | bool | None = None
    ) -> None:
        """Close the connection.

        What was sent or published to the client before goes out first. The calling hook
        runs on; no further message comes, and other work of the connection is
        cancelled. Before accept it refuses the handshake with 403.

        Args:
            code: 1000-1003, 1007-1014 or 3000-4999.
            reason: For the client; at most 123 bytes of UTF-8.
            retry: Whether a client of ``consumers.v1`` should come back, or in how many
                seconds; ``None``: the code says it.

        Raises:
            ValueError: The code may not be sent, or the reason is too long.
            StateError: It was closed before.
            ConnectionClosed: The client is gone.

        Waits for at most ``limits.close_timeout`` seconds. What was not sent by then,
        or when it is cancelled, is dropped; the close frame is tried again when the
        connection ends.

        Source: RFC 6455 5.5.1, 7.4; ASGI WebSocket "Close - send event".
        """
        check_code(code)
        check_reason(reason)
        if self._stage is CONNECTING:
            await self._read_connect()
            await self._refuse(403, None, None)
            return
        await self._do(Action.CLOSE)
        self.close_event = CloseEvent(code, reason, None, "server")
        self._retry = retry
        self._inbox.closed = True
        self._closing()
        with move_on_after(self._bounds.close_timeout):
            if self._outbox is not None and not self._outbox.is_mine():
                await self._outbox.put_and_wait(None)
            await self._send_close()

    async def ensure_closed(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection, unless it is closed or the client is gone."""
        if self._stage in (CONNECTING, OPEN):
            with suppress(ConnectionClosed):
                await self.close(code, reason)

    async def _send_close(self) -> None:
        """Send the close frame that ``close_event`` describes, unless it was sent."""
        event = self.close_event
        if event is not None and not self._close_sent:
            if self._last is None and (goodbye := self._goodbye(event)) is not None:
                await self._hand_over(goodbye)
                self._last = goodbye
            await self._hand_over(
                {"type": "websocket.close", "code": event.code, "reason": event.reason}
            )
            self._close_sent = True

    async def __aenter__(self) -> Self:
        """Accept the handshake, unless it was accepted."""
        if self._stage is CONNECTING:
            await self.accept()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """Close with 1000, or after an exception with 1011.

        What the client did wrong closes with the code that says so, an
        ``HTTPException`` with 1008 and a ``WebSocketException`` with its own.
        Silences the client's disconnect if its code is one of ``caught_close_codes``.
        """
        if error is None:
            await self.ensure_closed(1000)
            return False
        if isinstance(error, WebSocketDisconnect) and self._silences(error):
            return True
        if isinstance(error, Exception) and self._stage is OPEN:
            await self.ensure_closed(*closing_by(error))
        return False

    def _silences(self, error: WebSocketDisconnect) -> bool:
        """Tell whether ``async with`` silences a disconnect."""
        own = getattr(error, "connection", self) is self
        caught = catches(self.caught_close_codes, error.code)
        return own and (caught or self._stage is CLOSING)

    # -- messages -------------------------------------------------------------------

    def receive(self) -> Coroutine[Any, Any, Any]:
        """Wait for a message and return it as ``receive_type`` says.

        Cancelling is safe: no message is lost.

        Raises:
            ConnectionClosed: The client is gone; a ``WebSocketDisconnect``.
            InvalidMessage: It is not what the type reads, or is beyond a limit: the
                client's fault.
            StateError: The connection was not accepted.
        """
        return self._received(self._by(self._receive_codec))

    def __aiter__(self) -> Self:
        """Receive until the connection ends."""
        return self

    def __anext__(self) -> Awaitable[Any]:
        """Receive one message; stop after our own close.

        The client's disconnect is raised, for ``async with`` and the runtime to judge
        by ``caught_close_codes``.
        """
        if self._stage is CLOSING:
            return _stopped()
        return self.receive()

    # -- raw events -----------------------------------------------------------------

    async def receive_event(self) -> Event:
        """Receive a raw ASGI event; the client's disconnect too is returned.

        Raises:
            StateError: The connection was not accepted.
        """
        await self._do(Action.RECEIVE)
        return self._inbox.took(await self._following())

    async def send_event(self, event: Event) -> None:
        """Send a raw ASGI event.

        Events that accept or close are carried out by :meth:`accept` and
        :meth:`close`, so that nothing loses track of the state.

        Raises:
            ValueError: The event is none that an application may send.
        """
        kind = event.get("type")
        if kind == "websocket.send":
            await self._transmit(event)
        elif kind == "websocket.accept":
            await self.accept(event.get("subprotocol"), event.get("headers"))
        elif kind == "websocket.close":
            await self.close(event.get("code", 1000), event.get("reason") or "")
        else:
            raise ValueError(
                "an event must be 'websocket.send', 'websocket.accept' or "
                f"'websocket.close', got {shorten(event)}; reject() denies a handshake"
            )

    # -- what the state allows ------------------------------------------------------

    async def _do(self, action: Action) -> None:
        """Make the transition, or raise what says why it can't be made."""
        state = TRANSITIONS[self._stage].get(action)
        if state is not None:
            self._stage = state
        elif self._stage is REFUSED:
            raise Rejected(self._status)
        elif self._stage is CLOSED or self._closed_elsewhere():
            await self._raise_gone()
        else:
            # A cancelled task gets its cancellation here, and not a complaint.
            await checkpoint()
            raise self._mistake(action.value)

    def _mistake(self, verb: str) -> StateError:
        code = self.close_event.code if self.close_event else "none"
        why = WHY[self._stage].format(code=code, status=self._status)
        return StateError(f"can't {verb}: {why}")

    @property
    def _status(self) -> int:
        return (self.close_event and self.close_event.status) or 403

    async def _raise_gone(self, cause: BaseException | None = None) -> NoReturn:
        # A loop that catches this and goes on must still let others run.
        await checkpoint()
        event = self.close_event or CloseEvent(1006, "", False, "network")
        raise ConnectionClosed(self, event.code, event.reason) from cause

    def _left(self, event: Event) -> None:
        """Take note that the client left, as the server tells it."""
        before, self._stage = self._stage, TRANSITIONS[self._stage][Action.LEAVE]
        if before is not self._stage:  # else it was told before, or answers our close
            self.close_event = CloseEvent.reported(event)
            self._gone()

    # -- what the runtime does at these points --------------------------------------

    def _following(self) -> Awaitable[Event]:
        """Return what to await for the next event."""
        return self._inbox.next()

    def _agreed(self, subprotocol: str | None) -> None:
        self._encode = self._send_codec.encode  # settled; one lookup for each message

    def _goodbye(self, event: CloseEvent) -> Event | None:
        """Return what is sent before a close frame."""
        return None

    def _closing(self) -> None:
        """Our close has begun."""

    def _closed_elsewhere(self) -> bool:
        """Tell whether it is over, and by no doing of the caller's."""
        return False

    def _gone(self) -> None:
        """The client left."""
