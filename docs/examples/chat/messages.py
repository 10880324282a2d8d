"""What goes over the wire: one class per message, told apart by its ``type``."""

from datetime import UTC, datetime
from typing import Annotated

from msgspec import Meta, Struct, field

Room = Annotated[str, Meta(max_length=32, pattern=r"^[\w-]+\Z")]
Name = Annotated[str, Meta(max_length=40, pattern=r"^\S(.*\S)?\Z")]
Text = Annotated[str, Meta(max_length=2000, pattern=r"\S")]
LineId = Annotated[str, Meta(max_length=36, pattern=r"^[\w-]+\Z")]


# From a client.


class Say(Struct, tag="say"):
    text: Text
    id: LineId
    """Made by the page, and the same if it has to send the line again."""


class Typing(Struct, tag="typing"):
    """Sent every few seconds while somebody types."""


# To clients: what is published to a room, each with its position.


class Said(Struct, tag="said"):
    author: str
    text: str
    id: str
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


# To clients: the rest.


class Welcome(Struct, tag="welcome"):
    """The first message of a connection. What was missed follows."""

    people: list[str]
    """Who is in the room, each name once."""

    recovered: bool
    """Whether all that was missed follows. If not, the latest lines do."""

    replayed: int
    """How many lines follow."""

    position: str
    """Where the room stands after them: what to return with, if nothing follows."""


class Moves(Struct, tag="moves"):
    """Who came and who went since the last time."""

    came: list[str]
    went: list[str]


class Taken(Struct, tag="taken"):
    """A line is in the history: it need not be sent again."""

    id: str


class SomebodyTypes(Struct, tag="types"):
    name: str
