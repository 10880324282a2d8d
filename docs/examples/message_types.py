"""Receive and send text, bytes and JSON: the annotation says what is received.

What is sent is of the same kind, unless ``send_type`` says otherwise, and each method
with a kind in its name is always there.
"""

from typing import Any

from consumers import App, WebSocketConsumer, WebSocketRoute


class Upper(WebSocketConsumer):
    async def on_receive(self, message: str) -> None:
        await self.send(message.upper())


class Reverse(WebSocketConsumer):
    async def on_receive(self, message: bytes) -> None:
        await self.send(message[::-1])


class Keys(WebSocketConsumer):
    async def on_receive(self, message: dict[str, Any]) -> None:
        await self.send(sorted(message))


class Length(WebSocketConsumer):
    send_type = "json"

    async def on_receive(self, message: bytes) -> None:
        await self.send({"length": len(message)})
        await self.send_text("counted")


app = App(
    [
        WebSocketRoute("/upper", Upper),
        WebSocketRoute("/reverse", Reverse),
        WebSocketRoute("/keys", Keys),
        WebSocketRoute("/length", Length),
    ]
)
