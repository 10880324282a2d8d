"""What is served where servers drain: consumers, and a foreign ASGI application."""

from __future__ import annotations

import os
from typing import Any

import anyio

from consumers import App, WebSocketConsumer, WebSocketRoute
from consumers_tests.server.apps import Probe

MIB = 1024 * 1024


class Working(WebSocketConsumer):
    """Works for so many seconds as it is told, then answers."""

    value_type = "json"

    async def on_connect(self) -> None:
        await self.send(os.getpid())

    async def on_receive(self, message: float) -> None:
        await self.send("begun")
        await anyio.sleep(message)
        await self.send("done")


class Flood(WebSocketConsumer):
    """Sends more than any buffer takes."""

    async def on_connect(self) -> None:
        await self.send("begun")
        for _ in range(64):
            await self.send("x" * MIB)


consumers = App(
    [WebSocketRoute("/work", Working), WebSocketRoute("/flood", Flood)], health=True
)
foreign = Probe()


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Serve both."""
    raw = scope["type"] != "lifespan" and scope["path"] == "/echo"
    await (foreign if raw else consumers)(scope, receive, send)
