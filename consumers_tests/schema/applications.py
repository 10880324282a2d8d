"""An application that has everything a schema can say."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypedDict, TypeVar
from uuid import UUID

import msgspec
import pydantic
from msgspec import Meta
from starlette.routing import Host, Mount, Route
from starlette.routing import WebSocketRoute as StarletteRoute

from consumers import (
    App,
    Group,
    History,
    Identity,
    Internal,
    Position,
    WebSocket,
    WebSocketConsumer,
    WebSocketRoute,
    receives,
    subscribes,
)

T = TypeVar("T")

Name = Annotated[str, Meta(min_length=1, max_length=20, pattern="^[a-z]+$")]


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Say(msgspec.Struct, tag="say"):
    """Say something to everybody in the room.

    Those who come later get it too.

    Examples:
        {"text": "hi"}
        {"text": "hello", "color": "red"}
    """

    text: Annotated[str, Meta(max_length=20, description="What is said")]
    color: Color | None = None


class Whisper(msgspec.Struct, tag="whisper", forbid_unknown_fields=True):
    to: Name
    text: str


class Point(NamedTuple):
    x: int
    y: float


class Extra(TypedDict):
    mood: Literal["good", "bad", 3]


@dataclass
class Size:
    width: Annotated[int, Meta(gt=0, le=100, multiple_of=5)]
    height: Annotated[float, Meta(ge=0.5, lt=2)] = 1.0


class Tree(msgspec.Struct, rename="camel"):
    the_name: str
    the_branches: list["Tree"] = []


class All(msgspec.Struct, tag="all", kw_only=True):
    """Fields of every kind."""

    at: datetime
    aware: Annotated[datetime, Meta(tz=True)] | None = None
    day: date
    hour: time
    lasts: timedelta
    id: UUID
    price: Decimal
    data: bytes
    pair: tuple[int, str]
    many: Annotated[list[bool], Meta(min_length=1, max_length=3)]
    marks: set[int] = set()
    counted: dict[str, datetime]
    numbered: dict[int, None]
    point: Point
    extra: Extra
    size: Size | None
    tree: Tree
    either: int | str | list[datetime] | None
    anything: Any = None


class Ask(msgspec.Struct, tag="ask"):
    prompt: Annotated[str, Meta(min_length=1)]


class Receipt(msgspec.Struct):
    at: datetime
    warnings: list[str] = []


class Token(msgspec.Struct, omit_defaults=True):
    text: str
    last: bool = False


class Page(msgspec.Struct, Generic[T]):
    items: list[T]


class Said(msgspec.Struct, tag="said"):
    """Somebody has said something.

    Example:
        {"who": "ann", "text": "hi"}
    """

    who: str
    text: str
    color: Color = Color.BLUE


class Joined(msgspec.Struct, tag="joined"):
    who: str


class Checked(msgspec.Struct, Internal, tag="checked"):
    secret: str


class Snapshot(msgspec.Struct):
    people: list[str]


room = Group(
    "chat.{channel}", sends=Said | Checked, history=History(size=9), presence=True
)
news = Group("news", sends=Joined)


class Chat(WebSocketConsumer):
    """A chat with rooms.

    Whoever comes sees what was said before.
    """

    sends = Said | Joined

    async def on_connect(
        self,
        channel: Name,
        color: Color = Color.RED,
        since: Position | None = None,
        limit: Annotated[int, Meta(ge=1, le=50, description="How many lines")] = 10,
        tags: list[str] = [],  # noqa: B006  it is copied for each connection
    ) -> None: ...

    @receives
    async def say(self, message: Say | Whisper) -> Receipt:
        """Say something, or whisper it."""
        return Receipt(datetime.now())

    @receives(concurrency=4)
    async def ask(self, message: Ask) -> AsyncIterator[Token]:
        """Ask the model."""
        yield Token("hm", last=True)

    @receives
    async def everything(self, message: All) -> Page[int]:
        return Page([1])

    @receives("rename")
    async def rename(self, name: Name, loud: bool = False) -> None:
        """Change your name.

        Args:
            name: The new one.
            loud: Whether everybody gets to know.

        Example:
            {"name": "ann"}
        """

    @subscribes(room)
    async def watch(self, channel: str) -> Snapshot | None:
        """Follow what is said in a room."""

    @subscribes(news)
    async def follow(self) -> None: ...


class Echo(WebSocketConsumer):
    async def on_receive(self, message: str) -> None: ...


class Frames(WebSocketConsumer):
    async def on_receive(self, message: str | bytes) -> None: ...


class Typed(WebSocketConsumer):
    positions = True
    sends = Said

    async def on_receive(self, message: Say | Whisper) -> None:
        """Take what is said."""

    @subscribes(room)
    async def watch(self, channel: str) -> None: ...


class Packed(WebSocketConsumer):
    value_type = "msgpack"

    async def on_receive(self, message: dict[str, int]) -> None: ...


class Order(pydantic.BaseModel):
    """An order of a shop."""

    class Line(pydantic.BaseModel):
        article: str = pydantic.Field(max_length=10)
        count: int = pydantic.Field(gt=0)

    kind: Literal["order"] = "order"
    lines: list[Line]
    note: str | None = None


class Cancel(pydantic.BaseModel):
    order: UUID


class Shop(WebSocketConsumer):
    async def on_connect(
        self, shop: int, since: Annotated[int, pydantic.Field(ge=0)] = 0
    ) -> None: ...

    async def on_receive(self, message: Order | Cancel) -> None: ...


Level = Annotated[Literal["low", "high"], Meta(examples=["low"])]


class Silent(WebSocketConsumer):
    async def on_connect(self, path: str, level: Level) -> None: ...


async def authenticate(connection: WebSocket) -> Identity | None:
    return None


async def home(request: Any) -> None: ...


inner = App([WebSocketRoute("/typed", Typed)], authenticate=authenticate)
app = App(
    [
        Route("/", home),
        WebSocketRoute("/chat/{channel}", Chat),
        WebSocketRoute("/echo", Echo),
        WebSocketRoute("/frames/{}", Frames),
        Mount("/inner", inner, name="inner"),
        Mount("/shops/{shop:int}", routes=[StarletteRoute("/orders", Shop)]),
        Host("{tenant}.example.org", App([WebSocketRoute("/echo", Echo)])),
        WebSocketRoute("/packed/{number:int}/{id:uuid}", Packed, name="packed one"),
        WebSocketRoute("/silent/{level}/{path:path}", Silent),
    ]
)


@app.websocket_route("/view", value_type="json")
async def view(ws: WebSocket, times: int = 1) -> None:
    """Echo JSON."""


@app.websocket_route("/raw", value_type="event")
async def raw(ws: WebSocket) -> None: ...
