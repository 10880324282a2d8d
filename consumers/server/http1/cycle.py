"""One request and its response: ASGI's events on one side, h11's on the other."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, Final, TypeAlias

import h11

__all__ = ["Cycle", "Event", "default_headers"]

Event: TypeAlias = "Mapping[str, Any]"

SERVER: Final = b"consumers"

_PHRASES: Final = {status.value: status.phrase.encode() for status in HTTPStatus}
_DISCONNECT: Final[Event] = {"type": "http.disconnect"}

_date: tuple[int, bytes] = (0, b"")


def default_headers() -> list[tuple[bytes, bytes]]:
    """Return what every response begins with, unless the application says it."""
    global _date  # noqa: PLW0603 - made once a second, for all connections
    now = int(time.time())
    if now != _date[0]:
        _date = now, formatdate(now, usegmt=True).encode()
    return [(b"date", _date[1]), (b"server", SERVER)]


class Cycle:
    """One request and its response, without what brings and takes the bytes."""

    __slots__ = (
        "_bodiless",
        "_body",
        "_connection",
        "_ended",
        "_expecting",
        "_head",
        "_told",
        "complete",
        "disconnected",
        "keep_alive",
        "started",
    )

    def __init__(self, connection: h11.Connection, request: h11.Request) -> None:
        self._connection = connection
        self._bodiless = request.method == b"HEAD"
        self._expecting = connection.they_are_waiting_for_100_continue
        self._body = bytearray()
        self._ended = False  # all of the request is there
        self._told = False  # and the application knows
        self._head: bytes | None = None  # the response's, until there is more
        self.started = False
        """Whether the response has begun."""
        self.complete = False
        """Whether the response has ended."""
        self.disconnected = False
        """Whether nobody is there to read the response."""
        self.keep_alive = True
        """Whether another request may follow."""

    # -- the request ----------------------------------------------------------------

    def body_received(self, data: bytes) -> int:
        """Add to the body; return how many bytes wait for the application."""
        self._expecting = False
        self._body += data
        return len(self._body)

    def body_ended(self) -> None:
        """Take note that the request is complete."""
        self._ended = True

    @property
    def is_expecting(self) -> bool:
        """Whether the client sends no body before it is told to."""
        return self._expecting

    def begin_body(self) -> bytes:
        """Return what tells the client to send its body, if it waits for that."""
        if not self._expecting or self.started:
            return b""
        self._expecting = False
        return self._connection.send(
            h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")
        )

    def has_event(self) -> bool:
        """Tell whether :meth:`next_event` may be called."""
        ended = self._ended and not self._told
        return ended or bool(self._body) or self.disconnected or self.complete

    def next_event(self) -> Event:
        """Return what the application gets from ``receive`` next."""
        if self.disconnected or self.complete:
            return _DISCONNECT
        body, self._body = bytes(self._body), bytearray()
        self._told = self._ended
        return {"type": "http.request", "body": body, "more_body": not self._ended}

    # -- the response ---------------------------------------------------------------

    def send(self, event: Event) -> bytes:
        """Return what is to be written for an event of the application's.

        Raises:
            RuntimeError: It is not what can be sent now, or no valid response.
        """
        kind = event["type"]
        if kind == "http.response.body" and self.started and not self.complete:
            return self._continue(event)
        if kind == "http.response.start" and not self.started:
            return self._start(event)
        if kind == "http.response.early_hint" and not self.started:
            return self._hint(event)
        expected = "'http.response.start'"
        if self.started:
            expected = "nothing more" if self.complete else "'http.response.body'"
        raise RuntimeError(f"expected the application to send {expected}, got {kind!r}")

    def _start(self, event: Event) -> bytes:
        headers = [(bytes(n), bytes(v)) for n, v in event.get("headers", ())]
        names = {name.lower() for name, _ in headers}
        headers = [one for one in default_headers() if one[0] not in names] + headers
        if not self.keep_alive:
            headers.append((b"connection", b"close"))
        status = event["status"]
        try:
            response = h11.Response(
                status_code=status, headers=headers, reason=_PHRASES.get(status, b"")
            )
        except h11.LocalProtocolError as error:
            raise RuntimeError(
                f"expected the application to send a valid response, got {error}"
            ) from error
        self._head = self._connection.send(response)
        self.started = True
        return b""

    def _continue(self, event: Event) -> bytes:
        body = b"" if self._bodiless else event.get("body", b"")
        more = event.get("more_body", False)
        # With what follows, since each write is a call of the kernel.
        parts = [] if self._head is None else [self._head]
        self._head = None
        try:
            parts.append(self._connection.send(h11.Data(data=body)))
            if not more:
                parts.append(self._connection.send(h11.EndOfMessage()))
                self.complete = True
        except h11.LocalProtocolError as error:
            raise RuntimeError(
                "expected the application to send a body as long as its header says, "
                f"got {error}"
            ) from error
        return b"".join(parts)

    def _hint(self, event: Event) -> bytes:
        if self._connection.their_http_version == b"1.0":
            return b""
        links = [(b"link", bytes(link)) for link in event.get("links", ())]
        return self._connection.send(
            h11.InformationalResponse(
                status_code=103, headers=links, reason=b"Early Hints"
            )
        )
