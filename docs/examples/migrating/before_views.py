"""A view that announces something in a room, by Channels' layer."""

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.http import HttpRequest, HttpResponse
from django.urls import path

from .project.views import log_in


def announce(request: HttpRequest, room: str) -> HttpResponse:
    said = {"type": "chat.said", "name": "system", "text": request.POST["text"]}
    async_to_sync(get_channel_layer().group_send)(f"chat.{room}", said)
    return HttpResponse(status=204)


urlpatterns = [path("log-in/<name>", log_in), path("announce/<room>", announce)]
