"""A bound of what one message may make: how many arrays and objects.

A decoder makes an object of 64 bytes or more of one byte, so that a message of a
megabyte could take seventy. Looked at before decoding, by counting bytes; only where
these are too many it is looked at closely. How deep they are nested is bounded by the
decoder, which goes as deep as Python's stack, about 1,000.
"""

from __future__ import annotations

from typing import Final

__all__ = ["MAX_CONTAINERS", "json_fits", "msgpack_fits"]

MAX_CONTAINERS: Final = 50_000
"""Arrays and objects in one message."""

# fixarray, fixmap; array 16, array 32, map 16, map 32.
_HEADS: Final = frozenset([*range(0x80, 0xA0), *range(0xDC, 0xE0)])
_NO_HEADS: Final = bytes(set(range(256)) - _HEADS)


def json_fits(text: str) -> bool:
    """Tell whether a JSON text stays within the bound."""
    if text.count("[") + text.count("{") <= MAX_CONTAINERS:
        return True
    # Without escapes, each second part between quotes is a string.
    parts = text.replace("\\\\", "").replace('\\"', "").split('"')[::2]
    return sum(part.count("[") + part.count("{") for part in parts) <= MAX_CONTAINERS


def msgpack_fits(data: bytes) -> bool:
    """Tell whether MessagePack stays within the bound."""
    if len(data.translate(None, _NO_HEADS)) <= MAX_CONTAINERS:
        return True
    return _containers(data) <= MAX_CONTAINERS


def _containers(data: bytes) -> int:
    """Return how many arrays and maps there are, or one more than may be.

    What is not whole is the decoder's to complain about.

    Source: the MessagePack specification, "Formats".
    """
    at, count, size = 0, 0, len(data)
    while at < size and count <= MAX_CONTAINERS:
        head = data[at]
        at += 1
        if head in _HEADS:
            count += 1
            if head >= 0xDC:
                at += 4 if head & 1 else 2
        elif 0xA0 <= head <= 0xBF:  # fixstr
            at += head & 31
        elif 0xD9 <= head <= 0xDB:  # str 8, 16, 32
            at = _after(data, at, 1 << (head - 0xD9), 0)
        elif 0xC4 <= head <= 0xC6:  # bin 8, 16, 32
            at = _after(data, at, 1 << (head - 0xC4), 0)
        elif 0xC7 <= head <= 0xC9:  # ext 8, 16, 32, with a type
            at = _after(data, at, 1 << (head - 0xC7), 1)
        elif head in (0xCA, 0xCB):  # float 32, 64
            at += 4 << (head - 0xCA)
        elif 0xCC <= head <= 0xD3:  # uint 8-64, int 8-64
            at += 1 << ((head - 0xCC) & 3)
        elif 0xD4 <= head <= 0xD8:  # fixext 1-16, with a type
            at += 1 + (1 << (head - 0xD4))
    return count


def _after(data: bytes, at: int, width: int, more: int) -> int:
    """Return where what has its length in ``width`` bytes ends."""
    return at + width + more + int.from_bytes(data[at : at + width])
