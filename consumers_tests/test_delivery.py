"""What publications go through on their way into one connection."""

from __future__ import annotations

import pytest

from consumers import (
    GroupName,
    Position,
    Recovery,
    WebSocketConsumer,
)
from consumers.groups import Kind, Publication
from consumers.testing import Closed
from consumers_tests.readers import LOG, Reader, reading, received

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
