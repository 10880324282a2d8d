"""A workshop where people talk, ask and order, with a page to try it all.

``consumers run --app-dir docs/examples howto.docs_page:app``, and open ``/docs``.
"""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Literal

import anyio
from msgspec import Meta, Struct, field
from starlette.requests import HTTPConnection

from consumers import (
    App,
    Group,
    Groups,
    History,
    Identity,
    MessageError,
    NotAllowed,
    WebSocketConsumer,
    WebSocketRoute,
    receives,
    subscribes,
)

Text = Annotated[str, Meta(min_length=1, max_length=500)]


class Say(Struct, tag="say"):
    """Says something to everybody in the room."""

    text: Annotated[Text, Meta(description="What is said. Nobody reads HTML.")]
    mood: Literal["calm", "glad", "cross"] = "calm"
    mentions: Annotated[list[str], Meta(max_length=5)] = field(default_factory=list)


class Ask(Struct, tag="ask"):
    """Asks the oldest member, who is slow but knows."""

    question: Text
    words: Annotated[int, Meta(ge=1, le=1000)] = 12


class Plane(Struct, tag="plane"):
    blade: Annotated[float, Meta(gt=0, le=80, description="Its width in mm.")]


class Saw(Struct, tag="saw"):
    teeth: Annotated[int, Meta(ge=4, le=32)]
    folding: bool = False


class Order(Struct, tag="order"):
    """Orders a tool for the workshop."""

    tool: Plane | Saw
    amount: Annotated[int, Meta(ge=1, le=20)]
    by: datetime | None = None
    gift: bool = False


class Receipt(Struct):
    """That it has happened, and how many have by now."""

    number: int


class Said(Struct, tag="said"):
    """Somebody said something."""

    author: str
    text: str
    mood: str


class Joined(Struct, tag="joined"):
    """Somebody came in."""

    name: str


class Word(Struct):
    """One word of an answer."""

    text: str


room = Group(
    "room.{name}", sends=Said, history=History(size=100, ttl=3600), presence=True
)
groups = Groups("memory://", [room])


class Workshop(WebSocketConsumer):
    """A room of the workshop.

    Whoever comes in hears what is said from then on. Subscribe to ``room.{name}`` to
    hear what was said before, and to miss nothing.
    """

    sends = Said | Joined

    async def on_connect(
        self,
        name: Annotated[str, Meta(max_length=20, pattern=r"^[a-z]+\Z")],
        as_: Annotated[str, Meta(max_length=40)] = "guest",
        years: Annotated[int, Meta(ge=0, le=120)] = 30,
        quiet: bool = False,
    ) -> None:
        self.author = as_
        self.room = room(name)
        self.said = 0
        if not quiet:
            await self.send(Joined(as_))

    @receives
    async def say(self, message: Say) -> Receipt:
        """Tell everybody, and count it."""
        self.said += 1
        await self.publish(self.room, Said(self.author, message.text, message.mood))
        return Receipt(self.said)

    @receives(concurrency=2)
    async def ask(self, message: Ask) -> AsyncIterator[Word]:
        """Answer word by word; cancel it when you have heard enough."""
        for number in range(message.words):
            yield Word(("Well", "let", "me", "think", "…")[number % 5])
            await anyio.sleep(0.05)

    @receives
    async def order(self, message: Order) -> Receipt:
        """Put it on the list. Planes are sold out."""
        if isinstance(message.tool, Plane):
            raise MessageError("sold_out", {"tool": "plane", "again": "in May"})
        return Receipt(message.amount)

    @subscribes(room, last=20)
    async def hear(self, name: str) -> None:
        """Let everybody hear every room but the office."""
        if name == "office":
            raise NotAllowed("members only")


class Clock(WebSocketConsumer):
    """Tells the time, as text. Whatever you say to it comes back."""

    async def on_receive(self, message: str) -> None:
        await self.send(f"It is late. You said: {message}")


class Office(WebSocketConsumer):
    """For those who are known: the token is ``sesame``."""

    value_type = "json"

    async def on_handshake(self) -> None:
        if not self.user.is_authenticated:
            await self.reject(401)

    @receives("lock")
    async def lock(self, door: Annotated[str, Meta(max_length=10)]) -> bool:
        """Lock a door."""
        return door != "front"


async def authenticate(connection: HTTPConnection) -> Identity | None:
    known = connection.query_params.get("token") == "sesame"
    return Identity("ann") if known else None


app = App(
    [
        WebSocketRoute("/rooms/{name}", Workshop),
        WebSocketRoute("/clock", Clock),
        WebSocketRoute("/office", Office),
    ],
    groups=groups,
    authenticate=authenticate,
    docs="/docs",
)
