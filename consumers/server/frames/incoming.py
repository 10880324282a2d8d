"""Frames from a client, read without any input or output of its own.

A frame that is whole, final, masked, short and plain, which is nearly every one, is
read straight from what was received, by the loop in `Frames.feed`. Everything else goes
through `Frames._step`, one frame or part of one at a time. What is wrong fails the
connection as soon as it can be seen: a header before its payload has come, a byte that
is not UTF-8 before its frame is whole.

Whatever the client sends, and however it is cut, time and memory grow with the number
of bytes: payloads are unmasked, inflated and checked part by part as they come, and
never joined twice.
"""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from consumers.close import CLOSE_CODES
from consumers.server.frames.deflate import Corrupt, Deflate
from consumers.server.frames.message import (
    NOT_UTF8,
    Failure,
    Message,
    apply_mask,
    longest_frame,
    too_large,
)
from consumers.server.frames.outgoing import (
    BINARY,
    CLOSE,
    PONG,
    TEXT,
    binary_frame,
    close_frame,
    frame,
    ping_frame,
    text_frame,
)

if TYPE_CHECKING:
    from consumers.over_limit import LimitName

__all__ = ["HIGH", "Ended", "Frames"]

HIGH: Final = 64
"""So many messages are read ahead of whoever takes them."""

_TURN: Final = 256
"""What is read on end before others have a turn: so many frames that are not common
ones, or parts of such, or KiB of messages made of them. It is half a millisecond."""

_LONGEST_SHORT: Final = 125
"""A frame with a longer payload has its length in bytes of its own."""

_LENGTH_16: Final = 0x80 | 126
"""Second byte of a header whose length is in the next two."""

_NEVER: Final = 1 << 62
_SHORT_FRAMES: Final = (_NEVER,) * 128 + tuple(range(6, 132)) + (_NEVER,) * 2
"""Second byte of a header -> bytes of the whole frame, if it is masked and short; if it
is not, more than there can ever be."""

_RECEIVED_CODES: Final = frozenset(
    row.code for row in CLOSE_CODES.values() if row.sent_by != "nobody"
).union(range(3000, 5000))

_BYTES_PER_FRAME: Final = 32
"""A message may have one frame more for each so many bytes of it."""


class Ended(NamedTuple):
    """Why nothing more can come in."""

    code: int
    """The client's close code, 1005 if it gave none; after a failure our own."""

    reason: str
    """What came or went with the code. A client's text is untrusted."""

    failed: bool
    """Whether the client broke the protocol or a limit; else it said goodbye."""

    limit: LimitName | None = None
    """Which limit that was, if it was one."""


class Frames:
    """One connection's frames, both ways, of the server.

    Feed it what is received; then write ``replies``, hand on ``messages``, and look at
    ``ended``. Messages that came before the end are in ``messages`` still.

    While ``lagging`` is set, stop receiving: something was left unread, since ``HIGH``
    messages are waiting or it would take long. Take out the messages that there are,
    let others run, and go on with ``feed(b"")``. Also stop receiving while ``replies``
    can't be written: they take no more bytes than the pings they answer.

    Args:
        max_size: Largest message of the client in bytes, after inflating.
        max_frames: A message comes in at most so many frames, empty ones too, and one
            more for every 32 bytes of it.
        deflate: What ``negotiate`` agreed on.
    """

    __slots__ = (
        "_at",
        "_max_frames",
        "_max_size",
        "_message",
        "_rest",
        "_work",
        "close_sent",
        "deflate",
        "ended",
        "lagging",
        "messages",
        "pong",
        "replies",
    )

    messages: list[dict[str, Any]]
    """ASGI's ``websocket.receive`` events in order of coming. The owner takes them out,
    or puts another list here."""

    replies: list[bytes]
    """Frames to write now, in this order: pongs, the answer to a close frame, the close
    frame of a failure. The owner takes them out."""

    pong: bytes | None
    """The payload of the latest pong."""

    ended: Ended | None
    """Set once nothing more can come in; what is fed afterwards is ignored."""

    close_sent: bool
    """Whether a close frame was made, by whomever: no message may follow it."""

    lagging: bool
    """Whether input is left unread because ``HIGH`` messages are waiting."""

    deflate: Deflate | None

    def __init__(
        self, max_size: int, max_frames: int = 16384, deflate: Deflate | None = None
    ) -> None:
        self.messages = []
        self.replies = []
        self.pong = None
        self.ended = None
        self.close_sent = False
        self.lagging = False
        self.deflate = deflate
        self._max_size = max_size
        self._max_frames = max_frames
        self._work = 0  # done in this call of `feed`
        self._rest = b""  # an unfinished header or control frame; all input if lagging
        self._at = 0  # where in it unread input begins
        self._message: Message | None = None

    def feed(self, data: bytes) -> None:
        """Take what was received. Raises nothing, whatever it is.

        Source: RFC 6455 5, 7.1, 8.1; RFC 7692 6.
        """
        if self.ended is not None:
            return
        pos = self._work = 0
        if self._rest:
            if data:
                data = self._rest[self._at :] + data
            else:
                data, pos = self._rest, self._at
            self._rest = b""
            self._at = 0
            self.lagging = False
        messages = self.messages
        append = messages.append
        end = len(data)
        shortest = end - 5  # a frame that begins here or later is not whole
        try:
            while True:
                if (
                    self._message is None
                    and not self.close_sent
                    and self._max_size >= _LONGEST_SHORT
                ):
                    for _ in repeat(None, HIGH - len(messages)):
                        if pos >= shortest:
                            break
                        stop = pos + _SHORT_FRAMES[data[pos + 1]]
                        start = pos + 6
                        if stop > end:
                            if data[pos + 1] != _LENGTH_16:
                                break
                            start = pos + 8
                            stop = start + (data[pos + 2] << 8 | data[pos + 3])
                            if stop > end or stop - start > self._max_size:
                                break
                        first = data[pos]
                        if first == TEXT:
                            payload = apply_mask(
                                data[start:stop], data[start - 4 : start]
                            )
                            append(
                                {"type": "websocket.receive", "text": payload.decode()}
                            )
                        elif first == BINARY:
                            payload = apply_mask(
                                data[start:stop], data[start - 4 : start]
                            )
                            append({"type": "websocket.receive", "bytes": payload})
                        else:
                            break
                        pos = stop
                if pos == end:
                    return
                if self._work >= _TURN or (
                    len(messages) >= HIGH and not self.close_sent
                ):
                    self._rest = data
                    self._at = pos
                    self.lagging = True
                    return
                self._work += 1
                pos = self._step(data, pos)
                if pos < 0:
                    return
        except UnicodeDecodeError:
            self._fail(1007, NOT_UTF8)
        except Corrupt:
            self._fail(1007, "compressed data can't be inflated")
        except Failure as failure:
            self._fail(failure.code, failure.reason, failure.limit)

    def text(self, text: str) -> bytes:
        """Return the frame of a text message.

        Raises:
            UnicodeEncodeError: It has half of a surrogate pair. The caller's fault.
        """
        return self.data(text.encode(), True)

    def binary(self, payload: bytes) -> bytes:
        """Return the frame of a binary message."""
        return self.data(payload, False)

    def data(self, payload: bytes, is_text: bool) -> bytes:
        """Return the frame of a message; a text's payload has to be UTF-8."""
        deflate = self.deflate
        if deflate is not None and len(payload) >= deflate.threshold:
            return deflate.compressed_frame(TEXT if is_text else BINARY, payload)
        return text_frame(payload) if is_text else binary_frame(payload)

    def ping(self, payload: bytes = b"") -> bytes:
        """Return a ping. Its answer will be in ``pong``.

        Raises:
            ValueError: The payload has more than 125 bytes. The caller's fault.
        """
        return ping_frame(payload)

    def close(self, code: int | None = None, reason: str = "") -> bytes:
        """Return a close frame; later messages of the client are read and dropped.

        Call it at most once, and not after ``close_sent``.

        Raises:
            ValueError: The code may not be sent, or the reason is too long or has no
                code. The caller's fault.
        """
        closing = close_frame(code, reason)
        self.close_sent = True
        return closing

    def _fail(self, code: int, reason: str, limit: LimitName | None = None) -> None:
        self.ended = Ended(code, reason, failed=True, limit=limit)
        self._message = None
        if not self.close_sent:
            self.close_sent = True
            self.replies.append(close_frame(code, reason))

    def _step(self, data: bytes, pos: int) -> int:
        """Read what comes next at ``pos``: a frame, or a part of one.

        Returns where to go on, or -1 if that is not known yet.

        Raises:
            Failure, Corrupt, UnicodeDecodeError: The client's fault.
        """
        message = self._message
        if message is not None and message.left:
            return self._read_payload(message, data, pos)
        end = len(data)
        if end - pos < 2:
            return self._keep(data, pos)
        first = data[pos]
        opcode = first & 0x0F
        length = data[pos + 1] & 0x7F
        self._check_header(first, opcode, data[pos + 1])
        start = pos + (6 if length < 126 else 8 if length == 126 else 14)
        if length >= 126:
            if end < start - 4:
                return self._keep(data, pos)
            length = int.from_bytes(data[pos + 2 : start - 4], "big")
        if opcode & 0x08:
            if length > _LONGEST_SHORT:
                raise Failure(1002, "a control frame is too long")
            stop = start + length
            if stop > end:
                return self._keep(data, pos)
            mask = data[start - 4 : start]
            self._read_control(opcode, apply_mask(data[start:stop], mask))
            return stop if self.ended is None else -1
        if message is None:
            longest = longest_frame(self._max_size, bool(first & 0x40))
        else:
            longest = longest_frame(message.room, message.is_compressed)
        if length > longest:
            raise too_large(self._max_size)
        if end < start:
            return self._keep(data, pos)
        mask = data[start - 4 : start]
        if end - start >= length and first in (TEXT, BINARY):
            stop = start + length
            self._deliver(first == TEXT, apply_mask(data[start:stop], mask))
            return stop
        if message is None:
            deflate = self.deflate if first & 0x40 else None
            message = self._message = Message(opcode == 1, self._max_size, deflate)
        message.begin_frame(length, mask, bool(first & 0x80))
        # Bytes pay for frames: small parts of a large message are not what it is for.
        paid = (self._max_size - message.room) // _BYTES_PER_FRAME
        if message.frames > self._max_frames + paid:
            reason = f"a message has more than {self._max_frames} frames"
            raise Failure(1008, reason, "ws_max_frames")
        return self._read_payload(message, data, start)

    def _check_header(self, first: int, opcode: int, second: int) -> None:
        """Raise if the first two bytes of a frame break the protocol."""
        wrong = ""
        if 2 < opcode < 8 or opcode > 10:
            wrong = "unknown opcode"
        elif not second & 0x80:
            wrong = "a client's frame is not masked"
        # RSV1 is permessage-deflate's, on the first frame of a message only.
        elif first & 0x30 or (
            first & 0x40 and (self.deflate is None or not 0 < opcode < 3)
        ):
            wrong = "reserved bits are set"
        elif opcode & 0x08:
            if not first & 0x80:
                wrong = "a control frame is fragmented"
        elif opcode == 0:
            if self._message is None:
                wrong = "there is nothing to be continued"
        elif self._message is not None:
            wrong = "a message begins before the last one has ended"
        if wrong:
            raise Failure(1002, wrong)

    def _keep(self, data: bytes, pos: int) -> int:
        # At most 138 bytes: one more, and it would be a whole control frame or header.
        self._rest = data[pos:]
        return -1

    def _read_control(self, opcode: int, payload: bytes) -> None:
        if opcode == 9:
            self.replies.append(frame(PONG, payload))
            return
        if opcode == 10:
            self.pong = payload
            return
        code, reason = 1005, ""
        if payload:
            code = int.from_bytes(payload[:2], "big")  # of one byte, no valid one
            reason = payload[2:].decode()
            if code not in _RECEIVED_CODES:
                raise Failure(1002, "a close frame has no valid code")
        self.ended = Ended(code, reason, failed=False)
        self._message = None
        if not self.close_sent:
            self.close_sent = True
            self.replies.append(frame(CLOSE, payload))

    def _read_payload(self, message: Message, data: bytes, pos: int) -> int:
        stop = message.read(data, pos)
        if message.left:
            return -1
        if message.final:
            self._message = None
            self._deliver(message.is_text, message.finish())
        return stop

    def _deliver(self, is_text: bool, payload: bytes) -> None:
        self._work += len(payload) >> 10
        # Decoded also where nobody wants it: what is wrong has to fail the connection.
        event = (
            {"type": "websocket.receive", "text": payload.decode()}
            if is_text
            else {"type": "websocket.receive", "bytes": payload}
        )
        if not self.close_sent:
            self.messages.append(event)
