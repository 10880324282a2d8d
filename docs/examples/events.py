"""Say back what the client says, with ASGI events instead of messages."""

from collections.abc import Mapping
from typing import Any

from consumers import App, WebSocketConsumer, WebSocketRoute


class Echo(WebSocketConsumer):
    value_type = "event"

    async def on_receive(self, event: Mapping[str, Any]) -> None:
        said = f"You said: {event['text']}"
        await self.send({"type": "websocket.send", "text": said})


app = App([WebSocketRoute("/echo", Echo)])
