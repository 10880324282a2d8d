"""Exchange: one WebSocket between a peer and an ASGI application, without any I/O.

What the application sends becomes bytes here, and what must not be sent is refused.
What came in is the engine's. Both servers of ours are built on it, so that an
application sees the same on either.

Source: ASGI WebSocket 2.5; RFC 6455.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from enum import IntEnum
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final, TypeAlias

from consumers.over_limit import exceeded
from consumers.server.frames import (
    Deflate,
    DeflateSettings,
    Ended,
    Frames,
    Handshake,
    answer_handshake,
    check_header,
    negotiate,
)

__all__ = [
    "EXTENSION",
    "NO_CONTENT",
    "Event",
    "Exchange",
    "Settings",
    "Stage",
    "http_head",
]

Event: TypeAlias = "Mapping[str, Any]"
Headers: TypeAlias = "Iterable[tuple[bytes, bytes]]"

EXTENSION: Final = "consumers.frames"
"""The name of the ASGI extension by which publications are sent as ready frames."""

NO_CONTENT: Final = "a 'websocket.send' event must have 'text' or 'bytes', got neither"


@dataclass(frozen=True, slots=True)
class Settings:
    """What all WebSockets of one server have in common."""

    max_size: int
    """Bytes of one message, inflated."""
    deflate: DeflateSettings | None = None
    """How to compress; ``None``: not at all."""
    max_frames: int = 16384
    """Frames of one message, empty ones too; one more is allowed for each 32 bytes."""


class Stage(IntEnum):
    """How far a WebSocket is."""

    HANDSHAKE = 0
    DENYING = 1
    """The application answers the handshake with a response of its own."""
    OPEN = 2
    CLOSING = 3
    """We have sent a close frame; the peer's is waited for."""
    OVER = 4


OPEN: Final = Stage.OPEN


class Exchange:
    """One WebSocket, from its handshake to its end."""

    __slots__ = (
        "_handshake",
        "_head",
        "_headers",
        "_settings",
        "disconnect",
        "frames",
        "stage",
    )

    def __init__(
        self,
        handshake: Handshake | None,
        settings: Settings,
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        """Begin with a handshake that the application has yet to answer.

        Args:
            handshake: What the client asks for; ``None``: that is no handshake, the
                application never learns of it, and the exchange is over.
            settings: What the server allows.
            headers: Of every answer: who serves, and when.
        """
        self._handshake = handshake
        self._settings = settings
        self._headers = headers
        self._head = b""  # of a response in place of the handshake, until it is sent
        self.stage = Stage.OVER if handshake is None else Stage.HANDSHAKE
        """How far it is."""
        self.frames: Frames | None = None
        """The engine, once the handshake was accepted."""
        self.disconnect: Event | None = None
        """What the application receives when it has received all messages."""

    # -- from the application -------------------------------------------------------

    def sent(self, event: Event) -> bytes:
        """Return what to write for an event that the application sends.

        Raises:
            RuntimeError: It may not send that, or not now.
            ValueError: A header, code or reason that can't be sent.
        """
        kind = event["type"]
        stage = self.stage
        if stage is OPEN:
            if kind == "websocket.send":
                return self.message(event)
            if kind == "websocket.close":
                code, reason = event.get("code", 1000), event.get("reason") or ""
                return self.close(1000 if code is None else code, reason)
            raise _unexpected("'websocket.send' or 'websocket.close'", kind)
        if stage is Stage.HANDSHAKE:
            if kind == "websocket.accept":
                return self._accept(event)
            if kind == "websocket.close":
                return self.refuse(403)
            if kind == "websocket.http.response.start":
                self._head = _response_head(event, self._headers)
                self.stage = Stage.DENYING
                return b""
            raise _unexpected(
                "'websocket.accept', 'websocket.close' or "
                "'websocket.http.response.start'",
                kind,
            )
        if stage is Stage.DENYING:
            if kind == "websocket.http.response.body":
                return self._deny(event)
            raise _unexpected("'websocket.http.response.body'", kind)
        raise _unexpected("nothing more after the end", kind)

    def message(self, event: Event) -> bytes:
        """Return the frame of a ``websocket.send`` event.

        Raises:
            RuntimeError: It has neither text nor bytes.
        """
        assert self.frames is not None
        text = event.get("text")
        if text is not None:
            return self.frames.text(text)
        data = event.get("bytes")
        if data is None:
            raise RuntimeError(NO_CONTENT)
        return self.frames.binary(data)

    def _accept(self, event: Event) -> bytes:
        handshake, settings = self._handshake, self._settings
        assert handshake is not None
        deflate: Deflate | None = None
        value: str | None = None
        if settings.deflate is not None and handshake.extensions:
            agreed = negotiate(handshake.extensions, settings.deflate)
            if agreed is not None:
                deflate, value = agreed
        headers = [*self._headers, *(event.get("headers") or ())]
        answer = answer_handshake(
            handshake.key, event.get("subprotocol"), headers, value
        )
        self._handshake, self._headers = None, ()
        self.frames = Frames(settings.max_size, settings.max_frames, deflate)
        self.stage = OPEN
        return answer

    def _deny(self, event: Event) -> bytes:
        head, self._head = self._head, b""
        body: bytes = event.get("body") or b""
        if not event.get("more_body", False):
            self._over(1006)
        return head + body

    # -- what servers say by themselves ---------------------------------------------

    def refuse(self, status: int, body: bytes = b"") -> bytes:
        """Return a response that denies the handshake, and end.

        Nothing, if the head of the application's own is out.
        """
        begun = self.stage is Stage.DENYING and not self._head
        self._over(1006)
        if begun:
            return b""
        headers = [
            *self._headers,
            (b"content-length", str(len(body)).encode()),
            (b"content-type", b"text/plain; charset=utf-8"),
        ]
        return http_head(status, headers) + body

    def close(self, code: int, reason: str = "", *, keep: bool = False) -> bytes:
        """Return a close frame, and receive nothing any more but the peer's.

        Args:
            code: Why.
            reason: The same in words.
            keep: Leave what has come already for the application, which is told of
                the close only then.

        Raises:
            ValueError: The code or the reason can't be sent.
        """
        frames = self.frames
        assert frames is not None
        frame = frames.close(code, reason)
        self.stage = Stage.CLOSING
        if not keep:
            frames.messages.clear()
        self._disconnected(code, reason)
        return frame

    def lost(self) -> None:
        """Take note that the connection is gone."""
        self._over(1006)

    # -- from the peer --------------------------------------------------------------

    def ended(self, ended: Ended) -> None:
        """Take note that the engine says that no more comes in."""
        if ended.limit is not None:
            text = "a connection is closed with %d: %s, as %s says"
            exceeded(ended.limit, text, ended.code, ended.reason, ended.limit)
        self.stage = Stage.OVER
        self._disconnected(ended.code, ended.reason)

    def _over(self, code: int) -> None:
        self.stage = Stage.OVER
        self._handshake = None
        self._disconnected(code, "")

    def _disconnected(self, code: int, reason: str) -> None:
        if self.disconnect is None:
            self.disconnect = {
                "type": "websocket.disconnect",
                "code": code,
                "reason": reason,
            }


def http_head(status: int, headers: Headers) -> bytes:
    """Return status line and headers of a response, the last of its connection.

    Raises:
        ValueError: A header can't be sent.
    """
    lines = [_status_line(status)]
    for name, value in headers:
        check_header(name, value)
        lines.append(b"%b: %b" % (name, value))
    names = {name.lower() for name, _ in headers}
    if b"date" not in names:
        lines.append(b"date: " + formatdate(usegmt=True).encode())
    if b"connection" not in names:
        lines.append(b"connection: close")
    return b"\r\n".join([*lines, b"", b""])


def _response_head(event: Event, common: Headers) -> bytes:
    status = event["status"]
    if not isinstance(status, int) or not 200 <= status < 600:
        raise RuntimeError(
            f"the status of a denial response must be 200 to 599, got {status!r}"
        )
    # The connection ends with it, which also tells where the body ends.
    own = [
        (name.lower(), value)
        for name, value in event.get("headers") or ()
        if name.lower() not in (b"connection", b"transfer-encoding")
    ]
    return http_head(status, [*common, *own])


@lru_cache(maxsize=128)
def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}".encode()


def _unexpected(expected: str, kind: object) -> RuntimeError:
    return RuntimeError(f"expected the application to send {expected}, got {kind!r}")
