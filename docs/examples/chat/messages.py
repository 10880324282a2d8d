"""What goes over the wire: one class per message, told apart by its ``type``."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import uuid4

from msgspec import Meta, Struct, field

Room = Annotated[str, Meta(max_length=32, pattern=r"^[\w-]+\Z")]
Name = Annotated[str, Meta(max_length=40, pattern=r"^\S(.*\S)?\Z")]
Text = Annotated[str, Meta(max_length=2000, pattern=r"\S")]


# From a client.


class Say(Struct, tag="say"):
    text: Text


class Typing(Struct, tag="typing"):
    """Sent every few seconds while somebody types."""


# To clients.


class Said(Struct, tag="said"):
    author: str
    text: str
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    id: str = field(default_factory=lambda: uuid4().hex)


class Here(Struct, tag="here"):
    """Who is in the room, each name once."""

    people: list[str]


class SomebodyTypes(Struct, tag="types"):
    name: str


class Welcome(Struct, tag="welcome"):
    """The first message of a connection; `Here` follows."""

    history: list[Said]
