"""A message that does not come as one whole frame: put together, inflated, checked."""

from __future__ import annotations

from codecs import utf_8_decode
from typing import TYPE_CHECKING, Final

from consumers.server.frames.deflate import Deflate

if TYPE_CHECKING:
    from consumers.over_limit import LimitName

try:
    from websockets.speedups import apply_mask
except ImportError:  # where the package was installed without a compiler
    from websockets.utils import apply_mask

__all__ = [
    "NOT_UTF8",
    "Failure",
    "Message",
    "apply_mask",
    "longest_frame",
    "too_large",
]

NOT_UTF8: Final = "a text is not UTF-8"


class Failure(Exception):
    """The client broke a rule: fail the connection with a code and a reason."""

    def __init__(self, code: int, reason: str, limit: LimitName | None = None) -> None:
        super().__init__(code, reason, limit)
        self.code = code
        self.reason = reason
        self.limit = limit
        """Which limit that is, if it is one."""


class Message:
    """A message of which there is a part, and where in its current frame it is.

    Args:
        is_text: Check that it is UTF-8.
        max_size: It may have so many bytes, after inflating.
        deflate: What inflates it, if it is compressed.
    """

    __slots__ = (
        "_body",
        "_deflate",
        "_mask",
        "_max_size",
        "_undecided",
        "final",
        "frames",
        "is_text",
        "left",
    )

    def __init__(self, is_text: bool, max_size: int, deflate: Deflate | None) -> None:
        self.is_text = is_text
        self.frames = 0
        self.left = 0
        """Bytes of the current frame that have not come."""
        self.final = False
        """Whether the current frame is the last."""
        self._max_size = max_size
        self._deflate = deflate
        self._body = bytearray()
        self._undecided = b""  # the beginning of a character: 3 bytes of it at most
        self._mask = b""  # the current frame's, turned to where its next byte begins

    @property
    def room(self) -> int:
        """So many bytes more it may have."""
        return self._max_size - len(self._body)

    @property
    def is_compressed(self) -> bool:
        """Whether its frames have to be inflated."""
        return self._deflate is not None

    def begin_frame(self, length: int, mask: bytes, final: bool) -> None:
        """Say what the next payload is."""
        self.frames += 1
        self.left = length
        self.final = final
        self._mask = mask

    def read(self, data: bytes, pos: int) -> int:
        """Read as much of the current frame's payload as there is; return its end.

        Raises:
            Failure, Corrupt, UnicodeDecodeError: The client's fault.
        """
        stop = min(pos + self.left, len(data))
        part = apply_mask(data[pos:stop], self._mask)
        self.left -= stop - pos
        if turn := (stop - pos) & 3:
            self._mask = self._mask[turn:] + self._mask[:turn]
        if self._deflate is not None:
            part = self._deflate.inflate(part, self.room)
        self._add(part)
        return stop

    def finish(self) -> bytes:
        """Return the whole payload, once the last frame is read.

        Raises:
            Failure, Corrupt, UnicodeDecodeError: The client's fault.
        """
        if self._deflate is not None:
            self._add(self._deflate.finish(self.room))
        return bytes(self._body)

    def _add(self, part: bytes) -> None:
        if len(part) > self.room:
            raise too_large(self._max_size)
        if self.is_text:
            # Only told apart here, not kept: a text that is whole is decoded at once.
            undecided = self._undecided + part
            _, decided = utf_8_decode(undecided, "strict", False)
            self._undecided = rest = undecided[decided:]
            # Half of a surrogate pair, which the codec judges by its third byte only.
            if b"\xed\xa0" <= rest < b"\xee":
                raise Failure(1007, NOT_UTF8)
        self._body += part


def longest_frame(room: int, is_compressed: bool) -> int:
    """Return how many bytes a frame may have that has room for so many, inflated."""
    # What can't be compressed becomes longer by it; this is zlib's own bound.
    return room + (room >> 3) + (room >> 6) + 16 if is_compressed else room


def too_large(max_size: int) -> Failure:
    """Return the failure of a message that is larger than it may be."""
    reason = f"a message is larger than {max_size} bytes"
    return Failure(1009, reason, "ws_max_size")
