"""Consumers that read groups, and applications that serve them, for several tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from consumers import (
    App,
    Group,
    Groups,
    History,
    Position,
    Presence,
    WebSocketConsumer,
    WebSocketRoute,
)
from consumers.testing import ClientConnection, TestClient

LOG = Group("log.{name}", history=History(size=5))
PLAIN = Group("plain.{name}")
HERE = Group("here.{name}", presence=Presence(lease=30, linger=1, batch=0.1))


class Reader(WebSocketConsumer):
    """Comes back to the log with the position that it had."""

    value_type = "json"
    positions = True

    async def on_connect(
        self, name: str, since: Position | None = None, last: int | None = None
    ) -> None:
        recovery = await self.join(LOG(name), since=since, last=last)
        await self.send({"recovered": recovery.recovered, "at": recovery.position})


@asynccontextmanager
async def reading(
    consumer: type[WebSocketConsumer] = Reader, **options: Any
) -> AsyncIterator[tuple[TestClient, Groups]]:
    """Serve a consumer at ``/{name}``, with groups to publish to."""
    groups = Groups(declared=[LOG, PLAIN, HERE])
    app = App([WebSocketRoute("/{name}", consumer)], groups=groups)
    async with TestClient(app, **options) as client:
        yield client, groups


async def received(ws: ClientConnection, count: int) -> list[Any]:
    return [await ws.receive_json() for _ in range(count)]
