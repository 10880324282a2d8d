"""Django Channels: its generic consumers and its channel layers.

In memory, or with `BROKER_URL` over Redis: the one that its documentation recommends,
or with `LAYER=pubsub` the other.
"""

# Neither Django nor Channels has types.
# mypy: disable-error-code="import-untyped, misc"

import os
from typing import Any

import django
from django.conf import settings


def layer() -> dict[str, Any]:
    url = os.environ.get("BROKER_URL")
    if not url:
        return {"BACKEND": "channels.layers.InMemoryChannelLayer"}
    if os.environ.get("LAYER") == "pubsub":
        backend = "channels_redis.pubsub.RedisPubSubChannelLayer"
    else:
        backend = "channels_redis.core.RedisChannelLayer"
    # redis-py gives up at 100 connections, and Channels makes one for each client that
    # leaves while others do.
    host = {"address": url, "max_connections": 1000}
    return {"BACKEND": backend, "CONFIG": {"hosts": [host]}}


settings.configure(INSTALLED_APPS=["channels"], CHANNEL_LAYERS={"default": layer()})
django.setup()

# Channels reads Django's settings when it is imported.
from channels.generic.websocket import (  # noqa: E402
    AsyncJsonWebsocketConsumer,
    AsyncWebsocketConsumer,
)
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.urls import path  # noqa: E402


class Echo(AsyncWebsocketConsumer):
    async def receive(
        self, text_data: str | None = None, bytes_data: bytes | None = None
    ) -> None:
        await self.send(text_data=text_data)


class JsonEcho(AsyncJsonWebsocketConsumer):
    async def receive_json(self, content: dict[str, object], **kwargs: Any) -> None:
        content["type"] = "chat.reply"
        await self.send_json(content)


class Broadcast(AsyncWebsocketConsumer):
    groups = ("room",)

    async def receive(
        self, text_data: str | None = None, bytes_data: bytes | None = None
    ) -> None:
        event = {"type": "chat.message", "text": text_data}
        await self.channel_layer.group_send("room", event)

    async def chat_message(self, event: dict[str, str]) -> None:
        await self.send(text_data=event["text"])


routes = [
    path("echo", Echo.as_asgi()),
    path("json", JsonEcho.as_asgi()),
    path("broadcast", Broadcast.as_asgi()),
]
app = ProtocolTypeRouter({"websocket": URLRouter(routes)})
