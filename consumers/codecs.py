"""Codecs: between a message and the ASGI event that carries it.

A codec is built once per class. ``decode`` takes a ``websocket.receive`` event and
``encode`` makes a ``websocket.send`` event, which may be shared by any number of
connections and must not be changed.

Source of the events: ASGI WebSocket, "Receive - receive event" and "Send - send event".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, TypeAlias, get_args

import msgspec

from .decoding import (
    Decode,
    Event,
    bytes_decoder,
    either_decoder,
    event_decoder,
    json_decoder,
    msgpack_decoder,
    text_decoder,
)
from .errors import ConfigurationError, MessageNotEncodable, shorten
from .history import Position
from .limits import DEFAULT_SHAPE
from .pydantic_types import mentions_pydantic, pydantic_loads

if TYPE_CHECKING:
    from .shape import Shape

__all__ = [
    "CODECS",
    "Codec",
    "CodecName",
    "Event",
    "codec_for",
    "dump",
    "name_for_annotation",
    "only",
    "pack",
    "with_positions",
]

Publish: TypeAlias = "Callable[[str, Position | None, Any], Event]"
"""Makes an event of a publication's group, position and message."""

CodecName: TypeAlias = Literal["text", "bytes", "json", "msgpack", "event"]


class Codec:
    """One way to read and to write messages.

    Instances compare by identity: a publication is encoded once per codec instance.
    """

    __slots__ = ("decode", "decoder", "encode", "join", "name", "publish")

    def __init__(
        self,
        name: str,
        decoder: Callable[[Shape], Decode],
        encode: Callable[[Any], Event],
        join: Callable[[Sequence[Event]], Event] | None = None,
        publish: Publish | None = None,
    ) -> None:
        self.name = name
        """As settings name it."""
        self.decoder = decoder
        """Return ``decode`` for messages of another shape than the default."""
        self.decode = decoder(DEFAULT_SHAPE)
        """Make a message of a ``websocket.receive`` event.

        Raises:
            InvalidMessage: The client's fault.
        """
        self.encode = encode
        """Make a ``websocket.send`` event of a message.

        Raises:
            MessageNotEncodable: The value does not fit the codec; our caller's fault.
        """
        self.join = join
        """Make one event, an array, of those that ``encode`` has made; ``None``: the
        codec has no arrays."""
        self.publish = publish
        """Make a ``websocket.send`` event of a publication, where that takes more than
        ``encode``."""

    def __repr__(self) -> str:
        return f"<codec {self.name}>"


def _wrong_value(codec: str, expected: str, value: object, way_out: str) -> NoReturn:
    raise MessageNotEncodable(
        f"send_type {codec!r} sends {expected}, got {shorten(value)}; {way_out}"
    )


def _encode_text(message: Any) -> Event:
    if not isinstance(message, str):
        _wrong_value("text", "str", message, "set value_type = 'json', or send_json it")
    return {"type": "websocket.send", "text": message}


def _encode_bytes(message: Any) -> Event:
    if not isinstance(message, bytes | bytearray | memoryview):
        _wrong_value("bytes", "bytes", message, "encode it, or send_text it")
    return {"type": "websocket.send", "bytes": bytes(message)}


def _encode_either(message: Any) -> Event:
    return _encode_text(message) if isinstance(message, str) else _encode_bytes(message)


def _encode_event(message: Any) -> Event:
    if not isinstance(message, Mapping) or message.get("type") != "websocket.send":
        _wrong_value("event", "'websocket.send' events", message, "see send_event")
    return message


def _dump_foreign(value: object) -> object:
    """Turn what msgspec doesn't know into something it does: pydantic's models."""
    if isinstance(value, Position):
        return str(value)
    dump = getattr(value, "model_dump", None)
    if dump is None:
        raise NotImplementedError(f"values of {type(value).__name__} can't be encoded")
    return dump(mode="json")


_encode_json_bytes = msgspec.json.Encoder(enc_hook=_dump_foreign).encode
_encode_msgpack_bytes = msgspec.msgpack.Encoder(enc_hook=_dump_foreign).encode
# What msgspec raises for a value that has no form in the format: an unknown type, an
# int beyond 64 bits, a lone surrogate, a list that contains itself.
_NOT_ENCODABLE = (
    TypeError,
    ValueError,
    OverflowError,
    NotImplementedError,
    RecursionError,
)


def _encode_json(message: Any) -> Event:
    try:
        return {
            "type": "websocket.send",
            "text": _encode_json_bytes(message).decode(),
        }
    except _NOT_ENCODABLE as error:
        raise _no_json(message, error) from error


def dump(message: Any) -> bytes:
    """Return a message as JSON, encoded as UTF-8.

    Raises:
        MessageNotEncodable: It has no such form; our caller's fault.
    """
    try:
        return _encode_json_bytes(message)
    except _NOT_ENCODABLE as error:
        raise _no_json(message, error) from error


def _no_json(message: Any, error: Exception) -> MessageNotEncodable:
    return MessageNotEncodable(
        f"a message must have a JSON form, got {shorten(message)}; {error}"
    )


def pack(message: Any) -> bytes:
    """Return a message as MessagePack.

    Raises:
        MessageNotEncodable: It has no such form; our caller's fault.
    """
    try:
        return _encode_msgpack_bytes(message)
    except _NOT_ENCODABLE as error:
        raise MessageNotEncodable(
            f"a message must have a MessagePack form, got {shorten(message)}; {error}"
        ) from error


def _encode_msgpack(message: Any) -> Event:
    return {"type": "websocket.send", "bytes": pack(message)}


def _join_json(events: Sequence[Event]) -> Event:
    text = ",".join([event["text"] for event in events])
    return {"type": "websocket.send", "text": f"[{text}]"}


def _join_msgpack(events: Sequence[Event]) -> Event:
    count = len(events)
    if count < 16:
        header = bytes((0x90 | count,))
    elif count < 1 << 16:
        header = b"\xdc" + count.to_bytes(2)
    else:
        header = b"\xdd" + count.to_bytes(4)
    data = b"".join([header, *(event["bytes"] for event in events)])
    return {"type": "websocket.send", "bytes": data}


CODECS: Final[dict[str, Codec]] = {
    "text": Codec("text", text_decoder, _encode_text),
    "bytes": Codec("bytes", bytes_decoder, _encode_bytes),
    "json": Codec(
        "json",
        json_decoder(msgspec.json.Decoder().decode),
        _encode_json,
        _join_json,
    ),
    "msgpack": Codec(
        "msgpack",
        msgpack_decoder(msgspec.msgpack.Decoder().decode),
        _encode_msgpack,
        _join_msgpack,
    ),
    "event": Codec("event", event_decoder, _encode_event),
}
"""The codecs for untyped messages, by the name that settings use."""

_EITHER: Final = Codec("text or bytes", either_decoder, _encode_either)


def _positioned(codec: Codec) -> Codec:
    def publish(group: str, position: Position | None, message: Any) -> Event:
        if position is None:
            return codec.encode(message)
        return codec.encode(
            {"group": group, "position": str(position), "message": message}
        )

    return Codec(codec.name, codec.decoder, codec.encode, codec.join, publish)


_POSITIONED: Final = {name: _positioned(CODECS[name]) for name in ("json", "msgpack")}


def with_positions(codec: Codec) -> Codec:
    """Return what sends publications of groups with history beside their position.

    Raises:
        ConfigurationError: The codec can't.
    """
    if codec.name not in _POSITIONED:
        raise ConfigurationError(
            "positions are sent as JSON or MessagePack, got "
            f"send_type {codec.name!r}; set value_type = 'json'"
        )
    return _POSITIONED[codec.name]


_FREE: Final = frozenset({Any, object, None})


def name_for_annotation(annotation: Any) -> str:
    """Return the codec that an annotation of ``on_receive``'s message asks for.

    ``str`` is text, ``bytes`` is bytes, ``str | bytes`` is either, all else is JSON.
    """
    if annotation is str:
        return "text"
    if annotation is bytes:
        return "bytes"
    if set(get_args(annotation)) == {str, bytes}:
        return _EITHER.name
    return "json"


def codec_for(name: str, annotation: Any = None) -> Codec:
    """Return the codec ``name`` with a decoder for messages of type ``annotation``.

    ``None``, ``Any`` and ``object`` mean untyped. pydantic's types are decoded by
    pydantic.

    Raises:
        ConfigurationError: There is no such codec, or it can't carry the type.
    """
    if name == _EITHER.name:
        return _EITHER
    codec = CODECS.get(name)
    if codec is None:
        raise ConfigurationError(
            f"a message type must be one of {', '.join(map(repr, CODECS))}, "
            f"got {name!r}"
        )
    if _is_free(annotation) or name == "event":
        return codec
    if name in ("text", "bytes"):
        carried = str if name == "text" else bytes
        if annotation is not carried:
            raise ConfigurationError(
                f"messages of type {name!r} are {carried.__name__}, "
                f"got the annotation {annotation!r}; "
                f"write message: {carried.__name__}, or set value_type = 'json'"
            )
        return codec
    loads = _typed_loads(name, annotation)
    decoder = json_decoder if name == "json" else msgpack_decoder
    return Codec(name, decoder(loads), codec.encode, codec.join)


def only(codec: Codec, kinds: tuple[type, ...], owner: str) -> Codec:
    """Return a codec that sends messages of these types, and no others.

    Its ``encode`` raises ``TypeError`` for those; our caller's fault.
    """
    encode = codec.encode

    def encode_checked(message: Any) -> Event:
        if not isinstance(message, kinds):
            expected = " or ".join(kind.__name__ for kind in kinds)
            raise TypeError(
                f"{owner} sends {expected}, got {type(message).__name__}; "
                "add it to the class's sends"
            )
        return encode(message)

    return Codec(codec.name, codec.decoder, encode_checked, codec.join, codec.publish)


def _is_free(annotation: Any) -> bool:
    try:
        return annotation in _FREE
    except TypeError:  # an annotation that can't be hashed, such as Annotated[..., []]
        return False


def _typed_loads(name: str, annotation: Any) -> Callable[[Any], Any]:
    if mentions_pydantic(annotation):
        return pydantic_loads(name, annotation)
    decoder = msgspec.json.Decoder if name == "json" else msgspec.msgpack.Decoder
    try:
        return decoder(annotation).decode
    except TypeError as error:
        raise ConfigurationError(
            f"messages must be of a type that msgspec can decode, got {annotation!r}; "
            f"{error}"
        ) from error
