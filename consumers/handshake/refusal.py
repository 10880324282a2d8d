"""How a handshake is refused: with an HTTP status, or with a close that scripts read.

And by which errors: they end a connection in their own way before accept and after.

Source: ASGI WebSocket, "Websocket Denial Response".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeAlias

from msgspec import UNSET
from starlette.exceptions import HTTPException, WebSocketException
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Receive, Scope

from consumers.close import MAX_REASON_BYTES, refusal_code, should_return
from consumers.codecs import CODECS, Event
from consumers.errors import (
    InvalidMessage,
    InvalidParameters,
    LayerUnavailable,
    NotAllowed,
)
from consumers.protocol.frames import PROTOCOLS, Goodbye
from consumers.queues.outbox import EventSend

from .headers import checked_headers

__all__ = ["Denial", "Refusal", "Refusals", "closing_by", "end_by", "leaves"]

Refusals: TypeAlias = Literal["http", "close"]
Denial: TypeAlias = "tuple[int, object, Mapping[str, str] | None]"
"""Status, content and headers of a refusal."""

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
        *,
        protocol: str | None = None,
    ) -> None:
        """Make the answer in the form that the application and the server allow.

        Clients of `consumers.v1` get a close that their scripts can read, after a frame
        with all the rest; ``protocol`` is which form of it they speak.

        Raises:
            MessageNotEncodable: ``content`` has no JSON form; the caller's fault.
            ValueError: A header can't be sent; the caller's fault.
        """
        self.status = status
        """The HTTP status that it stands for."""
        self._scope = scope
        self._response: Response | None = None
        self._events: tuple[Event, ...] = ({"type": "websocket.close", "code": 1008},)
        if protocol is not None:
            self._events = _framed(status, content, headers, protocol)
        elif form == "close":
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


def leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield the exceptions in a group, at any depth, or the one that it is."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


def end_by(
    error: BaseException,
) -> tuple[tuple[int, str] | None, Denial | None]:
    """Return how a known error ends a connection: after accept, and before.

    ``None``: it has ended already.
    """
    match error:
        case InvalidParameters():
            return (1008, ""), (400, {"errors": dict(error.errors)}, None)
        case HTTPException():
            headers = error.headers
            return (1008, ""), (error.status_code, error.detail, headers)
        case WebSocketException():
            return (error.code, error.reason), (403, error.reason or None, None)
        case InvalidMessage():
            return (error.close_code, error.reason), None
        case NotAllowed():
            return (1008, "not allowed"), (403, None, None)
        case LayerUnavailable():
            return (1013, "try again later"), (503, None, None)
        case _:
            return None, None


def closing_by(error: BaseException) -> tuple[int, str]:
    """Return the code and the reason that an exception closes a connection with."""
    known = [end_by(leaf)[0] for leaf in leaves(error)]
    return known[0] if known[0] is not None and all(known) else (1011, "")


def _closing(status: int, content: object) -> tuple[Event, ...]:
    reason = content if isinstance(content, str) else ""
    if len(reason.encode()) > MAX_REASON_BYTES:
        reason = ""
    return (
        {"type": "websocket.accept", "headers": []},
        {"type": "websocket.close", "code": refusal_code(status), "reason": reason},
    )


def _framed(
    status: int, content: object, headers: Mapping[str, str] | None, protocol: str
) -> tuple[Event, ...]:
    code = refusal_code(status)
    named = {name.lower(): value for name, value in (headers or {}).items()}
    wait = named.get("retry-after", "")
    goodbye = Goodbye(
        code,
        should_return(code),
        float(wait) if wait.isdecimal() else None,
        UNSET if content is None else content,
    )
    accept, close = _closing(status, content)
    return (
        {**accept, "subprotocol": protocol},
        CODECS[PROTOCOLS[protocol]].encode(goodbye),
        close,
    )


def _denial(status: int, content: Any, headers: Mapping[str, str] | None) -> Response:
    checked = {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in checked_headers(headers)
    }
    if content is None or isinstance(content, str):
        return PlainTextResponse(content or "", status, checked)
    body = CODECS["json"].encode(content)["text"]
    return Response(body, status, checked, "application/json")
