"""The server's side of a connection in process: the application's receive and send.

Nothing is encoded and no bytes travel, but an application meets the rules of ASGI here,
and what real servers do after the client has left.

Source: ASGI WebSocket 2.4; behaviour of the servers as measured on uvicorn 0.54
(``websockets-sansio``) and on Hypercorn 0.18 (trio).
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import MutableMapping
from typing import Any, Final, Literal, TypeAlias

import anyio
from anyio.lowlevel import checkpoint
from starlette.datastructures import Headers

from consumers.close import CloseEvent
from consumers.runtime.watchdog import PERIOD, current_watchdog

from .outcomes import Refused

__all__ = ["ClientDisconnected", "Event", "ServerStyle", "Signal", "Transport"]

Event: TypeAlias = "MutableMapping[str, Any]"
"""An ASGI event."""


class ServerStyle(enum.Enum):
    """How the server behaves where servers differ."""

    UVICORN = "uvicorn"
    """``send`` raises ``OSError`` once the client has left, and the application learns
    the client's close code. An application that ends without a close leaves the client
    with 1006."""

    HYPERCORN = "hypercorn"
    """``send`` returns at once, without a checkpoint, once the client has left; while
    it waits for the client it can't be cancelled. The application learns 1006 whatever
    the client's code was, and 1000 after a close of its own. One that ends without a
    close leaves the client with 1011. For those who start Hypercorn themselves:
    ``consumers run`` has a server of its own on trio, which tells the code."""


class ClientDisconnected(OSError):
    """What ``send`` raises after the client of ``transport`` has left."""

    def __init__(self, transport: Transport) -> None:
        super().__init__("the client has left")
        self.transport = transport


class Signal:
    """Wakes whoever waits, each time something has changed."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def notify(self) -> None:
        """Wake all that wait now."""
        self._event.set()
        self._event = anyio.Event()

    async def wait(self) -> None:
        """Wait for the next notification. Cancelling is safe."""
        await self._event.wait()


_Phase: TypeAlias = Literal["handshake", "denial", "open", "closed"]

# {(phase, event type): the phase after it}; what is not here is against the rules.
_TRANSITIONS: Final[dict[tuple[_Phase, str], _Phase]] = {
    ("handshake", "websocket.accept"): "open",
    ("handshake", "websocket.close"): "closed",
    ("handshake", "websocket.http.response.start"): "denial",
    ("denial", "websocket.http.response.body"): "denial",
    ("open", "websocket.send"): "open",
    ("open", "websocket.close"): "closed",
}

# As many messages as fit into a socket's buffers may be sent without a pause. Without
# one at all, an application that sends for ever would stop the test that reads it.
_PAUSE_EVERY: Final = 64

# An application may look for the client's leaving only now and then while it is busy:
# our runtime promises to notice it within 0.1 s. Twice that, on a machine under load.
_NOTICE_WITHIN: Final = 0.2

# Looks of the watchdog, which notices in its second one.
_LOOKS: Final = 4


class Transport:
    """One connection, between the application and the client."""

    def __init__(self, style: ServerStyle, *, denial_response: bool) -> None:
        self.style = style
        self._denial_response = denial_response
        self._phase: _Phase = "handshake"
        self._to_app: deque[Event] = deque([{"type": "websocket.connect"}])
        self._app_signal = Signal()
        self._sent = 0
        # How many more messages fit into the buffers of a client that does not read.
        self._room: int | None = None
        self._client_left = False
        self._learned = anyio.Event()
        self._denial: Event = {}
        self._denial_body = bytearray()
        self.accepted: Event | None = None
        """The accept event, once it was sent."""
        self.refusal: Refused | None = None
        """How the handshake was refused, if it was."""
        self.unread: deque[Event] = deque()
        """What the application sent and the client has not read."""
        self.end: CloseEvent | None = None
        """How the connection ended, once it did."""
        self.client_signal = Signal()
        """Tells the client that something came, or that the connection ended."""

    # What the application calls.

    async def receive(self) -> Event:
        """Give the application its next event."""
        if self.style is ServerStyle.HYPERCORN:
            await checkpoint()
        while not self._to_app:
            await self._app_signal.wait()
        event = self._to_app.popleft()
        if event["type"] == "websocket.disconnect":
            self._learned.set()
        return event

    async def send(self, event: Event) -> None:
        """Take an event from the application.

        Raises:
            ClientDisconnected: The client has left, and the server is one that tells.
            RuntimeError: The event may not be sent now; the application's fault.
        """
        if self.style is ServerStyle.HYPERCORN:
            if self._client_left or self._phase == "closed":
                return
            await checkpoint()
            with anyio.CancelScope(shield=True):
                await self._wait_for_room()
            if self._client_left:
                return
        else:
            self._sent += 1
            if self._sent % _PAUSE_EVERY == 0 and not self._client_left:
                await checkpoint()
            await self._wait_for_room()
            if self._client_left:
                raise ClientDisconnected(self)
        phase = self._legal(event)
        if self._room is not None and event["type"] == "websocket.send":
            self._room -= 1
        before, self._phase = self._phase, phase
        if before == "open":
            self._take(event)
        else:
            self._answer(event)
        self.client_signal.notify()

    async def _wait_for_room(self) -> None:
        while self._room == 0 and not self._client_left:
            await self._app_signal.wait()

    def _legal(self, event: Event) -> _Phase:
        kind = event["type"]
        phase = _TRANSITIONS.get((self._phase, kind))
        if phase is None or (phase == "denial" and not self._denial_response):
            allowed = [
                type_
                for (at, type_), to in _TRANSITIONS.items()
                if at == self._phase and (to != "denial" or self._denial_response)
            ]
            raise RuntimeError(
                f"expected {' or '.join(map(repr, allowed)) or 'no further event'} "
                f"while the connection is in state {self._phase!r}, got {kind!r}"
            )
        return phase

    def _answer(self, event: Event) -> None:
        """Take an event of the handshake."""
        kind = event["type"]
        if kind == "websocket.accept":
            self.accepted = event
        elif kind == "websocket.close":
            self._refuse(403, Headers(), b"", event.get("code", 1000))
        elif kind == "websocket.http.response.start":
            self._denial = event
        else:
            self._denial_body += event.get("body", b"")
            if not event.get("more_body", False):
                self._phase = "closed"
                headers = Headers(raw=list(self._denial.get("headers", ())))
                self._refuse(self._denial["status"], headers, bytes(self._denial_body))

    def _refuse(
        self, status: int, headers: Headers, body: bytes, code: int = 1006
    ) -> None:
        self.refusal = Refused(status, headers, body, code)
        self._end(CloseEvent(1006, was_clean=False, initiator="server", status=status))
        self._tell_app(1006 if self.style is ServerStyle.UVICORN else 1000)

    def _take(self, event: Event) -> None:
        """Take an event of an open connection."""
        if event["type"] == "websocket.send":
            if event.get("text") is None and event.get("bytes") is None:
                raise RuntimeError(f"expected text or bytes to send, got {event!r}")
            self.unread.append(event)
            return
        code, reason = event.get("code", 1000), event.get("reason") or ""
        self._end(CloseEvent(code, reason, True, "server"))
        if self.style is ServerStyle.UVICORN:
            self._tell_app(code, reason)
        else:
            self._tell_app(1000)

    # What the client calls.

    @property
    def stalled(self) -> bool:
        """Whether the client does not read at present."""
        return self._room is not None

    def client_sends(self, event: Event) -> None:
        """Put a message of the client's where the application receives it.

        Servers discard what comes after a close.
        """
        if self.end is None:
            self._to_app.append(event)
            self._app_signal.notify()

    def client_closes(self, code: int, reason: str) -> None:
        """Let the client close; what it sent before is received first."""
        self._leave(CloseEvent(code, reason, True, "client"))
        if self.style is ServerStyle.UVICORN:
            self._tell_app(code, reason)
        else:
            self._tell_app(1006)

    def client_drops(self) -> None:
        """Let the network fail; what was sent before is received first."""
        self._leave(CloseEvent(1006, "", False, "network"))
        self._tell_app(1006)

    def stall(self, room: int) -> None:
        """Let the client stop to read, with room for so many messages on the way."""
        self._room = room

    def resume(self) -> None:
        """Let the client read again."""
        self._room = None
        self._app_signal.notify()

    def _leave(self, event: CloseEvent) -> None:
        self._client_left = True
        self._room = None
        self._end(event)

    # What ends a connection.

    def app_ended(self) -> None:
        """Do what a server does when the application has returned or raised."""
        if self._phase in ("handshake", "denial") and not self._client_left:
            self._refuse(500, Headers(), b"Internal Server Error")
        elif self.style is ServerStyle.HYPERCORN:
            self._end(CloseEvent(1011, "", True, "server"))
        else:
            self._end(CloseEvent(1006, "", False, "network"))
        self._phase = "closed"
        self._learned.set()

    def forgives(self, error: BaseException) -> bool:
        """Tell whether a server makes nothing of this end of the application.

        To end by what ``send`` raised is normal. Raised for another connection, it
        is an error like any other.
        """
        return isinstance(error, ClientDisconnected) and error.transport is self

    @property
    def departing(self) -> bool:
        """Whether the client has left and the application has not learned of it."""
        return self._client_left and not self._learned.is_set()

    async def departed(self) -> None:
        """Wait until the application has learned that the client left.

        For a short real time, and not again if the application was not interested.
        """
        watchdog = current_watchdog()
        enough = watchdog.tick + _LOOKS
        with anyio.move_on_after(_NOTICE_WITHIN):
            await self._learned.wait()
        # Where the machine is busy, the watchdog's looks are late as well.
        while self.departing and watchdog.awake and watchdog.tick < enough:
            with anyio.move_on_after(PERIOD):
                await self._learned.wait()
        self._learned.set()

    def _end(self, event: CloseEvent) -> None:
        if self.end is None:
            self.end = event
        self.client_signal.notify()

    def _tell_app(self, code: int, reason: str = "") -> None:
        event = {"type": "websocket.disconnect", "code": code}
        if self.style is ServerStyle.UVICORN and code != 1006:
            event["reason"] = reason
        self._to_app.append(event)
        self._app_signal.notify()
