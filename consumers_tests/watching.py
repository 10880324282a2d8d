"""A consumer whose clients subscribe, for tests of sessions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import msgspec

from consumers import (
    App,
    Coalesce,
    Group,
    Groups,
    History,
    NotAllowed,
    WebSocketConsumer,
    WebSocketRoute,
    receives,
    subscribes,
)
from consumers.testing import TestClient
from consumers_tests.doubles import Journal
from consumers_tests.framed import Peer

LOG = Group("log.{name}", history=History(size=5, ttl=3600))
LATEST = Group("latest.{name}", history=History(size=50))
PLAIN = Group("plain.{number}")
QUICK = Group("quick", outbox=Coalesce(int, every=1.0, batch=True))
SECRET = Group("secret")

GROUPS = [LOG, LATEST, PLAIN, QUICK, SECRET]


class Rude(msgspec.Struct, tag="rude"):
    text: str


class Do(msgspec.Struct, tag="do"):
    what: str
    group: str


class Watching(WebSocketConsumer):
    """Shows what groups there are, all but one."""

    value_type = "json"
    journal: Journal
    gate: anyio.Event

    @receives(concurrency=2)
    async def do(self, message: Do) -> None:
        if message.what == "subscribe":
            await self.subscribe(message.group)
        elif message.what == "leave":
            await self.leave(message.group)

    @subscribes(LOG)
    async def watch(self, name: str, recovered: bool) -> dict[str, Any] | None:
        self.journal.add(f"watch {name} {recovered}")
        if name == "attic":
            raise NotAllowed("the attic is not for you")
        if name.startswith("slow"):
            await self.gate.wait()
        if name == "broken":
            raise ZeroDivisionError
        return {"snapshot of": name}

    @subscribes(LATEST, last=2)
    async def latest(self, name: str) -> None:
        pass

    @subscribes(PLAIN)
    async def plain(self, number: int) -> int:
        return number

    @subscribes(QUICK)
    async def quick(self) -> None:
        pass


@asynccontextmanager
async def watching(
    base: type[WebSocketConsumer] = Watching, *, quiet: bool = False
) -> AsyncIterator[tuple[TestClient, Groups, type[Watching]]]:
    groups = Groups("memory://", GROUPS)
    fresh = {"journal": Journal(), "gate": anyio.Event()}
    consumer: Any = type("Watcher", (base,), fresh)
    app = App([WebSocketRoute("/", consumer)], groups=groups)
    async with TestClient(app, raise_server_exceptions=not quiet) as client:
        yield client, groups, consumer


async def subscribe(peer: Peer, id: int, group: str, **fields: Any) -> dict[str, Any]:  # noqa: A002
    await peer.send("subscribe", id=id, group=group, **fields)
    return await peer.receive()
