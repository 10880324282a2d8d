"""What goes over the wire: one class per message, told apart by its ``type``."""

from datetime import UTC, datetime
from typing import Annotated

from msgspec import Meta, Struct, field

Room = Annotated[str, Meta(max_length=32, pattern=r"^[\w-]+\Z")]
Name = Annotated[str, Meta(max_length=40, pattern=r"^\S(.*\S)?\Z")]
Text = Annotated[str, Meta(max_length=2000, pattern=r"\S")]
LineId = Annotated[str, Meta(max_length=36, pattern=r"^[\w-]+\Z")]


def now() -> datetime:
    return datetime.now(UTC)


# From a client.


class Say(Struct, tag="say"):
    """A request, which is answered by `Taken`."""

    text: Text
    id: LineId
    """Made by the page, and the same if it has to send the line again."""


class Typing(Struct, tag="typing"):
    """Sent every few seconds while somebody types."""


# To clients: what answers, and what subscribing begins with.


class Taken(Struct, tag="taken"):
    """A line is in the history."""

    position: str


class Here(Struct, tag="here"):
    """Who is in a room, each name once."""

    names: list[str]


# To clients: what is published, `Said` to be kept and `SomebodyTypes` not.


class Said(Struct, tag="said"):
    author: str
    text: str
    id: str
    at: datetime = field(default_factory=now)


class SomebodyTypes(Struct, tag="types"):
    name: str


# To clients: what one of them is told.


class Moves(Struct, tag="moves"):
    """Who came and who went since the last time."""

    came: list[str]
    went: list[str]


class Back(Struct, tag="back"):
    """What this client has missed comes next: all that was said before ``at``."""

    at: datetime = field(default_factory=now)
