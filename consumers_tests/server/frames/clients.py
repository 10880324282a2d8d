"""What a client would put on the wire, right or wrong."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from websockets.utils import apply_mask

from consumers.server.frames import Frames

__all__ = ["CONTINUATION", "MASK", "client_frame", "close_of", "fed", "values"]

CONTINUATION: Final = 0x00
MASK: Final = b"\x37\xfa\x21\x3d"


def client_frame(
    first: int,
    payload: bytes = b"",
    *,
    mask: bytes | None = MASK,
    length: int | None = None,
    width: int | None = None,
) -> bytes:
    """Return a frame with ``first`` as its first byte.

    Args:
        first: FIN, reserved bits and opcode.
        payload: What it carries.
        mask: Four bytes, or none.
        length: What the header says, if that is not the payload's.
        width: Bytes of the length field beside the header's second: 0, 2 or 8.
    """
    size = len(payload) if length is None else length
    if width is None:
        width = 0 if size < 126 else 2 if size < 65536 else 8
    bit = 0 if mask is None else 0x80
    second = bit | {0: size, 2: 126, 8: 127}[width]
    header = bytes((first, second)) + (size.to_bytes(width, "big") if width else b"")
    return header + (payload if mask is None else mask + apply_mask(payload, mask))


def fed(parts: Iterable[bytes], max_size: int = 1 << 20, **options: Any) -> Frames:
    """Return an engine that has read these parts one by one, to the last."""
    frames = Frames(max_size, **options)
    messages: list[dict[str, Any]] = []
    for part in parts:
        frames.feed(part)
        while frames.lagging:
            messages += frames.messages
            frames.messages.clear()
            frames.feed(b"")
    frames.messages[:0] = messages
    return frames


def values(frames: Frames) -> list[str | bytes]:
    """Return the messages that wait, without their events."""
    assert all(event["type"] == "websocket.receive" for event in frames.messages)
    return [
        event["text"] if "text" in event else event["bytes"]
        for event in frames.messages
    ]


def close_of(frames: Frames) -> tuple[int, bool]:
    """Return the code with which it ended, and whether it failed."""
    assert frames.ended is not None
    return frames.ended.code, frames.ended.failed
