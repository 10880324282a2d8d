"""What is served: groups with history, presence, a source for the whole cluster.

The environment says how, so that one guard at a time can be taken out for a control.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import anyio
import msgspec
import sniffio
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from consumers import (
    App,
    Group,
    GroupName,
    Groups,
    History,
    Limits,
    Position,
    Presence,
    Recovery,
    WebSocketConsumer,
    WebSocketRoute,
)
from consumers.runtime.registry import current_registry
from consumers_tests.benchmarks.processes import resident_kib

from .guards import take_out
from .jobs import Numbered, Progress, Publish, Settings, State
from .publishing import publish

__all__ = ["app", "groups", "settings"]

settings = msgspec.json.decode(os.environ.get("FAULTS_SETTINGS", "{}"), type=Settings)
take_out(settings.without)

history = History(size=20_000, ttl=settings.ttl, remember=settings.remember)
room = Group("room.{name}", history=history)
plain = Group("plain.{name}")
hall = Group("hall", presence=Presence(lease=settings.lease))
# Who begins while the broker is away waits for it.
groups = Groups(settings.url, [room, plain, hall], wait=30.0)


@groups.source("ticks.{name}", per="cluster", lease=settings.lease, linger=1.0)
async def ticks(name: str) -> AsyncIterator[dict[str, Any]]:
    """Tell who is the source, ten times a second."""
    n = 0
    while True:
        yield {"pid": os.getpid(), "n": n, "at": time.monotonic()}
        n += 1
        await anyio.sleep(0.1)


def told(recovery: Recovery) -> dict[str, Any]:
    """Return what a client is told when it has joined, or missed something."""
    position = None if recovery.position is None else str(recovery.position)
    return {"recovered": recovery.recovered, "position": position}


class Member(WebSocketConsumer):
    """Gets what is published to one group; closed when that can't be recovered."""

    value_type = "json"
    positions = True

    async def on_connect(self, group: str, since: Position | None = None) -> None:
        """Join, after the position that the client remembers."""
        async with self.joining(group, since=since) as recovery:
            await self.send(told(recovery))
        everyone.setdefault(group, set()).add(self)

    async def on_disconnect(self, code: int) -> None:
        """Be nobody."""
        for members in everyone.values():
            members.discard(self)


everyone: dict[str, set[Member]] = {}
"""For the control that sends to one after the other."""


class Told(Member):
    """Is told that it missed something, and stays."""

    async def on_gap(self, group: GroupName, recovery: Recovery) -> None:
        """Pass it on."""
        await self.send(told(recovery))


class Present(Told):
    """Is seen in the hall, too."""

    async def on_connect(self, group: str, since: Position | None = None) -> None:
        """Join both."""
        await super().on_connect(group, since)
        await self.join(hall, presence={"pid": os.getpid()})


class Filled(Told):
    """Gets more than the others: what fills its buffers if it does not read."""

    async def on_connect(self, group: str, since: Position | None = None) -> None:
        """Join both."""
        await self.join("plain.fill")
        everyone.setdefault("plain.fill", set()).add(self)
        await super().on_connect(group, since)


class Watcher(WebSocketConsumer):
    """Follows the source."""

    value_type = "json"

    async def on_connect(self, name: str) -> None:
        """Join it."""
        await self.join(ticks(name))


class Churner(WebSocketConsumer):
    """Joins and leaves for as often as it is asked to, then says so."""

    value_type = "json"

    async def on_receive(self, message: dict[str, Any]) -> None:
        """Do it."""
        for _ in range(message["cycles"]):
            await self.join(*message["groups"])
            if settings.without == "yielding":
                time.sleep(0.02)  # noqa: ASYNC251  that is the point
            await self.leave(*message["groups"])
        await self.send({"done": message["cycles"]})


class Many(WebSocketConsumer):
    """Is in many groups at once."""

    value_type = "json"

    async def on_connect(self, first: int, count: int) -> None:
        """Join them."""
        await self.join(*(plain(n) for n in range(first, first + count)))
        await self.send({"recovered": False, "position": None})


class Publisher(WebSocketConsumer):
    """Publishes from inside the server."""

    async def on_receive(self, plan: Publish) -> None:
        """Publish, and say how far it is."""

        async def report(progress: Progress) -> None:
            await self.send(msgspec.to_builtins(progress))

        one = send_to_each if plan.naive else groups.publish
        self.start_soon(publish, plan, one, report)  # ends with the connection


async def send_to_each(group: str, message: Numbered) -> None:
    """Send to one member after the other, as a program without groups does."""
    for member in list(everyone.get(group, ())):
        await member.send(msgspec.to_builtins(message))


def tasks() -> int:
    """Return how many tasks the event loop has."""
    if sniffio.current_async_library() == "trio":
        import trio

        return trio.lowlevel.current_statistics().tasks_living
    import asyncio

    return len(asyncio.all_tasks())


async def state(request: Request) -> JSONResponse:
    """Tell what the process holds at the moment."""
    group = request.query_params.get("group", "")
    found = State(
        pid=os.getpid(),
        tasks=tasks(),
        files=len(os.listdir("/proc/self/fd")),
        resident=resident_kib(os.getpid()) * 1024,
        cpu=time.process_time(),
        members=len(everyone.get(group, ())),
        blocks=sys.getallocatedblocks(),
        connections=len(current_registry().lives),
    )
    if "consumers" in request.query_params:
        # What outlives a collection is frozen by the server: out of sight, and kept.
        gc.unfreeze()
        gc.collect()
        gc.unfreeze()
        found.consumers = sum(
            isinstance(one, WebSocketConsumer) for one in gc.get_objects()
        )
    if "present" in request.query_params:
        for present in await groups.presence(hall):
            pid = str(present.metadata["pid"])
            found.present[pid] = found.present.get(pid, 0) + len(present.connections)
    return JSONResponse(msgspec.to_builtins(found))


async def kept(request: Request) -> JSONResponse:
    """Tell which publications of a group are kept."""
    found = await groups.history(request.query_params["group"])
    offsets = [one.position.offset for one in found.publications if one.position]
    return JSONResponse({"epoch": found.position.epoch, "offsets": offsets})


app = App(
    [
        WebSocketRoute("/member/{group}", Member),
        WebSocketRoute("/told/{group}", Told),
        WebSocketRoute("/present/{group}", Present),
        WebSocketRoute("/filled/{group}", Filled),
        WebSocketRoute("/watcher/{name}", Watcher),
        WebSocketRoute("/churner", Churner),
        WebSocketRoute("/many/{first}/{count}", Many),
        WebSocketRoute("/publisher", Publisher),
        Route("/state", state),
        Route("/kept", kept),
    ],
    groups=groups,
    limits=Limits(
        groups=None,  # `Many` is in more than a connection may be elsewhere
        outbox_messages=settings.outbox_messages,
        outbox_bytes=settings.outbox_bytes,
    ),
)
