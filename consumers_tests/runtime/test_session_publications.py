"""What reaches the client of a session from groups, and by whose doing."""

from __future__ import annotations

from typing import Any

from consumers import (
    NotAllowed,
    Position,
    intercepts,
    subscribes,
)
from consumers_tests.framed import talking
from consumers_tests.watching import (
    LOG,
    PLAIN,
    QUICK,
    Rude,
    Watching,
    subscribe,
    watching,
)


async def test_the_application_subscribes_a_client() -> None:
    """Its snapshot is a message, since the client has not asked for it."""
    async with watching() as (client, groups, _), talking(client) as peer:
        await peer.send(
            "message", message={"type": "do", "what": "subscribe", "group": "log.a"}
        )
        assert await peer.receive() == {
            "type": "message",
            "message": {"snapshot of": "a"},
        }
        await groups.publish(LOG("a"), "hi")
        assert (await peer.receive())["type"] == "publication"


async def test_the_application_subscribes_while_the_client_does() -> None:
    """Each gets what is its own: the client an answer to what it has asked."""

    class Second(Watching):
        @subscribes(LOG)
        async def watch(self, name: str, recovered: bool) -> dict[str, Any] | None:
            self.journal.add(name)
            asked_for = len(self.journal) == 2
            await self.gate.wait()
            if asked_for:
                raise NotAllowed("not you")
            return {"for": "the application"}

    async with watching(Second) as (client, _, consumer), talking(client) as peer:
        await peer.send("ping")
        assert (await peer.receive())["type"] == "pong"
        do = {"type": "do", "what": "subscribe", "group": "log.a"}
        await peer.send("message", message=do)
        await consumer.journal.wait_for("a")
        await peer.send("subscribe", id=1, group="log.a")
        await client.settle()
        consumer.gate.set()
        frames = await peer.take(2)
        await peer.nothing()

    assert {"type": "error", "id": 1, "code": "not_allowed"} in frames
    assert {"type": "message", "message": {"for": "the application"}} in frames


async def test_the_client_is_told_when_the_application_ends_it() -> None:
    """Once, and nothing more of the group comes; a group that it only joined is not."""
    async with watching() as (client, groups, _), talking(client) as peer:
        await subscribe(peer, 1, "log.a")
        for group in ("log.a", "log.a", "log.b"):
            do = {"type": "do", "what": "leave", "group": group}
            await peer.send("message", message=do)
        told = await peer.receive()
        assert (told["type"], told["group"]) == ("unsubscribed", "log.a")
        await groups.publish(LOG("a"), "unheard")
        await peer.nothing()


async def test_groups_that_the_application_joins_send_publications() -> None:
    """With the group's name, and its position where it keeps them."""

    class Joining(Watching):
        async def on_connect(self) -> None:
            await self.join(LOG("a"), PLAIN(1))
            await self.send("joined")

    async with watching(Joining) as (client, groups, _), talking(client) as peer:
        assert (await peer.receive())["message"] == "joined"
        position = await groups.publish(LOG("a"), 1)
        await groups.publish(PLAIN(1), 2)
        assert await peer.take(2) == [
            {
                "type": "publication",
                "group": "log.a",
                "position": str(position),
                "message": 1,
            },
            {"type": "publication", "group": "plain.1", "message": 2},
        ]


async def test_batches_arrive_as_arrays_of_frames() -> None:
    """What was held back together is one WebSocket message."""
    async with watching() as (client, groups, _), talking(client) as peer:
        await subscribe(peer, 1, "quick")
        for number in range(4):
            await groups.publish(QUICK, number)
        assert (await peer.receive())["message"] == 0
        await client.advance(1.0)
        frames = await peer.ws.receive_json()

    assert frames == [
        {"type": "publication", "group": "quick", "message": number}
        for number in (1, 2, 3)
    ]


async def test_interceptors_see_publications_and_what_was_missed() -> None:
    """What one returns is put into the frame, at the publication's position."""

    class Polite(Watching):
        @intercepts
        async def soften(self, publication: Rude) -> Rude | None:
            if publication.text == "!":
                return None
            return Rude(publication.text.lower())

    async with watching(Polite) as (client, groups, _), talking(client) as peer:
        start = await groups.publish(LOG("a"), 0)
        for text in ("ONE", "!"):
            await groups.publish(LOG("a"), Rude(text))
        await subscribe(peer, 1, "log.a", position=str(start))
        await groups.publish(LOG("a"), Rude("TWO"))
        frames = await peer.take(2)

    assert [frame["message"]["text"] for frame in frames] == ["one", "two"]
    assert [Position.parse(frame["position"]).offset for frame in frames] == [2, 4]


async def test_several_groups_stand_where_each_of_them_does() -> None:
    """Positions of one are nothing to another."""
    async with watching() as (client, groups, _):
        async with talking(client) as peer:
            starts = {
                name: (await subscribe(peer, number, f"log.{name}"))["position"]
                for number, name in enumerate("abc", 1)
            }
        for name in "abcab":
            await groups.publish(LOG(name), name)
        async with talking(client) as peer:
            for number, name in enumerate("abc", 1):
                await peer.send(
                    "subscribe", id=number, group=f"log.{name}", position=starts[name]
                )
            frames = await peer.take(3 + 5)

    for name, count in (("a", 2), ("b", 2), ("c", 1)):
        own = [frame for frame in frames if frame["group"] == f"log.{name}"]
        assert own[0]["recovered"] is True
        assert [frame["message"] for frame in own[1:]] == [name] * count
