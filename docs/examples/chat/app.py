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
    Position,
    PresenceDiff,
    WebSocketConsumer,
    WebSocketRoute,
)

from .messages import (
    Moves,
    Name,
    Room,
    Said,
    Say,
    SomebodyTypes,
    Taken,
    Typing,
    Welcome,
)

LISTED = ("lobby", "kitchen", "garden")
"""The rooms that the first page offers. Others are found by their address alone."""

LATEST = 50
"""How many lines somebody gets who comes for the first time."""

DAY = 24 * 3600

spoken = Group(
    "chat.{room}", sends=Said, history=History(size=500, ttl=DAY), presence=True
)
typing = Group("typing.{room}", sends=SomebodyTypes)  # nothing that is worth keeping
groups = Groups(os.environ.get("GROUPS_URL", "memory://"), [spoken, typing])


class Chat(WebSocketConsumer):
    """One tab of somebody in a room."""

    positions = True  # what is said comes with its position, to return with
    refusals = "close"  # so that the page learns why it may not come in

    async def on_handshake(self, room: Room, name: Name = "guest") -> None:
        self.name = name
        self.room = spoken(room)
        self.typing = typing(room)
        self.user = Identity(name)  # taken at their word: there are no passwords here

    async def on_connect(self, since: Position | None = None) -> None:
        await self.join(self.typing)
        async with self.joining(self.room, since=since, last=LATEST) as recovery:
            # What was missed and what is said meanwhile comes after it.
            people = [present.key for present in await self.groups.presence(self.room)]
            await self.send(
                Welcome(
                    people,
                    recovery.recovered,
                    recovery.replayed,
                    str(recovery.position),
                )
            )

    async def on_receive(self, message: Say | Typing) -> None:
        match message:
            case Say(text, id):
                # The key makes a line that is sent a second time, since the page can't
                # know whether the first one arrived, be said once.
                said = Said(self.name, text, id)
                await self.publish(self.room, said, idempotency_key=id)
                await self.send(Taken(id))
            case Typing():
                notice = SomebodyTypes(self.name)
                with suppress(LayerUnavailable):
                    await self.publish(self.typing, notice, exclude_self=True)

    async def on_presence(self, group: GroupName, diff: PresenceDiff) -> None:
        # Whoever is updated may be new to this client: see `PresenceDiff`.
        came = [present.key for present in (*diff.joined, *diff.updated)]
        await self.send(Moves(came, list(diff.left)))


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
    found = {room: await groups.count(spoken(room), users=True) for room in LISTED}
    return JSONResponse(found)


app = App(
    [
        Route("/", entrance),
        Route("/rooms", rooms),
        Route("/r/{room}", room_page),
        WebSocketRoute("/r/{room}", Chat),
        Mount("/static", StaticFiles(directory=PAGE)),
    ],
    groups=groups,
)
