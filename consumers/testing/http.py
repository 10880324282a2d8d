"""HTTP requests in process, for the routes beside the consumers.

Source: ASGI HTTP 2.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any

import anyio
import msgspec
from starlette.datastructures import Headers

from .transport import Event

__all__ = ["Exchange", "Response"]


@dataclass(frozen=True, slots=True)
class Response:
    """What an application answered to a request."""

    status: int
    """The HTTP status."""

    headers: Headers
    """The headers; names don't care about case."""

    body: bytes
    """The whole body."""

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode()

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that the response sets: ``connect(cookies=response.cookies)``."""
        return {
            name: morsel.value
            for header in self.headers.getlist("set-cookie")
            for name, morsel in SimpleCookie(header).items()
        }

    def json(self) -> Any:
        """Return the body, decoded from JSON.

        Raises:
            msgspec.DecodeError: It is not JSON.
        """
        return msgspec.json.decode(self.body)


class Exchange:
    """The server's side of one request."""

    def __init__(self, content: bytes) -> None:
        self._content: bytes | None = content
        self._start: Event | None = None
        self._body = bytearray()
        self._complete = anyio.Event()

    async def receive(self) -> Event:
        """Give the application the request, and after its response a disconnect."""
        if self._content is not None:
            body, self._content = self._content, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._complete.wait()
        return {"type": "http.disconnect"}

    async def send(self, event: Event) -> None:
        """Take a part of the response.

        Raises:
            RuntimeError: It is not the part that is due; the application's fault.
        """
        due = "http.response.start" if self._start is None else "http.response.body"
        if self._complete.is_set() or event["type"] != due:
            allowed = "no further event" if self._complete.is_set() else repr(due)
            raise RuntimeError(f"expected {allowed}, got {event['type']!r}")
        if self._start is None:
            self._start = event
            return
        self._body += event.get("body", b"")
        if not event.get("more_body", False):
            self._complete.set()

    def response(self) -> Response:
        """Return the response: 500 if there is none, as servers do."""
        if self._start is None:
            return Response(500, Headers(), b"Internal Server Error")
        headers = Headers(raw=list(self._start.get("headers", ())))
        return Response(self._start["status"], headers, bytes(self._body))
