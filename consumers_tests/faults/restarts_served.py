"""What the runs of rolling restarts serve: numbers that are kept, and acknowledged."""

from __future__ import annotations

import os
from random import Random

import anyio
import msgspec

from consumers import App, Group, Groups, History, WebSocketConsumer, WebSocketRoute
from consumers.handlers.messages import receives

from .jobs import Settings

__all__ = ["Write", "app", "groups", "kept"]

settings = msgspec.json.decode(os.environ.get("FAULTS_SETTINGS", "{}"), type=Settings)

kept = Group("kept", history=History(size=900_000, ttl=3600.0))
groups = Groups(settings.url, [kept])
random = Random(os.getpid())
MIB = 1024 * 1024


class Write(msgspec.Struct, tag="write"):
    """A number that is to be kept."""

    number: int


class Writer(WebSocketConsumer):
    """Keeps each number once, and acknowledges it then."""

    @receives(concurrency=4)
    async def write(self, message: Write) -> int:
        """Be in the middle of it at any moment."""
        if settings.without == "order":
            # A control: acknowledged first. What is left to do ends with the process.
            self.start_soon(self.keep, message)
        else:
            await self.keep(message)
        return message.number

    async def keep(self, message: Write) -> None:
        """Keep it, after what a database might take."""
        await anyio.sleep(random.uniform(0, 0.05))
        await self.publish(kept, {"number": message.number})


class Flood(WebSocketConsumer):
    """Sends more than fits into buffers, to a client that reads nothing."""

    async def on_connect(self) -> None:
        """Be stalled before the first message is awaited."""
        for _ in range(64):
            await self.send("x" * MIB)


app = App(
    [WebSocketRoute("/write", Writer), WebSocketRoute("/flood", Flood)], groups=groups
)
