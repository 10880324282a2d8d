"""What Bocadillo's WebSocket guide promises, point by point.

Each test is named for the points that it shows, and drives a function at ``/function``
and a consumer class at ``/class`` alike, where the point applies to both.
"""

from typing import Any

import pytest
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

both_styles = pytest.mark.parametrize("path", ["/function", "/class"])


def noting(notes: list[Any]) -> Middleware:
    """Return a middleware that notes what is sent to WebSockets."""

    def around(app: ASGIApp) -> ASGIApp:
        async def noted(scope: Scope, receive: Receive, send: Send) -> None:
            async def sending(event: Message) -> None:
                kind = event["type"].removeprefix("websocket.")
                notes.append(f"close {event['code']}" if kind == "close" else kind)
                await send(event)

            await app(scope, receive, sending if "subprotocols" in scope else send)

        return noted

    return Middleware(around)
