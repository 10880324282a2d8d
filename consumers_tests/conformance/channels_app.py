"""A chat with Channels, and a page of Django's: served in a process of its own."""

from __future__ import annotations

from typing import Any

from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["*"],
    CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}},
    ROOT_URLCONF=__name__,
)

# Both of them look at the settings when they are imported.
from channels.generic.websocket import AsyncJsonWebsocketConsumer  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import OriginValidator  # noqa: E402
from django.core.asgi import get_asgi_application  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402


class Chat(AsyncJsonWebsocketConsumer):  # type: ignore[misc]  # Channels has no types
    """The consumer of its tutorial."""

    async def connect(self) -> None:
        self.room = self.scope["url_route"]["kwargs"]["room"]
        await self.channel_layer.group_add(self.room, self.channel_name)
        await self.accept("chat" if "chat" in self.scope["subprotocols"] else None)

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard(self.room, self.channel_name)
        said = {"type": "chat.message", "message": f"left with {code}"}
        await self.channel_layer.group_send(self.room, said)

    async def receive_json(self, content: Any, **extra: Any) -> None:
        said = {"type": "chat.message", "message": content["message"]}
        await self.channel_layer.group_send(self.room, said)

    async def chat_message(self, event: dict[str, Any]) -> None:
        await self.send_json({"message": event["message"]})


def index(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"Django got {len(request.body)} bytes")


urlpatterns = [path("", index)]
application = ProtocolTypeRouter(
    {
        "http": get_asgi_application(),
        "websocket": OriginValidator(
            URLRouter([path("ws/<str:room>/", Chat.as_asgi())]), ["http://good.example"]
        ),
    }
)
