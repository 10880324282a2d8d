"""An application to look at."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from consumers import App, Group, Groups, Identity, WebSocketConsumer, WebSocketRoute
from consumers.inspector import Inspector
from consumers.testing import ClientConnection, TestClient

__all__ = ["Window", "is_staff", "lobby", "looking", "room"]

room = Group("room.{name}", presence=True)


class Echo(WebSocketConsumer):
    async def on_receive(self, message: str) -> None:
        if message == "fail":
            raise ZeroDivisionError("token=hidden-away was not divisible")
        await self.send(message)


class Member(WebSocketConsumer):
    async def on_connect(self, name: str) -> None:
        await self.join(room(name))

    async def on_receive(self, message: str) -> None:
        await self.send(message)
        await self.send_bytes(message.encode())


class Refusing(WebSocketConsumer):
    async def on_handshake(self) -> None:
        await self.reject(418)


def is_staff(connection: Any) -> bool:
    return bool(connection.user.is_authenticated and connection.user.data == "staff")


def lobby(**settings: Any) -> App:
    """Return an application with an inspector for its staff."""
    routes = [
        WebSocketRoute("/echo", Echo),
        WebSocketRoute("/room/{name}", Member),
        WebSocketRoute("/refusing", Refusing),
    ]
    settings = {"inspector": Inspector("/inspector", allow=is_staff), **settings}
    return App(routes, groups=Groups("memory://", [room]), **settings)


class Window:
    """The inspector's socket, as its page uses it."""

    def __init__(self, client: TestClient, socket: ClientConnection) -> None:
        self.client = client
        self.socket = socket

    async def ask(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Send a message; return what is replied, or the error."""
        await self.client.settle()
        await self.socket.send({"type": kind, "id": 1, **fields})
        answer = await self.socket.receive_json()
        reply: dict[str, Any] = answer.get("reply") or answer["error"]
        return reply

    async def overview(self) -> dict[str, Any]:
        """Return what there is now."""
        return await self.ask("find", text="")

    async def id_of(self, consumer: str) -> str:
        """Return the id of the connection that a class serves."""
        rows = (await self.overview())["rows"]
        (found,) = [row["id"] for row in rows if row["consumer"] == consumer]
        return str(found)


@asynccontextmanager
async def looking(
    client: TestClient, identity: Identity | None = None
) -> AsyncIterator[Window]:
    """Open the inspector's socket, and take its first overview."""
    identity = identity or Identity("ada", data="staff")
    async with client.connect("/inspector/live", identity=identity) as socket:
        window = Window(client, socket)
        await socket.receive_json()
        yield window
