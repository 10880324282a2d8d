"""Groups in the lifespan of somebody else's application."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from consumers import Group, Groups, WebSocketConsumer, WebSocketRoute
from consumers.testing import TestClient

room = Group("lifespan.{name}")
groups = Groups("memory://", [room])


class Orders(WebSocketConsumer):
    async def on_connect(self, name: str) -> None:
        await self.join(room(name))


def table() -> list[BaseRoute]:
    return [WebSocketRoute("/{name}", Orders)]


async def test_the_lifespan_tells_consumers_its_groups() -> None:
    """What is published to groups reaches consumers of the application they run in."""
    app = Starlette(routes=table(), lifespan=groups.lifespan)
    async with TestClient(app) as client, client.connect("/a") as ws:
        await groups.publish(room("a"), "hello")
        assert await ws.receive() == "hello"
        assert await groups.count(room("a")) == 1


async def test_the_lifespans_own_state_goes_on() -> None:
    """A lifespan around that of the groups yields a state with both."""

    @asynccontextmanager
    async def lifespan(app: object) -> AsyncIterator[dict[str, Any]]:
        async with groups.lifespan(app) as state:
            yield {**state, "greeting": "hi"}

    class Greeting(WebSocketConsumer):
        async def on_connect(self) -> None:
            await self.join("all")
            await self.send(self.state.greeting)

    app = Starlette(routes=[WebSocketRoute("/", Greeting)], lifespan=lifespan)
    async with TestClient(app) as client, client.connect("/") as ws:
        assert await ws.receive() == "hi"
        assert await groups.count("all") == 1


async def test_joining_where_the_groups_are_unknown_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An application without its groups' lifespan: one warning says what to write."""
    declared = Group("lost")
    elsewhere = Groups("memory://", [declared])

    class Lost(WebSocketConsumer):
        async def on_connect(self) -> None:
            await self.join(declared)

    app = Starlette(routes=[WebSocketRoute("/", Lost)])
    with caplog.at_level(logging.WARNING, "consumers"):
        async with TestClient(app) as client:
            for _ in range(2):
                async with client.connect("/"):
                    assert await elsewhere.count(declared) == 0
    (record,) = caplog.records
    assert "lifespan=groups.lifespan" in record.getMessage()
