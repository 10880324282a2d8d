"""This framework, with its defaults; groups go by `BROKER_URL` where it is set."""

import os

from consumers import App, Groups, WebSocketConsumer, WebSocketRoute


class Echo(WebSocketConsumer):
    async def on_receive(self, message: str) -> None:
        await self.send(message)


class JsonEcho(WebSocketConsumer):
    async def on_receive(self, message: dict[str, object]) -> None:
        message["type"] = "chat.reply"
        await self.send(message)


class Broadcast(WebSocketConsumer):
    async def on_connect(self) -> None:
        await self.join("room")

    async def on_receive(self, message: str) -> None:
        await self.publish("room", message)


app = App(
    [
        WebSocketRoute("/echo", Echo),
        WebSocketRoute("/json", JsonEcho),
        WebSocketRoute("/broadcast", Broadcast),
    ],
    groups=Groups(os.environ.get("BROKER_URL", "memory://")),
)
