"""The frames of `consumers.v1`, as types.

Each is an object with a ``"type"``. ``T`` is what the application's messages are. What
a frame lacks is left out of it; what it has too much is ignored.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final, Generic, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

__all__ = [
    "PROTOCOLS",
    "VERSION",
    "AnyFrame",
    "Cancel",
    "Done",
    "Error",
    "FromClient",
    "FromServer",
    "Goodbye",
    "Item",
    "Message",
    "Ping",
    "Pong",
    "PublicationFrame",
    "Refresh",
    "Reply",
    "Request",
    "Subscribe",
    "Subscribed",
    "Unsubscribe",
    "Unsubscribed",
    "Welcome",
    "spoken",
]

VERSION: Final = "consumers.v1"
PROTOCOLS: Final = {f"{VERSION}+json": "json", f"{VERSION}+msgpack": "msgpack"}
"""``{subprotocol: codec}``; those of them that a client offers, in its own order."""


def spoken(offered: Iterable[str]) -> str | None:
    """Return the first of the subprotocols offered that is spoken here, if one is."""
    return next((name for name in offered if name in PROTOCOLS), None)


T = TypeVar("T")

Id: TypeAlias = Annotated[int, Meta(gt=0, lt=2**53)]
"""Names a request; JavaScript must be able to count so far."""
Key: TypeAlias = Annotated[str, Meta(min_length=1, max_length=128)]
Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=255)]


class _Frame(msgspec.Struct, tag=str.lower, tag_field="type", omit_defaults=True):
    """What all frames have in common."""


# -- from the client -------------------------------------------------------------------


class Message(_Frame, Generic[T]):
    """A message that nobody answers. Either side sends it."""

    message: T


class Request(_Frame, Generic[T]):
    """A message that is answered. Either side asks, each with ids of its own."""

    id: Id
    message: T
    key: Key | None = None
    """Makes it once: sent again with the same key it gets the first answer."""


class Cancel(_Frame):
    """Whoever asked does not want the answer any more."""

    id: Id


class Subscribe(_Frame):
    """The client wants a group's publications."""

    id: Id
    group: Name
    position: str | None = None
    """Where it stands, if it was there before."""


class Unsubscribe(_Frame):
    """The client wants them no more."""

    id: Id
    group: Name


class Refresh(_Frame):
    """The client has a new credential."""

    id: Id
    token: str


class Ping(_Frame):
    """Is somebody there? Answered with a pong, at once."""


class Pong(_Frame):
    """Yes."""


# -- from the server -------------------------------------------------------------------


class Reply(_Frame, Generic[T]):
    """The answer to a request."""

    id: Id
    message: T


class Error(_Frame):
    """The answer to a request, or ``id`` left out, to what had no id."""

    code: str
    id: Id | UnsetType = UNSET
    detail: Any = UNSET


class Welcome(_Frame, kw_only=True):
    """The first frame of a connection."""

    connection: str
    """Its id, as ``groups.send`` takes it."""
    heartbeat: float | None
    """Seconds of silence after which the server pings; ``None``: it never does."""
    timeout: float
    """Seconds that either side waits for a sign of life after that."""
    requests: int
    """How many requests may be unanswered at once."""
    expires: float | None = None
    """Seconds until the client's credential ends."""


class PublicationFrame(_Frame, Generic[T], tag="publication"):
    """A publication to a group."""

    group: str
    message: T
    position: str | None = None
    """Where the client stands now, in a group with history."""


class Item(_Frame, Generic[T]):
    """One item of the stream that answers a request."""

    id: Id
    message: T


class Done(_Frame):
    """The end of a stream."""

    id: Id


class Subscribed(_Frame, kw_only=True):
    """The answer to a subscribe. What was missed comes next, then what is new."""

    id: Id
    group: str
    recovered: bool
    """Whether the client gets everything since its position."""
    position: str | None = None
    """Where the client stands now."""
    snapshot: Any = None
    """What the application sends first, where nothing was recovered."""


class Unsubscribed(_Frame):
    """The server has ended a subscription."""

    group: str
    code: str
    detail: Any = UNSET


class Goodbye(_Frame):
    """The last frame before a close."""

    code: int
    """The close code that follows."""
    reconnect: bool
    """Whether the client should come back."""
    after: float | None = None
    """In how many seconds; ``None``: it chooses."""
    detail: Any = UNSET


FromClient: TypeAlias = (
    Message[T]
    | Request[T]
    | Cancel
    | Subscribe
    | Unsubscribe
    | Refresh
    | Ping
    | Pong
    | Reply[msgspec.Raw]
    | Error
)
"""What a server reads, with ``T`` for its messages."""

FromServer: TypeAlias = (
    Welcome
    | Message[T]
    | PublicationFrame[T]
    | Reply[T]
    | Item[T]
    | Done
    | Error
    | Subscribed
    | Unsubscribed
    | Request[T]
    | Cancel
    | Ping
    | Pong
    | Goodbye
)
"""What a client reads."""

AnyFrame: TypeAlias = _Frame
