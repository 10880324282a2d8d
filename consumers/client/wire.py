"""`Wire`: between frames and what travels, as JSON or as MessagePack."""

from __future__ import annotations

from functools import cache
from typing import Any, Final, Literal, TypeAlias, cast, get_args

import msgspec
from msgspec import Raw

from consumers.codecs import CODECS, Codec, codec_for
from consumers.decoding import Decode
from consumers.errors import ConfigurationError, InvalidMessage
from consumers.protocol.frames import VERSION, AnyFrame, FromServer
from consumers.shape import ANYTHING

from .errors import UnexpectedMessage

__all__ = ["Wire", "WireCodec"]

WireCodec: TypeAlias = Literal["json", "msgpack"]

_Frame: Final[Any] = cast("Any", FromServer)[Raw]
_KNOWN: Final = frozenset(
    (getattr(each, "__origin__", None) or each).__struct_config__.tag
    for each in get_args(_Frame)
)


class _Kind(msgspec.Struct):
    """What every frame has."""

    type: str


class Wire:
    """Reads and writes what one codec makes of frames, and of messages in them."""

    def __init__(self, codec: str) -> None:
        if codec not in ("json", "msgpack"):
            raise ConfigurationError(
                f"a client's codec must be 'json' or 'msgpack', got {codec!r}"
            )
        module: Any = msgspec.json if codec == "json" else msgspec.msgpack
        self.subprotocol: Final = f"{VERSION}+{codec}"
        """What servers are offered."""
        self._codec: Final[Codec] = CODECS[codec]
        self._is_text: Final = codec == "json"
        self._encode = module.Encoder().encode
        self._frames = module.Decoder(_Frame | list[_Frame]).decode
        self._frame = module.Decoder(_Frame).decode
        self._parts = module.Decoder(list[Raw]).decode
        self._kind = module.Decoder(_Kind).decode

    def pack(self, message: Any) -> Raw:
        """Return a message as it goes into a frame.

        Raises:
            MessageNotEncodable: It has no form in this codec; our caller's fault.
        """
        event = self._codec.encode(message)
        return Raw(event["text"].encode() if self._is_text else event["bytes"])

    def write(self, frame: AnyFrame) -> str | bytes:
        """Return a frame as it travels."""
        data: bytes = self._encode(frame)
        return data.decode() if self._is_text else data

    def read(self, message: str | bytes) -> list[Any]:
        """Return the frames of a message; those of unknown types are left out.

        Raises:
            InvalidMessage: It has none; the server's fault.
        """
        if isinstance(message, str) is not self._is_text:
            got = "text" if isinstance(message, str) else "bytes"
            raise InvalidMessage(1003, f"frames of {self.subprotocol}", f"got {got}")
        try:
            try:
                frames = self._frames(message)
            except msgspec.ValidationError:
                frames = self._read_singly(message)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidMessage(
                1007, "a message is not of the protocol", str(error)
            ) from error
        return frames if isinstance(frames, list) else [frames]

    def convert(self, raw: Raw, kind: Any) -> Any:
        """Return what a frame's message says, as a type; ``Any``: as it is.

        Raises:
            UnexpectedMessage: It is not of that type.
            ConfigurationError: There is no way to decode to it.
        """
        data = bytes(raw)
        event = {"text": data.decode()} if self._is_text else {"bytes": data}
        try:
            return _decoder(self._codec.name, kind)(event)
        except InvalidMessage as error:
            raise UnexpectedMessage(kind, error.detail) from error

    def _read_singly(self, message: str | bytes) -> list[Any]:
        try:
            parts = self._parts(message)
        except msgspec.ValidationError:
            data = message.encode() if isinstance(message, str) else message
            parts = [Raw(data)]
        return [self._frame(part) for part in parts if self._kind(part).type in _KNOWN]


@cache
def _decoder(name: str, kind: Any) -> Decode:
    return codec_for(name, kind).decoder(ANYTHING)
