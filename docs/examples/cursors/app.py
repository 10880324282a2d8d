"""Live pointers: 30 updates a second from each visitor, to all others.

Run it with ``consumers run --app-dir docs/examples cursors.app:app``.
"""

import os
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from consumers import (
    App,
    Coalesce,
    Group,
    GroupName,
    Groups,
    Presence,
    PresenceDiff,
    Present,
    WebSocketConsumer,
    WebSocketRoute,
)

Board = Annotated[str, Meta(max_length=32, pattern=r"^[\w-]+\Z")]
Name = Annotated[str, Meta(max_length=24, pattern=r"^\S(.*\S)?\Z")]
Hue = Annotated[int, Meta(ge=0, lt=360)]
Share = Annotated[float, Meta(ge=0, le=1)]


# From a client.


class Move(Struct, tag="move"):
    """Where its pointer is, as shares of the board's width and height."""

    x: Share
    y: Share


class Look(Struct, tag="look"):
    """What it wants to be called, and its colour."""

    name: Name
    hue: Hue


# To clients.


class Pointer(Struct, tag="pointer"):
    who: str
    x: float
    y: float


class Visitor(Struct):
    who: str
    name: str
    hue: int


class Welcome(Struct, tag="welcome"):
    """The first message: who this connection is, and who else is here."""

    you: str
    visitors: list[Visitor]


class Visitors(Struct, tag="visitors"):
    """Who came or looks different, and who left."""

    here: list[Visitor]
    left: list[str]


# begin: group
pointers = Group(
    "cursors.{board}",
    sends=Pointer,
    # Of each pointer only the latest place is worth sending: at most 30 times a second
    # a member gets one list, with those pointers that have moved.
    outbox=Coalesce(key="who", every=1 / 30, batch=True),
    # A pointer without a visitor is odd: tell at once who has left.
    presence=Presence(linger=0),
)
# end: group
groups = Groups(os.environ.get("GROUPS_URL", "memory://"), [pointers])


def visitor(present: Present) -> Visitor:
    return Visitor(present.key, **present.metadata)


# begin: consumer
class Cursors(WebSocketConsumer):
    """One tab of a visitor."""

    refusals = "close"  # so that the page learns why it may not come in

    async def on_connect(
        self, board: Board, name: Name = "Guest", hue: Hue = 0
    ) -> None:
        self.board = pointers(board)
        look: dict[str, Any] = {"name": name, "hue": hue}
        async with self.joining(self.board, presence=look):
            present = await self.groups.presence(self.board)
            await self.send(Welcome(self.id, [visitor(each) for each in present]))

    async def on_receive(self, message: Move | Look) -> None:
        match message:
            case Move(x, y):
                pointer = Pointer(self.id, x, y)
                await self.publish(self.board, pointer, exclude_self=True)
            case Look(name, hue):
                look = {"name": name, "hue": hue}
                await self.update_presence(self.board, look)

    async def on_presence(self, group: GroupName, diff: PresenceDiff) -> None:
        here = [visitor(each) for each in (*diff.joined, *diff.updated)]
        await self.send(Visitors(here, list(diff.left)))


# end: consumer


PAGE = Path(__file__).parent / "page.html"


async def page(request: Request) -> Response:
    return FileResponse(PAGE)


app = App(
    [
        Route("/", page),
        Route("/{board}", page),
        WebSocketRoute("/{board}/live", Cursors),
    ],
    groups=groups,
)
