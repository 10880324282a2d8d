"""The shape of a message: its bytes, its items, how deep they are nested.

A decoder makes an object of 64 bytes or more of one byte, so that a message of a
megabyte could take seventy. It is looked at before it is decoded: at its length first,
then by counting bytes, and only where these are too many is it gone through.
"""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = [
    "ANYTHING",
    "TOO_DEEP",
    "TOO_MANY",
    "Shape",
    "json_misfit",
    "msgpack_misfit",
    "size_of_text",
]


class Shape(NamedTuple):
    """What one message may be; ``None``: anything."""

    bytes: int | None
    """How long it is, encoded."""
    items: int | None
    """How many values are in its arrays and objects."""
    depth: int | None
    """How many arrays and objects are inside one another."""

    @property
    def harmless(self) -> int:
        """Up to how many characters or bytes a message can't be beyond it."""
        # Of UTF-8 a character takes four bytes at the most. An item takes two in JSON
        # and one in MessagePack, a level the same.
        bounds = (
            None if self.bytes is None else self.bytes // 4,
            self.items,
            self.depth,
        )
        return min((each for each in bounds if each is not None), default=_ENDLESS)


ANYTHING: Final = Shape(None, None, None)
"""A message that is not bounded, or was looked at before."""

_ENDLESS: Final = 1 << 62

TOO_MANY: Final = "the message has too many items"
TOO_DEEP: Final = "the message is nested too deeply"


def size_of_text(text: str) -> int:
    """Return how many bytes of UTF-8 a text takes."""
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))


# -- JSON ------------------------------------------------------------------------

_SPACE: Final = {ord(each): None for each in " \t\r\n"}
_TO_ARRAYS: Final = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))


def json_misfit(text: str, shape: Shape) -> str | None:
    """Return what is too much about a JSON text, if anything.

    What is no JSON at all is the decoder's to complain about.
    """
    containers = text.count("[") + text.count("{")
    many = shape.items is not None and text.count(",") + containers > shape.items
    deep = shape.depth is not None and containers > shape.depth
    if not many and not deep:
        return None
    bare = _without_strings(text)
    if many and _items(bare) > (shape.items or 0):
        return TOO_MANY
    if deep and not _is_flat(bare, shape.depth or 0):
        return TOO_DEEP
    return None


def _without_strings(text: str) -> str:
    """Return a JSON text with a 0 for each string, and without white space."""
    # Without escapes, each second part between quotes is a string.
    parts = text.replace("\\\\", "").replace('\\"', "").split('"')[::2]
    return "0".join(parts).translate(_SPACE)


def _items(bare: str) -> int:
    """Return how many items there are: in each container one more than commas."""
    empty = bare.count("[]") + bare.count("{}")
    return bare.count(",") + bare.count("[") + bare.count("{") - empty


def _is_flat(bare: str, depth: int) -> bool:
    """Tell whether nothing is deeper, by taking the innermost away so many times."""
    data = bare.encode(errors="replace").translate(_TO_ARRAYS, _NO_BRACKETS)
    for _ in range(depth):
        rest = data.replace(b"[]", b"")
        if len(rest) == len(data):  # nothing is left, or what does not match
            return True
        data = rest
    return b"[]" not in data


# -- MessagePack -----------------------------------------------------------------

# fixarray, fixmap; array 16, array 32, map 16, map 32.
_HEADS: Final = frozenset([*range(0x80, 0xA0), *range(0xDC, 0xE0)])
_NO_HEADS: Final = bytes(set(range(256)) - _HEADS)


def msgpack_misfit(data: bytes, shape: Shape) -> str | None:
    """Return what is too much about MessagePack, if anything.

    What is not whole is the decoder's to complain about.

    Source: the MessagePack specification, "Formats".
    """
    most = _ENDLESS if shape.items is None else shape.items
    deepest = _ENDLESS if shape.depth is None else shape.depth
    if len(data) <= most and len(data.translate(None, _NO_HEADS)) <= deepest:
        return None
    at, items, size = 0, 0, len(data)
    due = [1]  # values that are to come in each container around
    while at < size:
        while not due[-1]:
            due.pop()
            if not due:
                return None
        due[-1] -= 1
        head = data[at]
        at += 1
        if head not in _HEADS:
            at = _behind(data, at, head)
            continue
        if head < 0xDC:
            count, is_map = head & 15, head < 0x90
        else:
            width, is_map = 4 if head & 1 else 2, head >= 0xDE
            count = int.from_bytes(data[at : at + width])
            at += width
        items += count
        due.append(2 * count if is_map else count)
        if items > most:
            return TOO_MANY
        if len(due) - 1 > deepest:
            return TOO_DEEP
    return None


def _behind(data: bytes, at: int, head: int) -> int:
    """Return where a value ends that is no array and no map; ``at``: after its head."""
    if 0xA0 <= head <= 0xBF:  # fixstr
        return at + (head & 31)
    if 0xD9 <= head <= 0xDB:  # str 8, 16, 32
        return _after(data, at, 1 << (head - 0xD9), 0)
    if 0xC4 <= head <= 0xC6:  # bin 8, 16, 32
        return _after(data, at, 1 << (head - 0xC4), 0)
    if 0xC7 <= head <= 0xC9:  # ext 8, 16, 32, with a type
        return _after(data, at, 1 << (head - 0xC7), 1)
    if head in (0xCA, 0xCB):  # float 32, 64
        return at + (4 << (head - 0xCA))
    if 0xCC <= head <= 0xD3:  # uint 8-64, int 8-64
        return at + (1 << ((head - 0xCC) & 3))
    if 0xD4 <= head <= 0xD8:  # fixext 1-16, with a type
        return at + 1 + (1 << (head - 0xD4))
    return at


def _after(data: bytes, at: int, width: int, more: int) -> int:
    """Return where what has its length in ``width`` bytes ends."""
    return at + width + more + int.from_bytes(data[at : at + width])
