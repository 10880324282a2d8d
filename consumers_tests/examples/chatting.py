"""What a page of the chat does, without a page: it speaks `consumers.v1`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any
from uuid import uuid4

from chat.messages import Here, Moves, Said
from msgspec import Struct, convert

from consumers.testing import ClientConnection, TestClient

__all__ = ["Line", "Tab", "arrivals", "connected", "entered"]


class Line(Struct):
    """What is said in a room, as it comes to a page."""

    group: str
    position: str
    message: Said


class Tab:
    """What a page does, without the page: it speaks `consumers.v1`."""

    def __init__(self, ws: ClientConnection, room: str) -> None:
        self.ws = ws
        self.room = room
        self.people: list[str] = []
        self._ids = count(1)

    async def ask(self, **frame: Any) -> int:
        """Send a frame that is answered; return its id."""
        number = next(self._ids)
        await self.ws.send({"id": number, **frame})
        return number

    async def enter(self) -> dict[str, Any]:
        """Subscribe as the page does; return what the room's lines begin with."""
        await self.ask(type="subscribe", group=f"here.{self.room}")
        here = convert((await self.message("subscribed"))["snapshot"], Here)
        self.people = here.names
        await self.ask(type="subscribe", group=f"chat.{self.room}")
        return await self.message("subscribed")

    async def return_to(self, position: str) -> dict[str, Any]:
        """Subscribe to the room's lines where one was."""
        await self.ask(type="subscribe", group=f"chat.{self.room}", position=position)
        assert (await self.pushed())["type"] == "back"
        return await self.message("subscribed")

    async def message(self, kind: str) -> dict[str, Any]:
        """Wait for a frame of one type."""
        frame: dict[str, Any] = await self.ws.receive_json()
        assert frame.pop("type") == kind
        return frame

    async def pushed(self) -> dict[str, Any]:
        pushed: dict[str, Any] = (await self.message("message"))["message"]
        return pushed

    async def moves(self) -> Moves:
        return convert(await self.pushed(), Moves)

    async def line(self) -> Line:
        return convert(await self.message("publication"), Line)

    async def lines(self, count: int) -> list[str]:
        return [(await self.line()).message.text for _ in range(count)]

    async def say(self, text: str, line: str = "", key: str = "") -> None:
        message = {"type": "say", "text": text, "id": line or uuid4().hex}
        await self.ask(type="request", message=message, key=key or uuid4().hex)

    async def said(self) -> str:
        """Wait for one's own line, and for the word that it is taken."""
        line = await self.line()
        reply = (await self.message("reply"))["message"]
        assert reply == {"type": "taken", "position": line.position}
        return line.position


@asynccontextmanager
async def connected(
    client: TestClient, room: str, name: str | None = None
) -> AsyncIterator[Tab]:
    query = {} if name is None else {"name": name}
    async with client.connect(
        f"/r/{room}", query=query, subprotocols=["consumers.v1+json"]
    ) as ws:
        tab = Tab(ws, room)
        await tab.message("welcome")
        yield tab


@asynccontextmanager
async def entered(
    client: TestClient, room: str, name: str
) -> AsyncIterator[tuple[Tab, dict[str, Any]]]:
    """Enter a room; give the tab, and what the room's lines begin with."""
    async with connected(client, room, name) as tab:
        yield tab, await tab.enter()


async def arrivals(client: TestClient, *tabs: Tab) -> None:
    """Let everybody be told who has come, and forget that they were."""
    await client.advance(1)
    for tab in tabs:
        await tab.moves()
