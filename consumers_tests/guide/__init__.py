"""What Bocadillo's WebSocket guide promises, point by point.

Each test is named for the points that it shows, and drives a function at ``/function``
and a consumer class at ``/class`` alike, where the point applies to both.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consumers import App, WebSocket, WebSocketConsumer

both_styles = pytest.mark.parametrize("path", ["/function", "/class"])


def route_both(
    app: App, talk: Callable[[WebSocket], Awaitable[None]], **settings: Any
) -> None:
    """Route both paths to what says the same, once as a view and once in a class."""
    app.websocket_route("/function", **settings)(talk)

    @app.websocket_route("/class", **settings)
    class Consumer(WebSocketConsumer):
        async def on_connect(self) -> None:
            await talk(self)


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
