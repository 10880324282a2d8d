"""Decoding: what makes a message of a ``websocket.receive`` event.

What one message may be is looked at first. A decoder is made for one such shape, and
where a message is too short to be beyond it, that is one comparison.

Source of the events: ASGI WebSocket, "Receive - receive event".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias

import msgspec

from .errors import InvalidMessage
from .shape import (
    TOO_DEEP,
    TOO_MANY,
    Shape,
    json_misfit,
    msgpack_misfit,
    size_of_text,
)

if TYPE_CHECKING:
    from .over_limit import LimitName

__all__ = [
    "Decode",
    "Event",
    "bytes_decoder",
    "either_decoder",
    "event_decoder",
    "json_decoder",
    "msgpack_decoder",
    "size_of_received",
    "text_decoder",
]

Event: TypeAlias = "Mapping[str, Any]"
"""An ASGI event. Shared between connections when it carries a publication."""

Decode: TypeAlias = "Callable[[Event], Any]"

_INVALID_UTF8_OR_SYNTAX: Final = 1007
_WRONG_FRAME: Final = 1003
_SCHEMA: Final = 1008
_TOO_BIG: Final = 1009
_MISFITS: Final[dict[str, LimitName]] = {
    TOO_MANY: "message_items",
    TOO_DEEP: "message_depth",
}
"""``{what is too much: the limit that says so}``."""


def size_of_received(event: Event) -> int:
    """Return how many bytes a message had on its way, without its frames."""
    text: str | None = event.get("text")
    return len(event.get("bytes") or b"") if text is None else size_of_text(text)


def _wrong_frame(expected: str) -> NoReturn:
    got = "bytes" if expected == "text" else "text"
    raise InvalidMessage(_WRONG_FRAME, f"expected a {expected} frame", f"got {got}")


def _check_size(size: int, shape: Shape) -> None:
    if shape.bytes is not None and size > shape.bytes:
        detail = f"got {size:,} bytes, at most {shape.bytes:,} may come"
        raise InvalidMessage(
            _TOO_BIG, "the message is too big", detail, limit="message_bytes"
        )


def _check_fit(misfit: str | None, shape: Shape) -> None:
    if misfit is not None:
        items = f"at most {shape.items:,} items" if shape.items else ""
        levels = f"at most {shape.depth:,} levels" if shape.depth else ""
        detail = ", ".join(each for each in (items, levels) if each)
        raise InvalidMessage(_SCHEMA, misfit, detail, "too_large", _MISFITS[misfit])


# Servers may leave a key out or set it to None (ASGI: "exactly one of these must be
# non-None"), so an empty message is told from a missing one by `is None` alone.


def text_decoder(shape: Shape) -> Decode:
    """Return what takes text messages."""
    harmless = shape.harmless

    def decode(event: Event) -> str:
        text: str | None = event.get("text")
        if text is None:
            _wrong_frame("text")
        if len(text) > harmless:
            _check_size(size_of_text(text), shape)
        return text

    return decode


def bytes_decoder(shape: Shape) -> Decode:
    """Return what takes binary messages."""
    harmless = shape.harmless

    def decode(event: Event) -> bytes:
        data: bytes | None = event.get("bytes")
        if data is None:
            _wrong_frame("binary")
        if len(data) > harmless:
            _check_size(len(data), shape)
        return data

    return decode


def either_decoder(shape: Shape) -> Decode:
    """Return what takes both."""
    decode_text, decode_bytes = text_decoder(shape), bytes_decoder(shape)

    def decode(event: Event) -> Any:
        return decode_bytes(event) if event.get("text") is None else decode_text(event)

    return decode


def event_decoder(shape: Shape) -> Decode:
    """Return what takes events as they are."""

    def decode(event: Event) -> Event:
        _check_size(size_of_received(event), shape)
        return event

    return decode


def _invalid(error: Exception, form: str) -> InvalidMessage:
    if isinstance(error, msgspec.ValidationError):
        return InvalidMessage(_SCHEMA, "the message violates the schema", str(error))
    return InvalidMessage(
        _INVALID_UTF8_OR_SYNTAX, f"the message is not {form}", str(error)
    )


# A client can nest deeper than the decoder's stack goes: RecursionError is its fault. A
# server may pass on a text with half a surrogate pair, which has no form in UTF-8.
_UNDECODABLE = (msgspec.DecodeError, UnicodeError, RecursionError)


def json_decoder(loads: Callable[[str], Any]) -> Callable[[Shape], Decode]:
    """Return what makes decoders of JSON; ``loads`` reads one text."""

    def within(shape: Shape) -> Decode:
        harmless = shape.harmless

        def decode(event: Event) -> Any:
            text = event.get("text")
            if text is None:
                _wrong_frame("text")
            if len(text) > harmless:
                _check_size(size_of_text(text), shape)
                _check_fit(json_misfit(text, shape), shape)
            try:
                return loads(text)
            except _UNDECODABLE as error:
                raise _invalid(error, "JSON") from error

        return decode

    return within


def msgpack_decoder(loads: Callable[[bytes], Any]) -> Callable[[Shape], Decode]:
    """Return what makes decoders of MessagePack; ``loads`` reads one message."""

    def within(shape: Shape) -> Decode:
        harmless = shape.harmless

        def decode(event: Event) -> Any:
            data = event.get("bytes")
            if data is None:
                _wrong_frame("binary")
            if len(data) > harmless:
                _check_size(len(data), shape)
                _check_fit(msgpack_misfit(data, shape), shape)
            try:
                return loads(data)
            except _UNDECODABLE as error:
                raise _invalid(error, "MessagePack") from error

        return decode

    return within
