"""What a soak serves: recoverable groups, presence, requests, echoes, slow readers."""

from __future__ import annotations

import time
from typing import Final

from starlette.routing import Route

from consumers import App, Limits, WebSocketConsumer, WebSocketRoute
from consumers.handlers.messages import receives

from .application import Member, Present, Told, groups, settings, state
from .jobs import Numbered
from .restarts_served import Write
from .verdict import PUBLISHER

__all__ = ["LOAD", "ROOMS", "app", "groups", "room_of"]

ROOMS: Final = 4
"""Groups that remember."""
LOAD: Final = "plain.load"
"""The group of those who do not read as fast as it comes."""

hoard: list[object] = []
"""What the control keeps for ever."""


def room_of(number: int) -> str:
    """Return the group of what a writer writes."""
    return f"room.{number // PUBLISHER % ROOMS}"


def leak(consumer: WebSocketConsumer) -> None:
    """Keep what should go, in the control."""
    if settings.without == "forgetting":
        hoard.append((consumer, b"x" * settings.leak))


class Writer(WebSocketConsumer):
    """Publishes each number, and acknowledges it then. By ``consumers.v1``."""

    @receives(concurrency=4)
    async def write(self, message: Write) -> int:
        """Publish it: once, by the request's key, however often it is said."""
        leak(self)
        await self.publish(
            room_of(message.number), Numbered(message.number, time.monotonic())
        )
        return message.number


class Echo(WebSocketConsumer):
    """Says what it is told."""

    async def on_receive(self, message: str) -> None:
        """Say it."""
        leak(self)
        await self.send(message)


class Loaded(WebSocketConsumer):
    """Is sent more than its client reads."""

    value_type = "json"

    async def on_connect(self) -> None:
        """Join."""
        await self.join(LOAD)


app = App(
    [
        WebSocketRoute("/member/{group}", Member),
        WebSocketRoute("/told/{group}", Told),
        WebSocketRoute("/present/{group}", Present),
        WebSocketRoute("/write", Writer),
        WebSocketRoute("/echo", Echo),
        WebSocketRoute("/loaded", Loaded),
        Route("/state", state),
    ],
    groups=groups,
    limits=Limits(
        outbox_messages=settings.outbox_messages, outbox_bytes=settings.outbox_bytes
    ),
)
