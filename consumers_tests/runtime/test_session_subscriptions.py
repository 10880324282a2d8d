"""Subscriptions over `consumers.v1`: who may, where it stands, what comes and when."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from consumers import (
    App,
    Groups,
    NotAllowed,
    Position,
    WebSocketConsumer,
    WebSocketRoute,
    subscribes,
)
from consumers.testing import TestClient
from consumers_tests.framed import JSON, MSGPACK, talking
from consumers_tests.watching import (
    LATEST,
    LOG,
    PLAIN,
    Watching,
    subscribe,
    watching,
)


@pytest.mark.parametrize("protocol", [JSON, MSGPACK])
async def test_first_the_snapshot_then_what_is_published(protocol: str) -> None:
    """With the position of each, from which the client can go on."""
    async with (
        watching() as (client, groups, _),
        talking(client, "/", protocol) as peer,
    ):
        first = await subscribe(peer, 1, "log.a")
        assert first == {
            "type": "subscribed",
            "id": 1,
            "group": "log.a",
            "recovered": False,
            "position": first["position"],
            "snapshot": {"snapshot of": "a"},
        }
        assert Position.parse(first["position"]).offset == 0
        position = await groups.publish(LOG("a"), {"text": "hi"})
        assert await peer.receive() == {
            "type": "publication",
            "group": "log.a",
            "position": str(position),
            "message": {"text": "hi"},
        }


async def test_a_group_without_history_has_no_positions() -> None:
    """Its parameter comes converted."""
    async with watching() as (client, groups, _), talking(client) as peer:
        assert await subscribe(peer, 1, "plain.17") == {
            "type": "subscribed",
            "id": 1,
            "group": "plain.17",
            "recovered": False,
            "snapshot": 17,
        }
        await groups.publish(PLAIN(17), "hi")
        assert await peer.receive() == {
            "type": "publication",
            "group": "plain.17",
            "message": "hi",
        }


@pytest.mark.parametrize(
    "group",
    [
        "log.attic",
        "secret",
        "nowhere",
        "plain.x",
        "@user.ann",
        "log",
        "log.a.b",
        "log.",
    ],
)
async def test_what_one_may_not_see_looks_like_what_there_is_not(group: str) -> None:
    """The same error for all of them, without a reason; the connection goes on."""
    async with watching() as (client, groups, _), talking(client) as peer:
        answer = await subscribe(peer, 1, group)
        assert answer["type"] == "error"
        assert answer["id"] == 1
        assert answer["code"] in ("not_allowed", "invalid_message")
        if group in ("log.attic", "secret", "nowhere", "plain.x"):
            assert answer == {"type": "error", "id": 1, "code": "not_allowed"}
        await groups.publish(LOG("attic"), "secret")
        await peer.nothing()


@pytest.mark.parametrize(
    "position", ["", "17", "x.y", "-1.abc", "1.a b", "1." + "x" * 99]
)
async def test_a_position_must_be_one(position: str) -> None:
    """A text that is none is refused; one of another history is not recovered."""
    async with watching() as (client, _, _), talking(client) as peer:
        answer = await subscribe(peer, 1, "log.a", position=position)
        assert (answer["id"], answer["code"]) == (1, "invalid_message")
        answer = await subscribe(peer, 1, "log.a", position="1.another")
        assert (answer["type"], answer["recovered"]) == ("subscribed", False)


async def test_a_position_in_a_group_without_history() -> None:
    """A client may keep one of former times: it is not recovered, and no failure."""
    async with watching() as (client, _, _), talking(client) as peer:
        answer = await subscribe(peer, 1, "plain.1", position="1.former")

        assert (answer["type"], answer["recovered"]) == ("subscribed", False)


async def test_who_returns_gets_what_it_missed_and_no_snapshot() -> None:
    """In order and once, then what is new; its own position is confirmed."""
    async with watching() as (client, groups, consumer):
        await groups.publish(LOG("a"), 0)
        async with talking(client) as peer:
            first = await subscribe(peer, 1, "log.a")
        for number in (1, 2, 3):
            await groups.publish(LOG("a"), number)
        async with talking(client) as peer:
            second = await subscribe(peer, 1, "log.a", position=first["position"])
            await groups.publish(LOG("a"), 4)
            messages = [frame["message"] for frame in await peer.take(4)]
            await peer.nothing()

    assert second == {
        "type": "subscribed",
        "id": 1,
        "group": "log.a",
        "recovered": True,
        "position": first["position"],
    }
    assert messages == [1, 2, 3, 4]
    assert consumer.journal == ["watch a False", "watch a True"]


async def test_who_missed_too_much_gets_a_snapshot() -> None:
    """And stands where it was made."""
    async with watching() as (client, groups, _), talking(client) as peer:
        old = await groups.publish(LOG("a"), 0)
        for number in range(1, 10):
            last = await groups.publish(LOG("a"), number)
        answer = await subscribe(peer, 1, "log.a", position=str(old))
        await peer.nothing()

    assert (answer["recovered"], answer["position"]) == (False, str(last))
    assert answer["snapshot"] == {"snapshot of": "a"}


async def test_the_latest_come_where_nothing_is_recovered() -> None:
    """Each tells its position, and the answer before them tells none."""
    async with watching() as (client, groups, _), talking(client) as peer:
        positions = [str(await groups.publish(LATEST("a"), n)) for n in range(5)]
        answer = await subscribe(peer, 1, "latest.a")
        frames = await peer.take(2)
        again = await subscribe(peer, 2, "latest.a", position=positions[-1])
        await peer.nothing()

    assert answer == {
        "type": "subscribed",
        "id": 1,
        "group": "latest.a",
        "recovered": False,
    }
    assert [frame["position"] for frame in frames] == positions[-2:]
    assert (again["recovered"], again["position"]) == (True, positions[-1])


@pytest.mark.parametrize("since", [False, True], ids=["snapshot", "missed"])
async def test_publications_that_race_in_come_after(since: bool) -> None:
    """Once each: what is published while the method works is held until then."""
    async with watching() as (client, groups, consumer), talking(client) as peer:
        start = await groups.publish(LOG("slow"), 0)
        await groups.publish(LOG("slow"), 1)
        fields = {"position": str(start)} if since else {}
        await peer.send("subscribe", id=1, group="log.slow", **fields)
        await consumer.journal.wait_for(f"watch slow {since}")
        for number in (2, 3):
            await groups.publish(LOG("slow"), number)
        await peer.nothing()
        consumer.gate.set()
        assert (await peer.receive())["type"] == "subscribed"
        await groups.publish(LOG("slow"), 4)
        expected = [1, 2, 3, 4] if since else [2, 3, 4]
        got = [frame["message"] for frame in await peer.take(len(expected))]
        await peer.nothing()

    assert got == expected


async def test_subscribing_waits_for_nobody_else() -> None:
    """Neither messages, nor other groups, nor an unsubscribe of another one."""
    async with watching() as (client, groups, consumer), talking(client) as peer:
        await subscribe(peer, 1, "log.b")
        await peer.send("subscribe", id=2, group="log.slow")
        await consumer.journal.wait_for("watch slow False")
        assert (await subscribe(peer, 3, "log.c"))["id"] == 3
        await peer.send("unsubscribe", id=4, group="log.b")
        assert await peer.receive() == {"type": "reply", "id": 4, "message": None}
        await peer.send("ping")
        assert await peer.receive() == {"type": "pong"}
        consumer.gate.set()
        assert (await peer.receive())["id"] == 2
        await groups.publish(LOG("b"), "unheard")
        await groups.publish(LOG("c"), "heard")
        assert (await peer.receive())["message"] == "heard"


async def test_an_unsubscribe_waits_for_its_own_subscribe() -> None:
    """Whoever sends both in a row is no member in the end."""
    async with watching() as (client, groups, consumer), talking(client) as peer:
        await peer.send("subscribe", id=1, group="log.slow")
        await peer.send("unsubscribe", id=2, group="log.slow")
        await consumer.journal.wait_for("watch slow False")
        consumer.gate.set()
        frames = await peer.take(2)
        assert [(frame["type"], frame["id"]) for frame in frames] == [
            ("subscribed", 1),
            ("reply", 2),
        ]
        await groups.publish(LOG("slow"), "unheard")
        await peer.nothing()
        assert await groups.count(LOG("slow")) == 0


async def test_an_unsubscribe_of_what_was_not_subscribed_is_answered() -> None:
    """As the other: the client is no member."""
    async with watching() as (client, _, _), talking(client) as peer:
        await peer.send("unsubscribe", id=1, group="log.a")
        assert await peer.receive() == {"type": "reply", "id": 1, "message": None}


async def test_subscribing_twice_is_one_subscription() -> None:
    """It is answered again, and each publication comes once."""
    async with watching() as (client, groups, _), talking(client) as peer:
        await subscribe(peer, 1, "log.a")
        assert (await subscribe(peer, 2, "log.a"))["id"] == 2
        await groups.publish(LOG("a"), "once")
        assert (await peer.receive())["message"] == "once"
        await peer.nothing()
        await peer.send("unsubscribe", id=3, group="log.a")
        await peer.receive()
        assert await groups.count(LOG("a")) == 0


async def test_one_group_by_two_spellings_is_answered_twice() -> None:
    """Both ask for the same group at the same time, and each gets its answer."""
    async with watching() as (client, _, consumer), talking(client) as peer:
        await peer.send("subscribe", id=1, group="log.slow")
        await peer.send("subscribe", id=2, group="log.%73low")
        await client.settle()
        consumer.gate.set()
        frames = {frame["id"]: frame["type"] for frame in await peer.take(2)}
        await peer.nothing()

    assert frames[1] == "subscribed"
    assert frames[2] in ("subscribed", "error")


async def test_a_cancelled_subscribe_leaves_the_group() -> None:
    """It is answered by `cancelled`, and nothing of the group comes."""
    async with watching() as (client, groups, consumer), talking(client) as peer:
        await peer.send("subscribe", id=1, group="log.slow")
        await consumer.journal.wait_for("watch slow False")
        await peer.send("cancel", id=1)
        assert await peer.receive() == {"type": "error", "id": 1, "code": "cancelled"}
        assert await groups.count(LOG("slow")) == 0
        consumer.gate.set()
        assert (await subscribe(peer, 1, "log.slow"))["type"] == "subscribed"


async def test_a_cancel_comes_too_late_for_a_subscription() -> None:
    """Once it is answered all that was missed comes, and no `cancelled`."""
    async with watching() as (client, groups, _), talking(client) as peer:
        start = await groups.publish(LOG("a"), 0)
        for number in (1, 2, 3):
            await groups.publish(LOG("a"), number)
        await peer.ws.stall(2)
        await peer.send("subscribe", id=1, group="log.a", position=str(start))
        await client.settle()
        await peer.send("cancel", id=1)
        await client.settle()
        await peer.ws.resume()
        assert (await peer.receive())["type"] == "subscribed"
        await groups.publish(LOG("a"), 4)
        assert [frame["message"] for frame in await peer.take(4)] == [1, 2, 3, 4]
        await peer.nothing()


@pytest.mark.parametrize("stalled", [False, True], ids=["snapshot", "missed"])
async def test_who_is_put_out_while_subscribing_is_told(stalled: bool) -> None:
    """After the answer, and of what was missed nothing more comes then."""
    kick = {"what": "leave", "group": "log.slow", "type": "do"}
    async with watching() as (client, groups, consumer), talking(client) as peer:
        start = await groups.publish(LOG("slow"), 0)
        await groups.publish(LOG("slow"), 1)
        await groups.publish(LOG("slow"), 2)
        await peer.send("subscribe", id=1, group="log.slow", position=str(start))
        await consumer.journal.wait_for("watch slow True")
        if stalled:
            await peer.ws.stall(1)
            consumer.gate.set()
            await client.settle()
        await peer.send("message", message=kick)
        await client.settle()
        await peer.ws.resume()
        consumer.gate.set()
        assert (await peer.receive())["type"] == "subscribed"
        frames = [await peer.receive() for _ in range(1 + stalled)]
        await groups.publish(LOG("slow"), 3)
        await peer.nothing()

    # What was on its way by then may come before or after.
    told = {"type": "unsubscribed", "group": "log.slow", "code": "left"}
    assert [each["message"] for each in frames if each != told] == [1] * stalled
    assert told in frames


async def test_a_name_that_a_source_can_not_take_is_not_allowed() -> None:
    """It is the client's fault, and no reason to end the connection."""
    groups = Groups()

    @groups.source("ticks.{number}")
    async def ticks(number: int) -> AsyncIterator[int]:
        yield number

    class Ticking(WebSocketConsumer):
        value_type = "json"

        @subscribes(ticks)
        async def watch(self, number: str) -> None:
            pass

    app = App([WebSocketRoute("/", Ticking)], groups=groups)
    async with TestClient(app) as client, talking(client) as peer:
        answer = await subscribe(peer, 1, "ticks.x")
        assert answer == {"type": "error", "id": 1, "code": "not_allowed"}
        assert (await subscribe(peer, 2, "ticks.7"))["type"] == "subscribed"
        assert (await peer.receive())["message"] == 7


async def test_a_refused_repetition_ends_the_subscription() -> None:
    """The client learns it by the error, and not once more when that is left."""

    class Once(Watching):
        @subscribes(LOG)
        async def watch(self, name: str, recovered: bool) -> dict[str, Any] | None:
            self.journal.add(name)
            if len(self.journal) > 1:
                raise NotAllowed("not any more")
            return None

    async with watching(Once) as (client, groups, _), talking(client) as peer:
        await subscribe(peer, 1, "log.a")
        assert (await subscribe(peer, 2, "log.a"))["code"] == "not_allowed"
        assert await groups.count(LOG("a")) == 0
        do = {"type": "do", "what": "leave", "group": "log.a"}
        await peer.send("message", message=do)
        await peer.nothing()


async def test_a_method_that_fails_ends_the_connection() -> None:
    """As any other exception: `internal` to who has subscribed, and 1011."""
    async with watching(quiet=True) as (client, groups, _), talking(client) as peer:
        assert await subscribe(peer, 1, "log.broken") == {
            "type": "error",
            "id": 1,
            "code": "internal",
        }
        assert (await peer.end())[1] == 1011
        await client.settle()
        assert await groups.count(LOG("broken")) == 0


async def test_who_leaves_while_it_subscribes_is_no_member() -> None:
    """Nothing is left of it."""
    async with watching() as (client, groups, consumer), talking(client) as peer:
        await peer.send("subscribe", id=1, group="log.slow")
        await consumer.journal.wait_for("watch slow False")
        await peer.ws.drop()
        await client.settle()
        assert await groups.count(LOG("slow")) == 0
        consumer.gate.set()
