"""What publications go through on their way into one connection."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from consumers import (
    App,
    Group,
    GroupName,
    Groups,
    History,
    Position,
    Presence,
    Recovery,
    WebSocketConsumer,
    WebSocketRoute,
)
from consumers.groups import Kind, Publication
from consumers.testing import ClientConnection, Closed, TestClient

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


# -- gaps, and what goes to one connection ---------------------------------------------


def gap() -> Publication:
    return Publication("log.a", Recovery(False, 0, Position(9, "new")), kind=Kind.GAP)


async def test_the_hook_is_told_of_a_gap_in_its_place() -> None:
    """After what came before it, and before what comes after it."""

    class Careful(Reader):
        async def on_gap(self, group: GroupName, recovery: Recovery) -> None:
            await self.send({"gap": str(group), "at": recovery.position})

    async with reading(Careful) as (client, groups), client.connect("/a") as ws:
        await ws.receive_json()
        await groups.publish(LOG("a"), "before")
        local = groups._loop.get() or await groups._here()
        local.hub.deliver(gap())
        await groups.publish(LOG("a"), "after")
        before, told, after = await received(ws, 3)

    assert (before["message"], after["message"]) == ("before", "after")
    assert told == {"gap": "log.a", "at": "9.new"}


async def test_without_the_hook_a_gap_closes_the_connection() -> None:
    """It is better served by coming back, and is told so by the code."""
    async with reading() as (client, groups), client.connect("/a") as ws:
        await ws.receive_json()
        (await groups._here()).hub.deliver(gap())
        with pytest.raises(Closed) as caught:
            await ws.receive_json()
        assert caught.value.code == 1013


async def test_one_connection_can_be_sent_to_by_its_id() -> None:
    """From anywhere, and to nobody else; to nobody where it is gone."""

    class Named(WebSocketConsumer):
        async def on_connect(self, name: str) -> None:
            await self.send(self.id)

    async with reading(Named) as (client, groups):
        async with client.connect("/a") as one, client.connect("/a") as two:
            name, _ = await one.receive_text(), await two.receive_text()
            await groups.send(name, "for you")
            assert await one.receive_text() == "for you"
        await groups.send(name, "too late")
        await groups.send("nobody-1", "never there")
