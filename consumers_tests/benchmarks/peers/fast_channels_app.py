"""fast-channels: consumers in Channels' style, in a Starlette table."""

import os
from typing import Any

from fast_channels.consumer.websocket import (
    AsyncJsonWebsocketConsumer,
    AsyncWebsocketConsumer,
)
from fast_channels.layers import InMemoryChannelLayer, register_channel_layer
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute


def layer() -> Any:
    if url := os.environ.get("BROKER_URL"):
        from fast_channels.layers.redis import RedisChannelLayer

        return RedisChannelLayer(hosts=[{"address": url, "max_connections": 1000}])
    return InMemoryChannelLayer()


register_channel_layer("default", layer())


class Echo(AsyncWebsocketConsumer):
    channel_layer_alias = "default"

    async def receive(
        self,
        text_data: str | None = None,
        bytes_data: bytes | None = None,
        **kwargs: Any,
    ) -> None:
        await self.send(text_data=text_data)


class JsonEcho(AsyncJsonWebsocketConsumer):
    channel_layer_alias = "default"

    async def receive_json(self, content: dict[str, object], **kwargs: Any) -> None:
        content["type"] = "chat.reply"
        await self.send_json(content)


class Broadcast(AsyncWebsocketConsumer):
    channel_layer_alias = "default"
    groups = ("room",)

    async def receive(
        self,
        text_data: str | None = None,
        bytes_data: bytes | None = None,
        **kwargs: Any,
    ) -> None:
        event = {"type": "chat_message", "text": text_data}
        await self.channel_layer.group_send("room", event)

    async def chat_message(self, event: dict[str, str]) -> None:
        await self.send(text_data=event["text"])


app = Starlette(
    routes=[
        WebSocketRoute("/echo", Echo.as_asgi()),
        WebSocketRoute("/json", JsonEcho.as_asgi()),
        WebSocketRoute("/broadcast", Broadcast.as_asgi()),
    ]
)
