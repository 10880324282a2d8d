"""How a handshake is refused: with an HTTP status, or with a close that scripts read.

Source: ASGI WebSocket, "Websocket Denial Response".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Message, Receive, Scope

from .close import MAX_REASON_BYTES, refusal_code
from .codecs import Event
from .headers import checked_headers
from .outbox import EventSend

__all__ = ["Refusal", "Refusals"]

Refusals: TypeAlias = Literal["http", "close"]

_EXTENSION = "websocket.http.response"


class Refusal:
    """The answer to a handshake that is refused; made before anything is sent of it."""

    __slots__ = ("_events", "_response", "_scope", "status")

    def __init__(
        self,
        scope: Scope,
        form: Refusals,
        status: int,
        content: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Make the answer in the form that the application and the server allow.

        Raises:
            TypeError: ``content`` has no JSON form.
            ValueError: The same, or a header can't be sent; the caller's fault.
        """
        self.status = status
        """The HTTP status that it stands for."""
        self._scope = scope
        self._response: Response | None = None
        self._events: tuple[Event, ...] = ({"type": "websocket.close", "code": 1008},)
        if form == "close":
            self._events = _closing(status, content)
        elif _EXTENSION in (scope.get("extensions") or {}):
            self._response = _denial(status, content, headers)

    async def send(self, receive: Receive, send: EventSend) -> None:
        """Send it."""
        if self._response is None:
            for event in self._events:
                await send(event)
            return

        async def send_message(message: Message) -> None:
            await send(message)

        # Starlette's responses name their events by the scope's type, as the extension
        # does: "websocket.http.response.start" and "….body".
        await self._response(self._scope, receive, send_message)


def _closing(status: int, content: object) -> tuple[Event, ...]:
    reason = content if isinstance(content, str) else ""
    if len(reason.encode()) > MAX_REASON_BYTES:
        reason = ""
    return (
        {"type": "websocket.accept", "headers": []},
        {"type": "websocket.close", "code": refusal_code(status), "reason": reason},
    )


def _denial(status: int, content: Any, headers: Mapping[str, str] | None) -> Response:
    checked = {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in checked_headers(headers)
    }
    if content is None or isinstance(content, str):
        return PlainTextResponse(content or "", status, checked)
    return JSONResponse(content, status, checked)
