"""Limits: messages, groups and time of handling, each at its edge in an application."""

from collections.abc import AsyncIterator
from typing import Any

import anyio
import msgspec
import pytest

from consumers import (
    Group,
    Groups,
    Identity,
    Limits,
    NotAllowed,
    WebSocketConsumer,
    receives,
    subscribes,
)
from consumers_tests.doubles import serving

V1 = "consumers.v1+json"
room = Group("room.{number}")


class Say(msgspec.Struct, tag="say"):
    text: Any


class Echo(WebSocketConsumer):
    value_type = "json"

    async def on_receive(self, message: Any) -> None:
        await self.send(message)


class Typed(WebSocketConsumer):
    @receives
    async def say(self, message: Say) -> Say:
        return message


class Waiting(WebSocketConsumer):
    async def on_receive(self, message: str) -> None:
        await anyio.sleep_forever()


class WaitingBeside(Waiting):
    concurrency = 2


class WaitingTyped(WebSocketConsumer):
    @receives
    async def say(self, message: Say) -> None:
        await anyio.sleep_forever()

    @receives
    async def stream(self, message: "Stream") -> AsyncIterator[int]:
        yield 1
        await anyio.sleep_forever()


class Stream(msgspec.Struct, tag="stream"):
    pass


@pytest.mark.parametrize("most", [10, None])
async def test_bytes_of_a_message(most: int | None) -> None:
    """As many come back, on whatever server; one more closes with 1009.

    Off, as many come back as no default allows.
    """
    async with (
        serving(Echo, limits=Limits(message_bytes=most)) as client,
        client.connect("/") as ws,
    ):
        for text in ('"1234567"', '"12345678"'):
            await ws.send(text)
            assert await ws.receive() == text
        if most is None:
            for size in (9, 1 << 20):
                await ws.send(f'"{"x" * size}"')
                assert len(await ws.receive()) == size + 2
            return
        await ws.send('"123456789"')

        closed = await ws.receive_close()
        assert (closed.code, closed.reason) == (1009, "the message is too big")


@pytest.mark.parametrize(
    ("bounds", "fits", "reason"),
    [
        (Limits(message_items=3), [1, [2]], "the message has too many items"),
        (Limits(message_depth=3), [[1]], "the message is nested too deeply"),
    ],
)
async def test_items_and_depth_of_a_message(
    bounds: Limits, fits: Any, reason: str
) -> None:
    """As many come back; one more closes with 1008, and off it comes back too."""
    more = [[1], 2, 3] if bounds.message_items == 3 else [[[[1]]]]
    async with serving(Echo, limits=bounds) as client, client.connect("/") as ws:
        for message in (fits, [1, 2, 3] if bounds.message_items == 3 else [fits]):
            await ws.send_json(message)
            assert await ws.receive_json() == message
        await ws.send_json(more)
        closed = await ws.receive_close()
        assert (closed.code, closed.reason) == (1008, reason)
    off = Limits(message_items=None, message_depth=None)
    async with serving(Echo, limits=off) as client, client.connect("/") as ws:
        await ws.send_json(more)
        assert await ws.receive_json() == more


async def test_typed_messages_are_answered() -> None:
    """Whoever sends too many items is told by the message's id, and stays."""
    bounds = Limits(message_items=6)
    async with serving(Typed, limits=bounds) as client, client.connect("/") as ws:
        await ws.send_json({"type": "say", "text": [1, 2, 3, 4], "id": 7})
        error = await ws.receive_json()
        assert (error["id"], error["error"]["code"]) == (7, "too_large")
        await ws.send_json({"type": "say", "text": [1, 2, 3], "id": 8})
        assert (await ws.receive_json())["id"] == 8


async def test_requests_are_answered() -> None:
    """The same over the subprotocol, where the frame around it counts too."""
    bounds = Limits(message_items=8)
    async with (
        serving(Typed, limits=bounds) as client,
        client.connect("/", subprotocols=[V1]) as ws,
    ):
        await ws.receive_json()
        request: dict[str, Any] = {"type": "request", "id": 7}
        await ws.send_json(
            {**request, "message": {"type": "say", "text": [1, 2, 3, 4]}}
        )
        error = await ws.receive_json()
        assert (error["type"], error["id"]) == ("error", 7)
        assert error["code"] == "too_large"
        await ws.send_json({**request, "message": {"type": "say", "text": [1, 2, 3]}})
        assert (await ws.receive_json())["type"] == "reply"


@pytest.mark.parametrize("most", [2, None])
async def test_groups_of_a_connection(most: int | None) -> None:
    """So many can be joined and one more can't, a user's own aside; leaving helps."""
    outcomes: list[Any] = []

    class Joining(WebSocketConsumer):
        async def on_connect(self) -> None:
            await self.join(room(1), room(2))
            await self.join(room(2), room(1))
            try:
                await self.join(room(3))
                outcomes.append("three")
            except NotAllowed as error:
                outcomes.append(str(error))
                await self.leave(room(1))
                await self.join(room(3))

    async with (
        serving(
            Joining, groups=Groups(declared=[room]), limits=Limits(groups=most)
        ) as client,
        client.connect("/", identity=Identity("anna")) as ws,
    ):
        await client.settle()
        assert ws.closed is None
    if most is None:
        assert outcomes == ["three"]
    else:
        [outcome] = outcomes
        assert "member of 2 groups" in outcome


@pytest.mark.parametrize(
    ("bounds", "sent", "fits"),
    [
        (Limits(outbox_messages=3), ["1", "2"], True),
        (Limits(outbox_messages=3), ["1", "2", "3"], True),
        (Limits(outbox_messages=3), ["1", "2", "3", "4"], False),
        (Limits(outbox_messages=4), ["1", "2", "3", "4"], True),
        (Limits(outbox_bytes=9), ["1234", "1234"], True),
        (Limits(outbox_bytes=9), ["1234", "12345"], True),
        (Limits(outbox_bytes=9), ["1234", "123456"], False),
        (Limits(outbox_bytes=10), ["1234", "123456"], True),
    ],
)
async def test_publications_that_wait_for_a_client(
    bounds: Limits, sent: list[str], fits: bool
) -> None:
    """So many may wait, of so many bytes; with one more it is closed with 1013.

    The control of each, since these are never off, is a limit of one more.
    """

    class Member(WebSocketConsumer):
        limits = bounds

        async def on_connect(self) -> None:
            await self.join("room")

    groups = Groups()
    async with serving(Member, groups=groups) as client, client.connect("/") as ws:
        await client.settle()
        await ws.stall(0)
        for each in sent:
            assert await groups.count("room") == 1
            await groups.publish("room", each)
        assert await groups.count("room") == fits
        await ws.resume()
        if fits:
            assert [await ws.receive() for _ in sent] == sent
        else:
            await client.settle()
            assert ws.closed is not None
            assert ws.closed.code == 1013


async def test_subscriptions_of_a_client() -> None:
    """A client that subscribes to one too many is answered, and can leave another."""

    class Subscribed(WebSocketConsumer):
        @subscribes(room)
        async def on_room(self, number: int) -> None: ...

    groups = Groups(declared=[room])
    async with (
        serving(Subscribed, groups=groups, limits=Limits(groups=1)) as client,
        client.connect("/", subprotocols=[V1]) as ws,
    ):
        await ws.receive_json()
        answers = []
        for number, kind in enumerate(["subscribe", "subscribe", "unsubscribe"], 1):
            group = "room.1" if kind == "unsubscribe" else f"room.{number}"
            await ws.send_json({"type": kind, "id": number, "group": group})
            answers.append(await ws.receive_json())
        await ws.send_json({"type": "subscribe", "id": 4, "group": "room.2"})
        answers.append(await ws.receive_json())

    assert [each["type"] for each in answers[::3]] == ["subscribed", "subscribed"]
    assert answers[1]["code"] == "not_allowed"


@pytest.mark.parametrize("consumer", [Waiting, WaitingBeside])
async def test_on_receive_that_takes_too_long(
    consumer: type[WebSocketConsumer],
) -> None:
    """It is cancelled at its time, and its connection closed with 1013."""
    async with (
        serving(consumer, limits=Limits(handler_timeout=5)) as client,
        client.connect("/") as ws,
    ):
        await ws.send("x")
        await client.advance(4.9)
        assert ws.closed is None
        await client.advance(0.2)

        closed = await ws.receive_close()
        assert (closed.code, closed.reason) == (1013, "a message took too long")


async def test_without_a_time_it_may_take_any() -> None:
    """The control: by default a message is handled for as long as it takes."""
    async with serving(Waiting) as client, client.connect("/") as ws:
        await ws.send("x")
        await client.advance(100_000)
        assert ws.closed is None
        await ws.drop()
        await client.advance(10)  # finish_timeout is 5


@pytest.mark.parametrize("offers", [[], [V1]])
async def test_a_typed_message_that_takes_too_long(offers: list[str]) -> None:
    """Its sender is answered and stays; a stream takes as long as it takes."""
    async with (
        serving(WaitingTyped, limits=Limits(handler_timeout=5)) as client,
        client.connect("/", subprotocols=offers) as ws,
    ):
        if offers:
            await ws.receive_json()
        for number, kind in enumerate(["say", "stream"], 1):
            message = {"type": kind, "text": "x"}
            framed = {"type": "request", "id": number, "message": message}
            await ws.send_json(framed if offers else {**message, "id": number})
            if kind == "say":
                await client.settle()
                await client.advance(4.9)
                await ws.receive_nothing()
                await client.advance(0.2)
                error = await ws.receive_json()
                assert error["id"] == 1
                assert error.get("error", error)["code"] == "timeout"
        item = await ws.receive_json()
        assert item.get("item", item.get("message")) == 1
        await client.advance(1 if offers else 1000)
        await ws.receive_nothing()
