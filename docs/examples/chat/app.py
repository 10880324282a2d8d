"""A chat with rooms: history, who is here, typing notices, and a page of its own.

Run it with ``consumers run --app-dir docs/examples chat.app:app``.
"""

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
    Identity,
    WebSocketConsumer,
    WebSocketRoute,
)

from .history import History
from .messages import Here, Name, Room, Said, Say, SomebodyTypes, Typing, Welcome

LISTED = ("lobby", "kitchen", "garden")
"""The rooms that the first page offers. Others are found by their address alone."""

room_group = Group("chat.{room}", sends=Said | Here | SomebodyTypes, presence=True)
groups = Groups(declared=[room_group])
history = History()


async def people_in(group: GroupName) -> list[str]:
    """Return the names in a room; somebody with several tabs is there once."""
    return [person.key for person in await groups.presence(group)]


class Chat(WebSocketConsumer):
    """One tab of somebody in a room."""

    refusals = "close"  # so that the page learns why it may not come in

    async def on_handshake(self, room: Room, name: Name = "guest") -> None:
        self.room = room
        self.name = name
        self.group = room_group(room)
        self.user = Identity(name)  # taken at their word: there are no passwords here

    async def on_connect(self) -> None:
        async with self.joining(self.group):  # what is said meanwhile comes after it
            await self.send(Welcome(history.of(self.room)))
        await self.tell_who_is_here()

    async def on_receive(self, message: Say | Typing) -> None:
        match message:
            case Say(text):
                said = Said(self.name, text)
                history.add(self.room, said)
                await self.publish(self.group, said)
            case Typing():
                notice = SomebodyTypes(self.name)
                await self.publish(self.group, notice, exclude_self=True)

    async def on_disconnect(self, code: int) -> None:
        await self.tell_who_is_here()

    async def tell_who_is_here(self) -> None:
        await self.publish(self.group, Here(await people_in(self.group)))


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
    found = {room: len(await people_in(room_group(room))) for room in LISTED}
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
