"""A chat with rooms: history, who is here, typing notices, and a page of its own.

One process: ``consumers run --app-dir docs/examples chat.app:app``. Several, over a
broker: the same with ``--workers 2`` and ``GROUPS_URL=redis://127.0.0.1:6379``.
"""

import os
from contextlib import suppress
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from consumers import (
    App,
    Group,
    GroupName,
    Groups,
    History,
    Identity,
    LayerUnavailable,
    NotAllowed,
    PresenceDiff,
    WebSocketConsumer,
    WebSocketRoute,
    receives,
    subscribes,
)
from consumers.client import script

from .messages import (
    Back,
    Here,
    Moves,
    Name,
    Room,
    Said,
    Say,
    SomebodyTypes,
    Taken,
    Typing,
)

LISTED = ("lobby", "kitchen", "garden")
"""The rooms that the first page offers. Others are found by their address alone."""

LATEST = 50
"""How many lines somebody gets who comes for the first time."""

DAY = 24 * 3600

spoken = Group("chat.{room}", sends=Said, history=History(size=500, ttl=DAY))
here = Group("here.{room}", sends=SomebodyTypes, presence=True)  # nothing to keep
groups = Groups(os.environ.get("GROUPS_URL", "memory://"), [spoken, here])


class Chat(WebSocketConsumer):
    """One tab of somebody in a room. It speaks `consumers.v1`."""

    sends = Moves | Back

    async def on_handshake(self, room: Room, name: Name = "guest") -> None:
        self.name = name
        self.room = room
        self.user = Identity(name)  # taken at their word: there are no passwords here

    @subscribes(spoken, last=LATEST)
    async def listen(self, room: str, recovered: bool) -> None:
        """What is said. Who comes back is told which of it was missed."""
        self.stay_in(room)
        if recovered:
            await self.send(Back())

    @subscribes(here)
    async def enter(self, room: str) -> Here:
        """Who is here, and who types. Who subscribes to it is here, too."""
        self.stay_in(room)
        present = await self.groups.presence(here(room))
        return Here([somebody.key for somebody in present])

    @receives
    async def say(self, message: Say) -> Taken:
        """Say a line."""
        said = Said(self.name, message.text, message.id)
        # With the key it is said once, however often the page has to send it.
        position = await self.publish(
            spoken(self.room), said, idempotency_key=message.id
        )
        return Taken(str(position))

    @receives
    async def typing(self, message: Typing) -> None:
        """Let the others know; of no use later."""
        notice = SomebodyTypes(self.name)
        with suppress(LayerUnavailable):  # then nobody learns of it
            await self.publish(here(self.room), notice, exclude_self=True)

    async def on_presence(self, group: GroupName, diff: PresenceDiff) -> None:
        # Whoever is updated may be new to this client: see `PresenceDiff`.
        came = [somebody.key for somebody in (*diff.joined, *diff.updated)]
        await self.send(Moves(came, list(diff.left)))

    def stay_in(self, room: str) -> None:
        if room != self.room:
            raise NotAllowed(f"this connection is for {self.room!r}")


PAGE = Path(__file__).parent / "page"
HEADERS = {
    # Nothing from elsewhere, nothing inline, and no text is ever parsed as HTML.
    "content-security-policy": "default-src 'none'; script-src 'self'; "
    "style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


async def entrance(request: Request) -> Response:
    return FileResponse(PAGE / "entrance.html", headers=HEADERS)


async def room_page(request: Request) -> Response:
    return FileResponse(PAGE / "room.html", headers=HEADERS)


async def rooms(request: Request) -> Response:
    """Tell how many people are in each listed room."""
    found = {room: await groups.count(here(room), users=True) for room in LISTED}
    return JSONResponse(found)


app = App(
    [
        Route("/", entrance),
        Route("/rooms", rooms),
        Route("/r/{room}", room_page),
        WebSocketRoute("/r/{room}", Chat),
        script("/consumers.js"),
        Mount("/static", StaticFiles(directory=PAGE)),
    ],
    groups=groups,
    docs="/docs",
)
