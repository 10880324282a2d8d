"""Writing: how what a connection sends becomes events, by the protocol it speaks.

Without a subprotocol messages go out as they are, and an answer is marked only where
the question had an ``id``. With `consumers.v1` all of it is frames.
"""

from __future__ import annotations

from typing import Any, Final, Protocol, TypeAlias

from msgspec import UNSET

from consumers.codecs import CODECS, Codec, Event, dump, pack
from consumers.errors import MessageError
from consumers.history import Position

from .frames import Done, Error, Item, Message, PublicationFrame, Reply

__all__ = ["FRAMED", "Answers", "Framed", "Id", "Plain"]

Id: TypeAlias = "int | str | None"
"""What names a question; ``None``: its sender has given it no name."""


class Answers(Protocol):
    """How answers are written. ``None``: there is nothing to send."""

    def reply(self, id: Id, value: Any) -> Event | None:  # noqa: A002
        """Write what a method has returned."""
        ...

    def item(self, id: Id, value: Any) -> Event | None:  # noqa: A002
        """Write one item of a stream."""
        ...

    def done(self, id: Id) -> Event | None:  # noqa: A002
        """Write the end of a stream."""
        ...

    def error(self, id: Id, error: MessageError) -> Event:  # noqa: A002
        """Write why there is no answer."""
        ...


class Plain:
    """Answers for clients that speak no subprotocol."""

    __slots__ = ("dump", "encode", "is_text")

    def __init__(self, codec: Codec) -> None:
        """Write by the codec of a class."""
        # Not by its own `encode`: that takes only what the class sends by itself. A
        # class that sends texts or bytes has errors alone to write here.
        name = codec.name if codec.name == "msgpack" else "json"
        self.encode = CODECS[name].encode
        """Makes the event of a value."""
        self.is_text = name == "json"
        """Whether that is a text."""
        self.dump = dump if self.is_text else pack
        """Makes the bytes in it."""

    def reply(self, id: Id, value: Any) -> Event | None:  # noqa: A002
        """Write ``{"id": …, "reply": value}``, or the value alone, if any."""
        if id is not None:
            return self.encode({"id": id, "reply": value})
        return None if value is None else self.encode(value)

    def item(self, id: Id, value: Any) -> Event | None:  # noqa: A002
        """Write ``{"id": …, "item": value}``, or the value alone."""
        return self.encode(value if id is None else {"id": id, "item": value})

    def done(self, id: Id) -> Event | None:  # noqa: A002
        """Write ``{"id": …, "done": true}``, or nothing."""
        return None if id is None else self.encode({"id": id, "done": True})

    def error(self, id: Id, error: MessageError) -> Event:  # noqa: A002
        """Write ``{"id": …, "error": {"code": …, "detail": …}}``."""
        content = {"code": error.code}
        if error.detail is not None:
            content["detail"] = error.detail
        whole = {"error": content}
        return self.encode(whole if id is None else {"id": id, **whole})


class Framed:
    """Answers for clients that speak `consumers.v1`."""

    __slots__ = ("encode",)

    def __init__(self, codec: Codec) -> None:
        """Write frames by a codec."""
        self.encode = codec.encode
        """Makes the event of a frame."""

    def reply(self, id: Id, value: Any) -> Event | None:  # noqa: A002
        """Write a ``reply``; who did not ask gets none."""
        if id is None:
            return None
        return self.encode(Reply(id, value))  # type: ignore[arg-type]

    def item(self, id: Id, value: Any) -> Event | None:  # noqa: A002
        """Write an ``item``; who did not ask gets a message."""
        if id is None:
            return self.encode(Message(value))
        return self.encode(Item(id, value))  # type: ignore[arg-type]

    def done(self, id: Id) -> Event | None:  # noqa: A002
        """Write a ``done``."""
        return None if id is None else self.encode(Done(id))  # type: ignore[arg-type]

    def error(self, id: Id, error: MessageError) -> Event:  # noqa: A002
        """Write an ``error``."""
        detail = UNSET if error.detail is None else error.detail
        name: Any = UNSET if id is None else id
        return self.encode(Error(error.code, name, detail))


def _framing(codec: Codec) -> Codec:
    def encode(message: Any) -> Event:
        return codec.encode(Message(message))

    def publish(group: str, position: Position | None, message: Any) -> Event:
        if group.startswith("@"):  # to a user, or to one connection
            return encode(message)
        at = None if position is None else str(position)
        return codec.encode(PublicationFrame(group, message, at))

    return Codec(codec.name, codec.decoder, encode, codec.join, publish)


FRAMED: Final = {name: _framing(CODECS[name]) for name in ("json", "msgpack")}
"""The codecs of messages and publications in frames, by the name of the plain ones."""
