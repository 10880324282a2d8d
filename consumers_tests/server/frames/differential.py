"""The same streams for two engines: this one, and ``websockets``' own.

``python -m consumers_tests.server.frames.differential --streams 100000`` prints how
often each of the `DIFFERENCES` was met. Any other difference is an error.
"""

from __future__ import annotations

import re
import sys
from argparse import ArgumentParser
from codecs import getincrementaldecoder
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from time import perf_counter
from typing import Any, Final

from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from consumers.server.frames import DeflateSettings, Frames, negotiate, pong_frame
from consumers.server.frames.message import longest_frame
from consumers_tests.server.frames.clients import fed, values
from consumers_tests.server.frames.streams import cut, stream

__all__ = ["DIFFERENCES", "MAX_SIZE", "Judgement", "compare", "judge", "run"]

MAX_SIZE: Final = 2000
_OFFER: Final = "permessage-deflate; client_max_window_bits"
_UNLIMITED: Final = 1 << 20
_COMPLETED: Final = 5000
"""A frame that is not whole is completed with at most so many bytes."""

DIFFERENCES: Final = {
    "goodbye": "a close frame within a message in fragments is a close, not 1002",
    "corrupt": "data that can't be inflated is 1007, not 1002",
    "both": "a header that breaks a rule and is too long is 1002, not 1009",
    "order": "a compressed message, not UTF-8 and too large, is what is seen first",
    "control": "a control frame within a message does not count towards its size",
    "held": "what zlib holds back counts: no message is larger than the limit",
    "longer": "a compressed frame may be longer than the limit, a message not",
    "early": "what is wrong in a frame fails before the frame is whole",
    "final": "after a final block, the next compressed message is inflated anew",
}
"""What this engine does otherwise, and on purpose."""


@dataclass(slots=True)
class Judgement:
    """What came of a stream."""

    messages: list[str | bytes]
    pongs: list[bytes]
    code: int | None = None
    failed: bool = False
    why: str = ""
    """Of the other engine: how it calls what is wrong."""

    largest: int = 0
    """Of the other engine: the size of its largest message, whole or not."""

    certain: bool = True
    """Of the other engine: whether it read all that it says to have read."""

    waiting: ServerProtocol | None = field(default=None, repr=False)
    """Of the other engine: itself, if it waits for more."""


class _Watched:
    """An inflater that tells when a final block came, after which it reads nothing."""

    def __init__(self, inflater: Any, extension: _Extension) -> None:
        self._inflater = inflater
        self._extension = extension

    def decompress(self, data: bytes, max_length: int) -> bytes:
        inflated: bytes = self._inflater.decompress(data, max_length)
        if self._inflater.eof:
            self._extension.met_final_block()
        return inflated

    @property
    def unconsumed_tail(self) -> bytes:
        tail: bytes = self._inflater.unconsumed_tail
        return tail


class _Extension(PerMessageDeflate):
    """The other engine's compression; notes which frames it read before it got lost."""

    def __init__(self, protocol: ServerProtocol) -> None:
        self._protocol = protocol
        self._inflater: _Watched | None = None
        self.trusted: int | None = None
        super().__init__(False, False, 12, 12)

    @property
    def decoder(self) -> Any:
        return self._inflater

    @decoder.setter
    def decoder(self, inflater: Any) -> None:
        self._inflater = _Watched(inflater, self)

    def met_final_block(self) -> None:
        if self.trusted is None:
            self.trusted = len(self._protocol.events)


def judge(data: bytes, max_size: int, compresses: bool) -> Judgement:
    """Return what the other engine makes of a stream."""
    protocol = ServerProtocol(state=OPEN, max_size=max_size)
    extension = _Extension(protocol)
    if compresses:
        protocol.extensions = [extension]
    protocol.receive_data(data)
    return _judged(protocol, extension.trusted)


def _judged(protocol: ServerProtocol, trusted: int | None) -> Judgement:
    frames = [event for event in protocol.events if isinstance(event, Frame)]
    certain = trusted is None
    judgement = Judgement([], [], certain=certain)
    messages, pongs = judgement.messages, judgement.pongs
    body, is_text = b"", False
    decoder = getincrementaldecoder("utf-8")()
    for frame in frames[:trusted]:
        payload = bytes(frame.data)
        if frame.opcode is Opcode.PING:
            pongs.append(pong_frame(payload))
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            continue
        if frame.opcode is not Opcode.CONT:
            body, is_text = b"", frame.opcode is Opcode.TEXT
        body += payload
        judgement.largest = max(judgement.largest, len(body))
        try:
            if is_text:
                decoder.decode(payload, final=frame.fin)
        except UnicodeDecodeError:
            judgement.code, judgement.failed, judgement.why = 1007, True, "UTF-8"
            judgement.certain = True
            return judgement
        if frame.fin:
            messages.append(body.decode() if is_text else body)
    if not certain:
        return judgement
    failure = protocol.parser_exc
    if failure is None and protocol.close_rcvd is not None:
        judgement.code = protocol.close_rcvd.code
    elif failure is None:
        judgement.waiting = protocol
    else:
        assert isinstance(failure, (PayloadTooBig, ProtocolError, UnicodeDecodeError))
        assert isinstance(protocol.close_sent, Close)
        judgement.code, judgement.failed = protocol.close_sent.code, True
        judgement.why = str(failure)
        if judgement.why == "incomplete fragmented message":
            assert protocol.close_rcvd is not None
            judgement.why = f"{judgement.why} {protocol.close_rcvd.code}"
    return judgement


def _ours(parts: list[bytes], max_size: int, compresses: bool) -> Judgement:
    chosen = negotiate([_OFFER], DeflateSettings()) if compresses else None
    deflate = None if chosen is None else chosen[0]
    frames: Frames = fed(parts, max_size, deflate=deflate)
    pongs = [reply for reply in frames.replies if reply[0] == 0x8A]
    assert frames.close_sent == (frames.ended is not None)
    assert len(frames.replies) - len(pongs) == frames.close_sent
    judgement = Judgement(values(frames), pongs)
    if frames.ended is not None:
        judgement.code, judgement.failed = frames.ended.code, frames.ended.failed
    return judgement


def compare(
    data: bytes, parts: list[bytes], compresses: bool, max_size: int = MAX_SIZE
) -> str | None:
    """Return which of the differences a stream shows, or None.

    Raises:
        AssertionError: It shows another one.
    """
    ours = _ours(parts, max_size, compresses)
    theirs = judge(data, max_size, compresses)
    if theirs.code == 1009 and theirs.largest <= max_size:
        strict = _strict(theirs, ours, compresses)
        if strict is not None:
            without = _ours(parts, _UNLIMITED, compresses)
            assert without.messages[: len(ours.messages)] == ours.messages
            assert all(len(message) <= max_size for message in ours.messages)
            compare(data, parts, compresses, _UNLIMITED)
            return strict
    if theirs.largest > max_size:
        assert (ours.code, ours.failed) == (1009, True), (ours, theirs)
        assert theirs.messages[: len(ours.messages)] == ours.messages
        return "held"
    if not theirs.certain:
        assert ours.messages[: len(theirs.messages)] == theirs.messages
        return "final"
    assert (ours.messages, ours.pongs) == (theirs.messages, theirs.pongs)
    if (ours.code, ours.failed) == (theirs.code, theirs.failed):
        return None
    assert ours.code is not None, (ours, theirs)
    if theirs.waiting is not None:
        _complete(theirs.waiting, ours)
        return "early"
    return _named(ours, theirs, data, compresses)


def _strict(theirs: Judgement, ours: Judgement, compresses: bool) -> str | None:
    """Return why it may have taken a frame for too large that is not."""
    told = re.fullmatch(
        r"frame with (\d+) bytes (?:after reading (\d+) bytes )?"
        r"exceeds limit of (\d+) bytes",
        theirs.why,
    )
    if told is None:
        return None
    size, before, limit = (int(number or 0) for number in told.groups())
    reached = (len(theirs.messages), len(theirs.pongs))
    further = (len(ours.messages), len(ours.pongs)) > reached
    # A ping in a message, which it takes for a part of it.
    if told[2] is not None and size < 126 and (further or not ours.failed):
        return "control"
    fits = compresses and size <= longest_frame(limit - before, is_compressed=True)
    return "longer" if fits and (further or ours.code not in (1002, 1009)) else None


def _named(ours: Judgement, theirs: Judgement, data: bytes, compresses: bool) -> str:
    if theirs.why.startswith("incomplete fragmented message"):
        assert not ours.failed
        assert theirs.why.endswith(str(ours.code))
        return "goodbye"
    assert ours.failed, (ours, theirs)
    if theirs.why == "decompression failed":
        assert ours.code == 1007, (ours, theirs)
        return "corrupt"
    if theirs.code == 1009 and ours.code == 1002:
        # The largest limit that zlib takes; a length may say more than that still.
        unlimited = judge(data, (1 << 63) - 1, compresses)
        assert unlimited.code in (1002, 1009) or unlimited.waiting is not None
        return "both"
    assert compresses, (ours, theirs)
    assert (ours.code, theirs.code) == (1007, 1009), (ours, theirs)
    return "order"


def _complete(protocol: ServerProtocol, ours: Judgement) -> None:
    """See that the other engine fails as well once the frame is whole."""
    known = len(protocol.events)
    for _ in range(_COMPLETED):
        protocol.receive_data(b"\0")
        if protocol.parser_exc is not None or len(protocol.events) > known:
            break
    else:
        return  # the header says so long that its end is out of reach
    if any(getattr(one, "trusted", None) is not None for one in protocol.extensions):
        return  # a final block, after which it reads nothing of what was added
    theirs = _judged(protocol, None)
    allowed = {theirs.code}
    if theirs.why == "decompression failed" or theirs.code == 1009:
        allowed |= {1002, 1007}
    assert ours.failed, (ours, theirs)
    assert ours.code in allowed, (ours, theirs)


def run(count: int, seed: int = 0) -> Counter[str | None]:
    """Compare so many streams, and count the differences.

    Raises:
        AssertionError: One that is not allowed; its note says how to see it again.
    """
    met: Counter[str | None] = Counter()
    for number in range(seed, seed + count):
        random = Random(number)
        compresses = random.random() < 0.4
        data = stream(random, compresses)
        try:
            met[compare(data, cut(random, data), compresses)] += 1
        except BaseException as error:
            error.add_note(f"stream {number}: run(1, {number})")
            raise
    return met


def main() -> None:
    """Run from the command line."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    began = perf_counter()
    met = run(arguments.streams, arguments.seed)
    lines = [f"{met[None]:8} judged alike"]
    lines += [f"{met[name]:8} {why}" for name, why in DIFFERENCES.items()]
    lines.append(f"{perf_counter() - began:8.0f} seconds")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
