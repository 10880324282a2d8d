"""The other side of a connection, without a server: what it says and what it gets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar

import anyio
from anyio import fail_after
from anyio.lowlevel import checkpoint

from consumers.websocket import WebSocket

W = TypeVar("W", bound=WebSocket)


def text(message: str) -> dict[str, Any]:
    """Return the event of a text message from the client."""
    return {"type": "websocket.receive", "text": message}


def binary(message: bytes) -> dict[str, Any]:
    """Return the event of a binary message from the client."""
    return {"type": "websocket.receive", "bytes": message}


def left(code: int | None = 1000, reason: str = "") -> dict[str, Any]:
    """Return the event of the client's leaving."""
    return {"type": "websocket.disconnect", "code": code, "reason": reason}


class Peer:
    """A client and its server in one, driven by the test."""

    def __init__(self, **scope: Any) -> None:
        self.scope = {
            "type": "websocket",
            "path": "/",
            "query_string": b"",
            "headers": [],
            **scope,
        }
        self.sent: list[dict[str, Any]] = []
        """The events that the application sent."""
        self.gone: type[Exception] | None = None
        """What `send` raises, once the client is gone."""
        self.flows = anyio.Event()
        """Set while the client reads."""
        self.flows.set()
        self._give, self._take = anyio.create_memory_object_stream[dict[str, Any]](100)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._give.close()
        self._take.close()

    def says(self, *events: dict[str, Any]) -> None:
        """Have the application receive these events."""
        for event in events:
            self._give.send_nowait(event)

    async def receive(self) -> dict[str, Any]:
        return await self._take.receive()

    async def send(self, event: Any) -> None:
        await self.flows.wait()
        await checkpoint()
        if self.gone is not None:
            raise self.gone("the client is gone")
        self.sent.append(event)

    @property
    def types(self) -> list[str]:
        """The types of the events that were sent, without their common beginning."""
        return [event["type"].removeprefix("websocket.") for event in self.sent]

    @property
    def messages(self) -> list[str | bytes]:
        """The messages that were sent."""
        return [
            event["text"] if event.get("text") is not None else event["bytes"]
            for event in self.sent
            if event["type"] == "websocket.send"
        ]

    @asynccontextmanager
    async def connects(self, kind: type[W]) -> AsyncIterator[W]:
        """Yield a connection that waits for its handshake's answer."""
        with self, fail_after(5):
            self.says({"type": "websocket.connect"})
            yield kind(self.scope, self.receive, self.send)

    @asynccontextmanager
    async def opens(self, kind: type[W]) -> AsyncIterator[W]:
        """Yield an open connection."""
        async with self.connects(kind) as ws:
            await ws.accept()
            self.sent.clear()
            yield ws
