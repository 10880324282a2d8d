"""The same chat with consumers.

Run it: ``consumers run migrating.after_channels:app``.
"""

import os
from typing import Annotated

import anyio.from_thread
from django.core.asgi import get_asgi_application
from msgspec import Meta, Struct

from consumers import App, WebSocketConsumer, WebSocketRoute, receives

from .after_groups import Said, groups, room_group
from .from_django import authenticate, database, in_database

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "migrating.after_settings")
django = get_asgi_application()  # before models are imported

from .project.models import Line  # noqa: E402

Word = Annotated[str, Meta(pattern=r"^\w+$")]


class Say(Struct, tag="say"):
    text: Annotated[str, Meta(max_length=500)]


class Count(Struct, tag="count"):
    pass


class Total(Struct, tag="total"):
    lines: int


class Chat(WebSocketConsumer):
    async def on_handshake(self) -> None:
        if not self.user.is_authenticated:
            await self.reject(403)

    async def on_connect(self, room: Word) -> None:
        self.room = room
        await self.join(room_group(room))

    @receives
    async def say(self, message: Say) -> None:
        name = self.user.display_name
        line = Line(room=self.room, name=name, text=message.text)
        await in_database(line.save)
        await self.publish(room_group(self.room), Said(name, message.text))

    @receives
    async def count(self, message: Count) -> Total:
        lines = Line.objects.filter(room=self.room)
        return Total(await in_database(lines.count))


class Query(Struct):
    word: str


class Search(WebSocketConsumer):
    """Synchronous: a thread of its own for each message."""

    @receives(thread=True)
    def on_receive(self, message: Query) -> None:
        with database():
            found = Line.objects.filter(text__contains=message.word)
            lines = [line.text for line in found.order_by("id")]
        anyio.from_thread.run(self.send, lines)


app = App(
    [
        WebSocketRoute("/ws/chat/{room}", Chat),
        WebSocketRoute("/ws/search", Search),
    ],
    groups=groups,
    authenticate=authenticate,
    http=django,
)
