"""A chat with Channels.

Run it: ``uvicorn migrating.before_channels:application``.
"""

import os
from typing import Any

from channels.auth import AuthMiddlewareStack
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer, JsonWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import re_path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "migrating.before_settings")
django = get_asgi_application()  # before models are imported

from .project.models import Line  # noqa: E402


class Chat(AsyncJsonWebsocketConsumer):
    async def connect(self) -> None:
        self.user = self.scope["user"]
        self.room = self.scope["url_route"]["kwargs"]["room"]
        self.group = f"chat.{self.room}"
        if not self.user.is_authenticated:
            await self.close()
            return
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard(self.group, self.channel_name)

    async def receive_json(self, content: Any) -> None:
        match content["type"]:
            case "say":
                text = str(content["text"])[:500]
                await self.store(text)
                said = {"type": "chat.said", "name": self.user.username, "text": text}
                await self.channel_layer.group_send(self.group, said)
            case "count":
                await self.send_json({"type": "total", "lines": await self.count()})

    async def chat_said(self, event: dict[str, Any]) -> None:
        await self.send_json(
            {"type": "said", "name": event["name"], "text": event["text"]}
        )

    @database_sync_to_async
    def store(self, text: str) -> None:
        Line.objects.create(room=self.room, name=self.user.username, text=text)

    @database_sync_to_async
    def count(self) -> int:
        return Line.objects.filter(room=self.room).count()


class Search(JsonWebsocketConsumer):
    """Synchronous: Channels runs it in a thread."""

    def receive_json(self, content: Any) -> None:
        found = Line.objects.filter(text__contains=content["word"])
        self.send_json([line.text for line in found.order_by("id")])


sockets = URLRouter(
    [
        re_path(r"^ws/chat/(?P<room>\w+)$", Chat.as_asgi()),
        re_path(r"^ws/search$", Search.as_asgi()),
    ]
)
application = ProtocolTypeRouter(
    {"http": django, "websocket": AuthMiddlewareStack(sockets)}
)
