"""A chat whose clients know its types."""

from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
from msgspec import Meta

from consumers import (
    App,
    Group,
    WebSocketConsumer,
    WebSocketRoute,
    receives,
    subscribes,
)


class Say(msgspec.Struct, tag="say"):
    """Say something to everybody in the room.

    Example:
        {"text": "Good morning"}
    """

    text: Annotated[str, Meta(min_length=1, max_length=500)]


class Ask(msgspec.Struct, tag="ask"):
    question: str


class Receipt(msgspec.Struct):
    length: int


class Said(msgspec.Struct, tag="said"):
    text: str


room = Group("room.{name}", sends=Said)


class Chat(WebSocketConsumer):
    """A chat with rooms."""

    async def on_connect(self, name: str) -> None:
        self.room = room(name)

    @receives
    async def say(self, message: Say) -> Receipt:
        await self.publish(self.room, Said(message.text))
        return Receipt(len(message.text))

    @receives
    async def ask(self, message: Ask) -> AsyncIterator[str]:
        for word in f"You ask: {message.question}".split():
            yield word

    @subscribes(room)
    async def watch(self, name: str) -> None:
        """Follow what is said in a room."""


app = App([WebSocketRoute("/rooms/{name}", Chat)])
