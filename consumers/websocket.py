"""`WebSocket`: one connection over ASGI.

What may be done when stands in one table, ``consumers.state``. The interface is
pull-style: ``receive`` and ``send``; :class:`~consumers.consumer.WebSocketConsumer`
adds the hooks.

Source of the events: ASGI WebSocket, spec version 2.5.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, ClassVar, Final, NoReturn, Self

from anyio.lowlevel import checkpoint
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from .clock import move_on_after
from .close import CloseEvent, catches, check_code, check_reason
from .codecs import CODECS, Codec, Event
from .errors import ConnectionClosed, Rejected, StateError, shorten
from .forms import Forms, Sending
from .handshake.handshake import Handshake
from .handshake.refusal import closing_by
from .limits import DEFAULT_LIMITS
from .queues.backlog import Ledger, Published
from .queues.direct import direct_of
from .queues.inbox import Inbox
from .queues.outbox import SERVER_IS_DONE, EventSend, Outbox, can_step, step
from .queues.policies import Loss
from .state import CLOSED, CLOSING, CONNECTING, OPEN, REFUSED, TRANSITIONS, WHY, Action

__all__ = ["WebSocket"]


# A loop of ready sends must let others run. At every send a checkpoint costs
# microseconds, and a look at the message a tenth of one. So there is a look at every
# 7th, with a checkpoint if that is long, and one at every 63rd. The number is odd, so
# that what goes with each message, a header perhaps, is not all that is looked at.
_LOOK: Final = 7
_LOOKS: Final = 9
_LONG: Final = 2048  # bytes, or characters
# How long a failed send looks for the disconnect event that tells the client's code, in
# seconds. Servers queue it before they let `send` fail.
_CODE_WAIT: Final = 1.0


class WebSocket(Handshake, Forms):
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
    _send_codec: ClassVar[Codec] = CODECS["text"]

    close_event: CloseEvent | None = None
    """How the connection ended, once it has."""

    # Not set where it is the same: Python keeps up to 30 attributes of an instance, the
    # application's among them, in a quarter of the room that a dictionary takes.
    _connect_seen = False
    _close_sent = False
    _looks = 0  # since a checkpoint
    _bounds = DEFAULT_LIMITS
    _encode: Callable[[Any], Event] | None = None  # before accept
    _retry: float | bool | None = None
    _last: Event | None = None  # what was sent before the close frame
    _ledger_or_none: Ledger | None = None  # of what waits for it
    _steps_or_none: bool | None = None  # whether the server's `send` can be stepped

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
        self._asgi_send: EventSend = send  # type: ignore[assignment]
        self._direct = direct = direct_of(scope, receive, send)
        self._take_now = None if direct is None else direct.take
        self._inbox = Inbox(receive, self._left)
        self._stage = CONNECTING
        self._sends = 0  # since the last look at a message's length
        self._outbox: Outbox | None = None  # there only while something waits

    # Not by `cached_property`: it asks for `__dict__`, and then the connection has a
    # dictionary of its own, where each look for any of its attributes takes longer.
    @property
    def _ledger(self) -> Ledger:
        if self._ledger_or_none is None:
            self._ledger_or_none = Ledger()
        return self._ledger_or_none

    @property
    def _steps(self) -> bool:
        if self._steps_or_none is None:
            self._steps_or_none = can_step(self._asgi_send)
        return self._steps_or_none

    def __repr__(self) -> str:
        name, path = type(self).__name__, self.scope.get("path")
        return f"<{name} {path} {self._stage.name.lower()} id={self.id}>"

    def _agreed(self, subprotocol: str | None) -> None:
        self._encode = self._send_codec.encode  # settled; one lookup for each message

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

    # -- receiving ------------------------------------------------------------------

    async def receive(self) -> Any:
        """Wait for a message and return it as ``receive_type`` says.

        Cancelling is safe: no message is lost.

        Raises:
            ConnectionClosed: The client is gone; a ``WebSocketDisconnect``.
            InvalidMessage: It is not what the type reads, or is beyond a limit: the
                client's fault.
            StateError: The connection was not accepted.
        """
        return self._by(self._receive_codec)(await self._next_message())

    async def receive_event(self) -> Event:
        """Receive a raw ASGI event; the client's disconnect too is returned.

        Raises:
            StateError: The connection was not accepted.
        """
        await self._do(Action.RECEIVE)
        return self._inbox.took(await self._following())

    def __aiter__(self) -> Self:
        """Receive until the connection ends."""
        return self

    async def __anext__(self) -> Any:
        """Receive one message; stop after our own close.

        The client's disconnect is raised, for ``async with`` and the runtime to judge
        by ``caught_close_codes``.
        """
        if self._stage is CLOSING:
            raise StopAsyncIteration
        return await self.receive()

    # -- sending --------------------------------------------------------------------
    # A plain function that returns a coroutine: one frame less on a message's way.

    def send(self, message: Any) -> Sending:
        """Send a message as ``send_type`` says.

        Waits while the client's and the server's buffers are full, and behind the
        publications that wait for this client. Never drops.

        Cancelling takes the message back, unless it is on its way already.

        Raises:
            ConnectionClosed: The client is gone. Uncaught in a hook of this connection
                it ends the hook silently.
            MessageNotEncodable: The value does not fit the type.
            StateError: The connection is not open.
        """
        encode = self._encode
        if encode is None:
            encode = self._send_codec.encode
        return self._transmit(encode(message))

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

    async def _transmit(self, event: Event) -> None:
        self._sends += 1
        if self._sends == _LOOK:
            self._sends = 0
            self._looks += 1
            content = event.get("text") or event.get("bytes") or ""
            if self._looks == _LOOKS or len(content) > _LONG:
                self._looks = 0
                await checkpoint()
        if self._stage is not OPEN:
            await self._do(Action.SEND)
        if self._outbox is not None and not self._outbox.is_mine():
            if not await self._outbox.put_and_wait(event):
                await self._raise_gone()
            return
        if (direct := self._direct) is not None and direct.write(event):
            return
        send = self._asgi_send
        try:
            await send(event)
        except SERVER_IS_DONE as error:
            await self._send_failed(error)

    def _send_now(self, data: bytes, is_text: bool) -> bool:
        """Send a message that is encoded, if it need not wait; tell whether it did."""
        return (
            self._direct is not None
            and self._outbox is None
            and self._stage is OPEN
            and self._direct.write_data(data, is_text)
        )

    def _post(self, event: Event, size: int, publication: Published) -> None:
        """Send a publication without waiting; ``size`` is in bytes.

        Where the client does not read fast enough it waits in the outbox, and where
        that is full its group's policy decides.
        """
        if self._outbox is None and self._steps:
            try:
                rest = step(self._asgi_send(event))  # type: ignore[arg-type]
            except SERVER_IS_DONE:
                return  # whoever reads will learn that the client left
            if rest is not None:
                self._open_outbox().put_suspended(rest, size, publication)
        elif not self._open_outbox().put(event, size, publication, self._bounds):
            self._overflowed(publication)

    def _open_outbox(self) -> Outbox:
        """Return an outbox, with a writer."""
        if self._outbox is None:
            self._outbox = Outbox(self._ledger, self._encoded, self._lost)
            self._start_writing()
        return self._outbox

    def _give_up(self) -> None:
        """Send nothing more of what waits."""
        if self._outbox is not None:
            self._outbox.give_up()

    async def _write(self) -> None:
        """Empty the outbox: what the writer does."""
        outbox = self._outbox
        assert outbox is not None
        try:
            await outbox.run(self._asgi_send)
        finally:
            # In the same step as the last entry's end: no direct send may overtake.
            self._outbox = None

    async def _hand_over(self, event: Event) -> None:
        try:
            await self._asgi_send(event)
        except SERVER_IS_DONE as error:
            await self._send_failed(error)

    async def _send_failed(self, error: BaseException) -> NoReturn:
        """Read on to the disconnect, which knows the client's code, and raise it.

        Only where nobody else is reading. Messages on the way go to the inbox: they
        came before the client left, and are still due to be handled.
        """
        if not self._inbox.is_idle():
            with move_on_after(_CODE_WAIT):
                await self._inbox.read_ahead()
        await self._raise_gone(error)

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

    def _start_writing(self) -> None:
        """Something waits in the outbox: start a task with :meth:`_write`."""

    def _encoded(self, publication: Any) -> tuple[Event, int]:
        """Return what is sent of a publication, and its size in bytes."""
        encoded: tuple[Event, int] = publication.encoded(self._send_codec)
        return encoded

    def _lost(self, loss: Loss, count: int) -> None:
        """So many publications will not be sent."""
        self._ledger.note(loss, count)

    def _overflowed(self, publication: Published) -> None:
        """There is no room for a publication, and no other may go instead."""
