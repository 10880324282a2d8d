"""Frames to a client, uncompressed: a header, and the payload as it is.

A server's frames are not masked (RFC 6455 5.1), so the bytes of one frame serve every
client that it is for.
"""

from __future__ import annotations

import struct
from typing import Final

from consumers.close import check_code, check_reason

__all__ = [
    "BINARY",
    "CLOSE",
    "PING",
    "PONG",
    "TEXT",
    "TEXT_HEADERS",
    "binary_frame",
    "close_frame",
    "frame",
    "ping_frame",
    "pong_frame",
    "text_frame",
]

# The first byte of a whole frame: FIN and the opcode (RFC 6455 5.2).
TEXT: Final = 0x81
BINARY: Final = 0x82
CLOSE: Final = 0x88
PING: Final = 0x89
PONG: Final = 0x8A

MAX_CONTROL: Final = 125
"""A control frame's payload has at most so many bytes (RFC 6455 5.5)."""

TEXT_HEADERS: Final = tuple(bytes((TEXT, size)) for size in range(126))
"""The header of each text frame that has no more than 125 bytes, by their number."""
_BINARY_HEADERS: Final = tuple(bytes((BINARY, size)) for size in range(126))
_pack_16: Final = struct.Struct("!BBH").pack
_pack_64: Final = struct.Struct("!BBQ").pack


def frame(first: int, payload: bytes) -> bytes:
    """Return a frame with ``first`` as its first byte: FIN, reserved bits, opcode."""
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 65536:
        return _pack_16(first, 126, size) + payload
    return _pack_64(first, 127, size) + payload


def text_frame(payload: bytes) -> bytes:
    """Return a text frame. ``payload`` is not checked: it has to be UTF-8."""
    if len(payload) < 126:
        return TEXT_HEADERS[len(payload)] + payload
    return frame(TEXT, payload)


def binary_frame(payload: bytes) -> bytes:
    """Return a binary frame."""
    if len(payload) < 126:
        return _BINARY_HEADERS[len(payload)] + payload
    return frame(BINARY, payload)


def ping_frame(payload: bytes = b"") -> bytes:
    """Return a ping; the client answers with a pong that holds the same payload.

    Raises:
        ValueError: The payload has more than 125 bytes. The caller's fault.
    """
    return _control(PING, payload)


def pong_frame(payload: bytes = b"") -> bytes:
    """Return a pong.

    Raises:
        ValueError: The payload has more than 125 bytes. The caller's fault.
    """
    return _control(PONG, payload)


def close_frame(code: int | None = None, reason: str = "") -> bytes:
    """Return a close frame; ``None`` sends no code, which the client sees as 1005.

    Raises:
        ValueError: The code may not be sent, the reason takes more than 123 bytes or
            has no code before it. The caller's fault.

    Source: RFC 6455 5.5.1, 7.4.
    """
    if code is None:
        if reason:
            raise ValueError(
                f"a close reason needs a code before it, got {reason!r} and no code; "
                "give 1000 to say that the work is done"
            )
        return frame(CLOSE, b"")
    payload = check_code(code).to_bytes(2, "big") + check_reason(reason).encode()
    return frame(CLOSE, payload)


def _control(first: int, payload: bytes) -> bytes:
    if len(payload) > MAX_CONTROL:
        raise ValueError(
            f"the payload of a control frame must be at most {MAX_CONTROL} bytes, "
            f"got {len(payload)}; send a message instead"
        )
    return frame(first, payload)
