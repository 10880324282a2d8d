"""This framework, with its defaults; groups go by `BROKER_URL` where it is set."""

import os

import msgspec

from consumers import (
    App,
    Groups,
    WebSocket,
    WebSocketConsumer,
    WebSocketRoute,
    receives,
)


class Say(msgspec.Struct, tag="say"):
    text: str


class Leave(msgspec.Struct, tag="leave"):
    pass


class Said(msgspec.Struct, tag="said"):
    text: str


class Echo(WebSocketConsumer):
    async def on_receive(self, message: str) -> None:
        await self.send(message)


class JsonEcho(WebSocketConsumer):
    async def on_receive(self, message: dict[str, object]) -> None:
        message["type"] = "chat.reply"
        await self.send(message)


class Typed(WebSocketConsumer):
    @receives
    async def say(self, message: Say) -> Said:
        return Said(message.text)

    @receives
    async def bye(self, message: Leave) -> None:
        await self.close()


class Broadcast(WebSocketConsumer):
    async def on_connect(self) -> None:
        await self.join("room")

    async def on_receive(self, message: str) -> None:
        await self.publish("room", message)


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


app = App(
    [
        WebSocketRoute("/echo", Echo),
        WebSocketRoute("/json", JsonEcho),
        WebSocketRoute("/typed", Typed),
        WebSocketRoute("/request", Typed, name="request"),
        WebSocketRoute("/broadcast", Broadcast),
        WebSocketRoute("/view", echo),
    ],
    groups=Groups(os.environ.get("BROKER_URL", "memory://")),
)
