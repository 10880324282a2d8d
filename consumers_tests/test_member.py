"""A connection's part in groups: snapshots, presence, gaps."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from consumers import (
    App,
    Group,
    GroupName,
    Groups,
    Identity,
    LayerUnavailable,
    NotAllowed,
    Position,
    PresenceDiff,
    StateError,
    WebSocketConsumer,
    WebSocketRoute,
    subscribes,
)
from consumers.testing import Closed, Refused, TestClient
from consumers_tests.doubles import Journal
from consumers_tests.groups.scripted_layer import ScriptedLayer
from consumers_tests.readers import HERE, LOG, reading, received

# -- subscribes ------------------------------------------------------------------------


async def test_a_subscription_is_a_snapshot_and_every_change() -> None:
    """The method authorises and returns the snapshot; recovered clients get none."""
    journal = Journal()

    class Feed(WebSocketConsumer):
        value_type = "json"
        positions = True

        async def on_connect(self, name: str, since: Position | None = None) -> None:
            recovery = await self.subscribe(LOG(name), since)
            await self.send({"recovered": recovery.recovered})

        @subscribes(LOG)
        async def watch(self, name: str, recovered: bool = False) -> Any:
            if name == "secret":
                raise NotAllowed(name)
            journal.add((name, recovered))
            await self.groups.publish(LOG(name), "while the snapshot is made")
            return {"snapshot": name}

    async with reading(Feed, raise_server_exceptions=False) as (client, groups):
        async with client.connect("/a") as ws:
            snapshot, change, told = await received(ws, 3)
        assert (snapshot, told) == ({"snapshot": "a"}, {"recovered": False})
        assert change["message"] == "while the snapshot is made"

        async with client.connect("/a", query={"since": change["position"]}) as ws:
            change, told = await received(ws, 2)
        assert (change["message"], told) == (
            "while the snapshot is made",
            {"recovered": True},
        )
        assert journal == [("a", False), ("a", True)]

        async with client.connect("/secret") as ws:
            with pytest.raises(Closed) as caught:
                await ws.receive_json()
        assert (caught.value.code, caught.value.reason) == (1008, "not allowed")
        assert await groups.count(LOG("secret")) == 0


async def test_nobody_may_subscribe_by_default() -> None:
    """A group for which the class marks no method is refused."""
    journal = Journal()

    class Closed(WebSocketConsumer):
        async def on_connect(self, name: str) -> None:
            try:
                await self.subscribe(LOG(name))
            except NotAllowed as error:
                journal.add(str(error))
            await self.send("done")

    async with reading(Closed) as (client, _), client.connect("/a") as ws:
        await ws.receive_text()
    assert journal == [
        "Closed has no method for group 'log.a'; mark one @subscribes(group)"
    ]


async def test_a_groups_parameters_are_converted() -> None:
    """As those of a path are; a name that no method would take is not allowed."""
    seats = Group("seats.{row}")
    journal = Journal()

    class Hall(WebSocketConsumer):
        async def on_connect(self, name: str) -> None:
            try:
                await self.subscribe(seats(name))
            except NotAllowed as error:
                journal.add(str(error))
            await self.send("done")

        @subscribes(seats)
        async def watch(self, row: int) -> None:
            journal.add(row)

    async with reading(Hall) as (client, _):
        for name in ("12", "front"):
            async with client.connect(f"/{name}") as ws:
                await ws.receive_text()
    assert journal == [12, "group 'seats.front': Expected `int`, got `str`"]


# -- presence --------------------------------------------------------------------------


class Face(WebSocketConsumer):
    """Is present, and tells its client who else is."""

    value_type = "json"

    async def on_connect(self, name: str) -> None:
        await self.join(HERE(name), presence={"mood": "fine"})

    async def on_receive(self, message: Any) -> None:
        await self.update_presence(HERE("a"), message)

    async def on_presence(self, group: GroupName, diff: PresenceDiff) -> None:
        await self.send(
            {
                "group": str(group),
                "joined": [each.key for each in diff.joined],
                "updated": {each.key: each.metadata for each in diff.updated},
                "left": diff.left,
            }
        )


async def test_the_hook_is_told_who_comes_changes_and_goes() -> None:
    """Each diff is one call, with the group that it is about."""
    async with (
        reading(Face) as (client, _),
        client.connect("/a", identity=Identity("ana")) as ana,
    ):
        await client.advance(0.2)
        await ana.receive_json()
        async with client.connect("/a", identity=Identity("bo")) as bo:
            await client.advance(0.2)
            joined = await ana.receive_json()
            await bo.send_json({"mood": "tired"})
            await client.advance(0.2)
            updated = await ana.receive_json()
        await client.advance(2)
        left = await ana.receive_json()

    nothing = {"group": "here.a", "joined": [], "updated": {}, "left": []}
    assert joined == {**nothing, "joined": ["bo"]}
    assert updated == {**nothing, "updated": {"bo": {"mood": "tired"}}}
    assert left == {**nothing, "left": ["bo"]}


async def test_presence_of_who_is_no_member_cannot_be_updated() -> None:
    """The error says what to do first."""
    journal = Journal()

    class Stranger(WebSocketConsumer):
        async def on_connect(self, name: str) -> None:
            try:
                await self.update_presence(HERE(name), "here")
            except StateError as error:
                journal.add(str(error))
            await self.send("done")

    async with reading(Stranger) as (client, _), client.connect("/a") as ws:
        await ws.receive_text()
    assert "update its presence in 'here.a': join it first" in journal[0]


async def test_who_leaves_while_it_joins_is_not_present() -> None:
    """Nor does it stay behind when the connection is gone."""
    layer = ScriptedLayer()
    groups = Groups(declared=[HERE], layer=lambda: layer)
    gate = anyio.Event()

    class Hasty(WebSocketConsumer):
        async def on_connect(self, name: str) -> None:
            layer.blocked["subscribe"] = gate
            self.start_soon(self.join, HERE(name))

        async def on_receive(self, message: str) -> None:
            await self.leave(HERE("a"))

    app = App([WebSocketRoute("/{name}", Hasty)], groups=groups)
    async with TestClient(app) as client:
        async with client.connect("/a") as ws:
            await client.settle()
            await ws.send("leave")
            await client.settle()
            gate.set()
            await client.settle()
            assert await groups.presence(HERE("a")) == []
        assert await groups.presence(HERE("a")) == []


@pytest.mark.parametrize("failing", ["subscribe", "enter"])
async def test_who_can_not_join_is_no_member(failing: str) -> None:
    """Of none of the groups; of those that it was in before it stays one."""
    layer = ScriptedLayer()
    groups = Groups(declared=[HERE], layer=lambda: layer)

    class Patient(WebSocketConsumer):
        async def on_connect(self, name: str) -> None:
            await self.join(HERE("a"))
            layer.failing.add(failing)
            with pytest.raises(LayerUnavailable):
                await self.join(HERE("a"), "plain", HERE("b"))
            layer.failing.clear()
            with pytest.raises(StateError):
                await self.update_presence(HERE("b"), "here")
            for group in (HERE("b"), "plain", HERE("a")):
                await self.groups.publish(group, str(group))

    app = App([WebSocketRoute("/{name}", Patient)], groups=groups)
    async with TestClient(app) as client, client.connect("/a") as ws:
        assert await ws.receive() == "here.a"
        await ws.receive_nothing()
        present = [await groups.presence(HERE(name)) for name in "ab"]
        assert [len(each) for each in present] == [1, 0]


# -- a layer that is away --------------------------------------------------------------


@pytest.mark.parametrize("early", [True, False])
async def test_a_layer_that_is_away_asks_the_client_to_come_back(
    early: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """With 503 before accept and 1013 after it; no traceback, and one line."""

    class Needs(WebSocketConsumer):
        async def on_handshake(self, name: str) -> None:
            if early:
                raise LayerUnavailable("redis://127.0.0.1:1 is away")

        async def on_connect(self, name: str) -> None:
            raise LayerUnavailable("redis://127.0.0.1:1 is away")

    async with reading(Needs) as (client, _):
        if early:
            with pytest.raises(Refused) as refused:
                async with client.connect("/a"):
                    pass
            assert refused.value.status == 503
        else:
            async with client.connect("/a") as ws:
                with pytest.raises(Closed) as caught:
                    await ws.receive_text()
                assert caught.value.code == 1013
    [record] = [each for each in caplog.records if each.name == "consumers"]
    assert record.levelname == "WARNING"
    assert record.exc_info is None
