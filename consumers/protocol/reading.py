"""Reading: what a client's frames and messages are, and whom an error goes to."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final, Literal, NoReturn

import msgspec
from msgspec import UNSET, UnsetType

from consumers.codecs import Codec, Event, codec_for
from consumers.errors import InvalidMessage, MessageError
from consumers.limits import DEFAULT_SHAPE
from consumers.pydantic_types import mentions_pydantic
from consumers.shape import ANYTHING, Shape

from .frames import (
    Cancel,
    Error,
    FromClient,
    Message,
    Ping,
    Pong,
    Reply,
    Request,
)
from .frames import Id as FrameId
from .writing import Id

__all__ = ["FrameReader", "Head", "PlainReader", "Refused"]

_SCHEMA: Final = 1008

_CONTROL: Final = (Cancel, Ping, Pong, Reply, Error)


class Refused(Exception):
    """A message that does not fit, and what its sender is told."""

    def __init__(self, id: Id, answer: MessageError) -> None:  # noqa: A002
        super().__init__(id, answer)
        self.id = id
        self.answer = answer


class Head(msgspec.Struct):
    """What a message may have beside its fields, where no subprotocol is spoken."""

    id: int | str | UnsetType | None = UNSET
    cancel: int | str | UnsetType = UNSET


class PlainReader:
    """Reads the messages of clients that speak no subprotocol."""

    __slots__ = ("_head", "_tag", "_tags", "decode", "kind", "mark")

    def __init__(
        self,
        codec: Codec,
        types: tuple[type[msgspec.Struct], ...],
        shape: Shape = DEFAULT_SHAPE,
    ) -> None:
        """Read by the codec of a class, which takes messages of these types."""
        self.decode = codec.decoder(shape)
        """Makes a message of an event."""
        self.kind = "text" if codec.name == "json" else "bytes"
        """Which part of an event has it."""
        self.mark: Any = '"id"' if codec.name == "json" else b"id"
        """What is in that part if it has an id."""
        # What is skipped takes no memory, so that any message can be asked for its id.
        self._head = codec_for(codec.name, Head).decoder(ANYTHING)
        self._tag = types[0].__struct_config__.tag_field or "type"
        self._tags = [kind.__struct_config__.tag for kind in types]

    def cancelled_by(self, event: Event, error: InvalidMessage) -> int | str:
        """Return the id that is cancelled by what is no message of the class's.

        Raises:
            InvalidMessage: It is no message at all, and the connection is to end.
            Refused: It is one that does not fit.
        """
        if error.close_code != _SCHEMA:
            raise error
        head = self.head(event)
        if head.cancel is UNSET:
            raise _refused(error, _named(head), self._tag, self._tags, "$") from error
        return head.cancel

    def id_of(self, event: Event) -> Id:
        """Return the ``id`` that a message came with."""
        return _named(self.head(event))

    def cancels(self, event: Event) -> Id:
        """Return the id in a message that cancels one; ``None``: it does not."""
        try:
            self.decode(event)  # a message may have a field of that name
        except InvalidMessage as error:
            with suppress(InvalidMessage, Refused):
                return self.cancelled_by(event, error)
        return None

    def head(self, event: Event) -> Head:
        """Return what a message has beside its fields."""
        try:
            head: Head = self._head(event)
        except InvalidMessage:
            return Head()
        return head


class _Asking(msgspec.Struct):
    """What can be told of a frame that is none, but was to be answered."""

    type: Literal["request", "subscribe", "unsubscribe", "refresh"]
    id: FrameId


class FrameReader:
    """Reads the frames of one kind of consumer's clients, by one codec."""

    __slots__ = ("_asking", "_decode", "_message", "_raw", "_tag", "_tags")

    def __init__(
        self,
        name: str,
        annotation: Any,
        tags: tuple[str, list[Any]],
        shape: Shape = DEFAULT_SHAPE,
    ) -> None:
        """Read frames.

        Args:
            name: The codec's.
            annotation: What messages are, for the decoder.
            tags: In which field a message has its tag, and those that are known.
            shape: What one frame may be.
        """
        self._tag, self._tags = tags
        # Where a message does not fit, the frame around it is read alone.
        self._raw = codec_for(name, FromClient[msgspec.Raw]).decoder(shape)  # type: ignore[misc]
        self._asking = codec_for(name, _Asking).decoder(ANYTHING)
        self._message: Codec | None = None
        if mentions_pydantic(annotation):  # which does not know frames
            self._message = codec_for(name, annotation)
            self._decode = self._raw
        else:
            self._decode = codec_for(name, FromClient[annotation]).decoder(shape)  # type: ignore[misc]

    def read(self, event: Event) -> Any:
        """Return a frame.

        Raises:
            InvalidMessage: It is none, and the connection is to end.
            Refused: Its message does not fit.
        """
        try:
            frame = self._decode(event)
        except InvalidMessage as error:
            if error.close_code != _SCHEMA:
                raise
            self._misfit(event, error)
        if self._message is not None and isinstance(frame, Request | Message):
            frame.message = self._foreign(frame, self._message)
        return frame

    def read_beyond(self, event: Event, error: InvalidMessage) -> Any:
        """Return a frame that came too fast, if it is one that must not be left out.

        Raises:
            InvalidMessage: The connection is to end.
            Refused: It is not handled, and its sender is told.
        """
        if error.close_code != _SCHEMA or error.code != "rate_limited":
            raise error
        frame = self.control(event)
        if frame is None:
            raise _refused(error, self._asked(event), "", [], "$") from error
        return frame

    def control(self, event: Event) -> Any:
        """Return a frame that must not wait behind others; ``None``: it is none."""
        try:
            frame = self._raw(event)
        except InvalidMessage:
            return None
        return frame if isinstance(frame, _CONTROL) else None

    def _misfit(self, event: Event, error: InvalidMessage) -> NoReturn:
        try:
            frame = self._raw(event)
        except InvalidMessage as wrong:
            raise _refused(wrong, self._asked(event), "type", [], "$") from error
        name = frame.id if isinstance(frame, Request) else None
        raise _refused(error, name, self._tag, self._tags, "$.message") from error

    def _asked(self, event: Event) -> Id:
        try:
            asking: _Asking = self._asking(event)
        except InvalidMessage:
            return None
        return asking.id

    def _foreign(self, frame: Any, codec: Codec) -> Any:
        raw = bytes(frame.message)
        kind = "text" if codec.name == "json" else "bytes"
        data: Any = raw.decode() if kind == "text" else raw
        try:
            return codec.decoder(ANYTHING)({"type": "websocket.receive", kind: data})
        except InvalidMessage as error:
            name = frame.id if isinstance(frame, Request) else None
            raise _refused(error, name, "", [], "$.message") from error


def _named(head: Head) -> Id:
    return None if head.id is UNSET else head.id


def _refused(
    error: InvalidMessage, name: Id, tag: str, tags: list[Any], where: str
) -> Refused:
    """Return what the sender of a message that does not fit is told."""
    detail = error.detail
    if error.code != "invalid_message":
        return Refused(name, MessageError(error.code, detail))
    if (
        tag
        and detail.startswith("Invalid value ")
        and detail.endswith(f"at `{where}.{tag}`")
    ):
        known = ", ".join(map(str, tags)) or "a frame of consumers.v1"
        error_of_type = MessageError("unknown_type", f"{detail}; expected {known}")
        return Refused(name, error_of_type)
    return Refused(name, MessageError("invalid_message", detail))
