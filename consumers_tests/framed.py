"""A client of `consumers.v1`, in process, for tests that look at single frames."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from consumers import App, WebSocketConsumer, WebSocketRoute
from consumers.testing import ClientConnection, TestClient

JSON: Final = "consumers.v1+json"
MSGPACK: Final = "consumers.v1+msgpack"


class Peer:
    """The client's end of a connection, frame by frame."""

    def __init__(self, ws: ClientConnection) -> None:
        self.ws = ws
        self.welcome: dict[str, Any] = {}
        self._unread: deque[dict[str, Any]] = deque()

    async def send(self, frame: str, **fields: Any) -> None:
        """Send a frame of one type."""
        await self.send_raw({"type": frame, **fields})

    async def send_raw(self, value: Any) -> None:
        """Send a value by the codec that was agreed on."""
        if self.ws.accepted_subprotocol == MSGPACK:
            await self.ws.send_msgpack(value)
        else:
            await self.ws.send_json(value)

    async def receive(self) -> dict[str, Any]:
        """Return the next frame; those that came as an array one after the other."""
        while not self._unread:
            if self.ws.accepted_subprotocol == MSGPACK:
                got = await self.ws.receive_msgpack()
            else:
                got = await self.ws.receive_json()
            self._unread.extend(got if isinstance(got, list) else [got])
        return self._unread.popleft()

    async def take(self, count: int) -> list[dict[str, Any]]:
        """Return so many frames."""
        return [await self.receive() for _ in range(count)]

    async def ask(self, id: int, message: Any, **fields: Any) -> dict[str, Any]:  # noqa: A002
        """Send a request, and return the next frame."""
        await self.send("request", id=id, message=message, **fields)
        return await self.receive()

    async def nothing(self) -> None:
        """Check that no frame comes."""
        assert not self._unread
        await self.ws.receive_nothing()

    async def end(self) -> tuple[dict[str, Any], int]:
        """Return the goodbye and the close code, which come next and last."""
        goodbye = await self.receive()
        assert not self._unread
        return goodbye, (await self.ws.receive_close()).code


@asynccontextmanager
async def talking(
    client: TestClient, path: str = "/", protocol: str = JSON, **options: Any
) -> AsyncIterator[Peer]:
    """Connect, and take the welcome."""
    async with client.connect(path, subprotocols=[protocol], **options) as ws:
        peer = Peer(ws)
        peer.welcome = await peer.receive()
        assert peer.welcome["type"] == "welcome"
        yield peer


@asynccontextmanager
async def framed(
    consumer: type[WebSocketConsumer],
    protocol: str = JSON,
    *,
    quiet: bool = False,
    **options: Any,
) -> AsyncIterator[tuple[TestClient, Peer]]:
    """Serve one class at ``/``, with one client that has its welcome."""
    app = App([WebSocketRoute("/", consumer)], **options)
    async with (
        TestClient(app, raise_server_exceptions=not quiet) as client,
        talking(client, protocol=protocol) as peer,
    ):
        yield client, peer
