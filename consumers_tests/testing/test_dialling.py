"""The Python client in process: the same conversation as over a network."""

import anyio
import msgspec
import pytest

from consumers import (
    App,
    Group,
    Groups,
    History,
    MessageError,
    WebSocketConsumer,
    WebSocketRoute,
    receives,
    subscribes,
)
from consumers.client import Closed, Reconnect, connect
from consumers.testing import TestClient

room = Group("room.{name}", history=History())
AT_ONCE = Reconnect(min=0.001, max=0.001)


class Say(msgspec.Struct, tag="say"):
    text: str


class Room(WebSocketConsumer):
    async def on_handshake(self, name: str) -> None:
        if name == "attic":
            await self.reject(403)
        self.name = name

    @receives
    async def say(self, message: Say) -> int:
        if not message.text:
            raise MessageError("empty")
        await self.publish(room(self.name), message.text)
        return len(message.text)

    @subscribes(room)
    async def watch(self, name: str) -> None:
        """Let anybody watch."""


def made() -> App:
    """Return an application with groups of its own."""
    return App([WebSocketRoute("/{name}", Room)], groups=Groups("memory://", [room]))


async def test_a_request_and_a_subscription() -> None:
    """Requests are answered, errors raised, and publications come."""
    async with (
        TestClient(made()) as client,
        connect("ws://test/red", transport=client.dial) as talker,
        talker.subscribe("room.red", type=str) as subscription,
    ):
        with anyio.fail_after(5):
            assert await talker.request(Say("hello"), returns=int) == 5
            assert (await anext(subscription)).message == "hello"
            with pytest.raises(MessageError, match="empty"):
                await talker.request(Say(""))


async def test_it_comes_back_after_the_network_failed() -> None:
    """`drop` ends all connections, and the client misses nothing by it."""
    app = made()

    async with (
        TestClient(app) as client,
        connect("ws://test/red", transport=client.dial, reconnect=AT_ONCE) as talker,
        talker.subscribe("room.red", type=str) as subscription,
    ):
        with anyio.fail_after(5):
            await talker.request(Say("one"))
            await client.drop()
            await app.groups.publish(room("red"), "two")
            assert [(await anext(subscription)).message for _ in "12"] == ["one", "two"]


async def test_a_refusal_is_final() -> None:
    """It is told by the code that a client over a network gets."""
    async with TestClient(made()) as client:
        with anyio.fail_after(5), pytest.raises(Closed, match="4403"):
            async with connect("ws://test/attic", transport=client.dial) as talker:
                await talker.request(Say("hello"))
