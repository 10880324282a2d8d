"""What servers refuse by limits of their own, before the application knows of it."""

from __future__ import annotations

from typing import Any, Final

from consumers.handshake.refusals import count_refusal
from consumers.over_limit import exceeded
from consumers.server.lifespan import ASGIApplication

__all__ = ["limited", "note_full", "note_late_head"]

_BODY: Final = b"The server is full; try again later."
_HEADERS: Final = [
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"content-length", str(len(_BODY)).encode()),
    (b"connection", b"close"),
    (b"retry-after", b"5"),
]


def limited(app: ASGIApplication, limit: int) -> ASGIApplication:
    """Return an application that answers 503 beyond ``limit`` connections.

    HTTP requests and WebSockets count alike; uvicorn's own limit does not look at
    WebSocket handshakes, and our server on trio has none. Messages pass by without a
    wrapper.
    """
    served = 0

    async def limited_app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal served
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
        elif served >= limit:
            await _refuse(scope, send, limit)
        else:
            served += 1
            try:
                await app(scope, receive, send)
            finally:
                served -= 1

    return limited_app


def note_full(limit: int) -> None:
    """Count that somebody is refused because ``limit`` are served."""
    exceeded(
        "limit_concurrency", "refused with 503: limit_concurrency allows %d", limit
    )


def note_late_head() -> None:
    """Count that somebody is refused because a request's headers do not end."""
    count_refusal("header_timeout")
    exceeded("header_timeout", "cut off: a request's headers took too long")


async def _refuse(scope: Any, send: Any, limit: int) -> None:
    note_full(limit)
    if scope["type"] == "http":
        prefix = "http.response"
    elif "websocket.http.response" in scope.get("extensions", {}):
        prefix = "websocket.http.response"
    else:
        await send({"type": "websocket.close"})
        return
    await send({"type": f"{prefix}.start", "status": 503, "headers": _HEADERS})
    await send({"type": f"{prefix}.body", "body": _BODY, "more_body": False})
