"""Consumers, a view and a middleware to be routed, and what a client is told there."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from consumers import WebSocket, WebSocketConsumer
from consumers.testing import Refused, TestClient


class Echo(WebSocketConsumer):
    async def on_receive(self, message: str) -> None:
        await self.send(message)


class Shop(WebSocketConsumer):
    async def on_connect(self, shop: int, page: int = 1) -> None:
        await self.send(f"{shop} {page}")


class Params(WebSocketConsumer):
    """Says what the path has."""

    async def on_connect(self) -> None:
        await self.send(repr(self.path_params))


class Words(WebSocketConsumer):
    """Says what middlewares have left, and its own."""

    async def on_connect(self, word: str = "") -> None:
        await self.send(" ".join([*self.scope.get("words", ()), word]))


async def view(ws: WebSocket, shop: int = 0) -> None:
    """Say which shop."""
    await ws.send(str(shop))


class Tag:
    """Middleware that leaves a word in the scope."""

    def __init__(self, app: ASGIApp, word: str) -> None:
        self.app, self.word = app, word

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["words"] = [*scope.get("words", ()), self.word]
        await self.app(scope, receive, send)


async def first_message(app: ASGIApp, path: str, **options: Any) -> object:
    """Return what a new connection is told first."""
    async with TestClient(app) as client, client.connect(path, **options) as ws:
        return await ws.receive()


async def status(app: ASGIApp, path: str, **options: Any) -> int:
    """Return the status that a handshake is refused with."""
    async with TestClient(app) as client:
        with pytest.raises(Refused) as caught:
            async with client.connect(path, **options):
                raise AssertionError
        return caught.value.status


async def status_after(app: ASGIApp, seconds: float) -> int:
    """Return the status that a handshake at ``/`` is refused with after this time."""
    statuses: list[int] = []
    async with TestClient(app) as client:

        async def connect() -> None:
            with pytest.raises(Refused) as caught:
                async with client.connect("/"):
                    raise AssertionError
            statuses.append(caught.value.status)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connect)
            await client.settle()
            assert statuses == []
            await client.advance(seconds)
    [status] = statuses
    return status
