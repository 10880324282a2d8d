"""What is served behind nginx: it tells who serves, and what came through."""

from __future__ import annotations

import os
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from consumers import App, WebSocketConsumer, WebSocketRoute


class Shown(WebSocketConsumer):
    """Says by whom it is served, and what it sees of its client; then echoes."""

    value_type = "json"

    async def on_connect(self) -> None:
        seen = ("host", "origin", "x-forwarded-for", "x-forwarded-proto")
        await self.send(
            {
                "pid": os.getpid(),
                "client": self.client.host if self.client else None,
                "scheme": self.url.scheme,
                "headers": {name: self.headers.get(name) for name in seen},
            }
        )

    async def on_receive(self, message: Any) -> None:
        await self.send(message)


async def pid(request: Request) -> JSONResponse:
    """Tell who answers."""
    return JSONResponse(os.getpid())


app = App([WebSocketRoute("/shown", Shown), Route("/pid", pid)])
