"""A chat that answers: what tests of dispatch, and of what goes wrong there, share."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from consumers import WebSocketConsumer, receives
from consumers.testing import ClientConnection


class Say(msgspec.Struct, tag="say"):
    text: str


class Ask(msgspec.Struct, tag="ask"):
    text: str


class Receipt(msgspec.Struct, tag="receipt"):
    text: str


class Chat(WebSocketConsumer):
    """Answers."""

    @receives
    async def say(self, message: Say) -> Receipt:
        return Receipt(message.text)

    @receives
    async def ask(self, message: Ask) -> None:
        if message.text:
            await self.send(Receipt(message.text))

    @receives("rename")
    async def rename(
        self,
        name: Annotated[str, Meta(max_length=5)],
        *,
        loud: bool = False,
        tags: list[str] = [],  # noqa: B006
    ) -> list[Any]:
        return [name, loud, tags]


async def asked(ws: ClientConnection, message: Any) -> Any:
    """Send a message, and return the answer."""
    await ws.send(message)
    return await ws.receive_json()
