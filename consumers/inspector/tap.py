"""The tap: stands between one connection and the server, and counts.

It offers what the server offers, the short way past ``receive`` and ``send`` included,
so that an application with an inspector goes the same ways as one without. Frames are
kept while somebody looks, and only then.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, Final

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from consumers.queues.direct import EXTENSION, direct_of

from .shown import show, show_text

if TYPE_CHECKING:
    from consumers.codecs import Event

    from .record import Record

__all__ = ["TAP_KEY", "Frame", "Tap", "Tapping"]

TAP_KEY: Final = "consumers.tap"
"""Where the scope has its connection's tap."""

_KEPT: Final = 200
"""Frames of a connection that wait for whoever looks. Older ones are dropped."""


class Frame(msgspec.Struct, frozen=True):
    """One frame of a connection that somebody looks into."""

    number: int
    """Counts up; where one is missing it was dropped."""
    at: float
    """Seconds since 1970."""
    sent: bool
    """Whether it went to the client, or else came from it."""
    kind: str
    """``"text"``, ``"binary"``, ``"accept"`` or ``"close"``."""
    size: int
    """Characters of a text, else bytes."""
    text: str
    """What is shown of it: shortened, without secrets."""


class Tap:
    """One connection's."""

    __slots__ = (
        "_accepted",
        "_direct",
        "_frames",
        "_number",
        "_receive",
        "_scope",
        "_send",
        "how",
        "looking",
        "received",
        "record",
        "sent",
        "since",
    )

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, record: Record
    ) -> None:
        """Stand between; the scope is changed to say so."""
        self.record = record
        """Where its end will be noted."""
        self._scope = scope
        self._receive = receive
        self._send = send
        self._accepted = False
        self._frames: deque[Frame] | None = None  # there while somebody looks
        self._number = 0
        self._direct = direct_of(scope, receive, send)
        self.how = (1006, "", "network")
        """Code, reason and by whom it ended, once it has."""
        self.looking = 0
        """How many look into it."""
        self.received = 0
        """Messages that came."""
        self.sent = 0
        """Messages and publications that went out."""
        self.since = time.time()
        """When it began, in seconds since 1970."""
        scope[TAP_KEY] = self
        if self._direct is not None:
            scope["extensions"] = {**scope["extensions"], EXTENSION: self}

    # -- what is told of it ---------------------------------------------------------

    @property
    def consumer(self) -> str:
        """The name of what serves it; empty where no route took it."""
        endpoint = self._scope.get("endpoint")
        return getattr(endpoint, "__name__", "") if endpoint is not None else ""

    @property
    def path(self) -> str:
        """The URL's path. Never its query, which is where tokens are."""
        return show_text(str(self._scope.get("path", "")), 200)

    @property
    def address(self) -> str:
        """The client's, as the server tells it."""
        client = self._scope.get("client")
        return "" if client is None else f"{client[0]}:{client[1]}"

    def look(self) -> None:
        """Keep frames from now on; for each call one of :meth:`look_away` is due."""
        self.looking += 1
        if self._frames is None:
            self._frames = deque(maxlen=_KEPT)

    def look_away(self) -> None:
        """Keep no more frames, unless somebody else looks."""
        self.looking -= 1
        if not self.looking:
            self._frames = None

    def frames(self, after: int) -> list[Frame]:
        """Return the frames after a number that are still there."""
        return [frame for frame in self._frames or () if frame.number > after]

    @property
    def number(self) -> int:
        """The number of the latest frame."""
        return self._number

    def _note(self, kind: str, data: str | bytes, *, sent: bool) -> None:
        if self._frames is not None:
            self._number += 1
            text = show(data) if kind in ("text", "binary") else show_text(str(data))
            self._frames.append(
                Frame(self._number, time.time(), sent, kind, len(data), text)
            )

    # -- receiving ------------------------------------------------------------------

    async def receive(self) -> Any:
        """Receive as the application does."""
        event = await self._receive()
        self._came(event)
        return event

    def take(self) -> Event | None:
        """Return the next message, if one is there."""
        assert self._direct is not None
        event = self._direct.take()
        if event is not None:
            self._came(event)
        return event

    def _came(self, event: Any) -> None:
        if event["type"] == "websocket.receive":
            self.received += 1
            if self._frames is not None:
                self._note_message(event, sent=False)
        elif event["type"] == "websocket.disconnect" and self.how[2] == "network":
            code, reason = event.get("code") or 1005, event.get("reason") or ""
            self._end(code, reason, "client")

    # -- sending --------------------------------------------------------------------

    async def send(self, event: Any) -> None:
        """Send as the application does."""
        self._goes(event)
        await self._send(event)

    def write(self, event: Event) -> bool:
        """Send an event at once, if that is possible."""
        assert self._direct is not None
        return self._direct.write(event) and self._went(event)

    def write_data(self, data: bytes, is_text: bool) -> bool:
        """Send a message at once, if that is possible."""
        assert self._direct is not None
        if not self._direct.write_data(data, is_text):
            return False
        self.sent += 1
        if self._frames is not None:
            if is_text:
                self._note("text", data.decode(), sent=True)
            else:
                self._note("binary", data, sent=True)
        return True

    @property
    def shares(self) -> Hashable | None:
        """What connections have in common that are sent the same frames.

        Nothing while somebody looks, who would see frames and not what is in them.
        """
        assert self._direct is not None
        return None if self._frames is not None else self._direct.shares

    def frame(self, event: Event) -> bytes:
        """Return the frame of an event."""
        assert self._direct is not None
        return self._direct.frame(event)

    def post(self, frame: bytes) -> bool:
        """Send a frame with others."""
        assert self._direct is not None
        posted = self._direct.post(frame)
        self.sent += posted
        return posted

    def _went(self, event: Event) -> bool:
        self.sent += 1
        if self._frames is not None:
            self._note_message(event, sent=True)
        return True

    def _goes(self, event: Any) -> None:
        kind = event["type"]
        if kind == "websocket.send":
            self._went(event)
        elif kind == "websocket.accept":
            self._accepted = True
            self._note("accept", event.get("subprotocol") or "", sent=True)
        elif kind == "websocket.close":
            if self._accepted:
                code, reason = event.get("code", 1000), event.get("reason") or ""
                self._end(code, reason, "server")
            else:
                self.how = (403, "", "refused")
        elif kind == "websocket.http.response.start":
            self.how = (event["status"], "", "refused")

    def _note_message(self, event: Any, *, sent: bool) -> None:
        text = event.get("text")
        if text is not None:
            self._note("text", text, sent=sent)
        else:
            self._note("binary", event.get("bytes") or b"", sent=sent)

    def _end(self, code: int, reason: str, by: str) -> None:
        self.how = (code, show_text(reason, 123), by)
        self._note("close", f"{code} {reason}".rstrip(), sent=by == "server")


class Tapping:
    """ASGI middleware that puts a tap on each connection."""

    def __init__(self, app: ASGIApp, record: Record) -> None:
        """Stand before ``app``."""
        self._app = app
        self._record = record

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve; what is no WebSocket passes."""
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        record = self._record
        tap = Tap(scope, receive, send, record)
        record.opened += 1
        failure: BaseException | None = None
        try:
            await self._app(scope, tap.receive, tap.send)
        except BaseException as error:
            failure = error
            raise
        finally:
            record.ended(tap, failure)
