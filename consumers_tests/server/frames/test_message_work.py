"""What reading costs: counted, not timed, so that it is the same on every machine."""

from __future__ import annotations

import sys
import tracemalloc
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import consumers.server.frames
from consumers.server.frames import DeflateSettings, Frames, negotiate
from consumers_tests.server.frames.clients import client_frame, values

LIMIT = 1 << 20
ENGINE = Path(consumers.server.frames.__file__).parent


class Counted(bytes):
    """Bytes that count how many of them are copied."""

    copied = 0

    def __getitem__(self, key: Any) -> Any:
        part = super().__getitem__(key)
        if isinstance(part, int):
            return part
        Counted.copied += len(part)
        return Counted(part)

    def __add__(self, other: Any) -> Any:
        whole = super().__add__(other)
        Counted.copied += len(whole)
        return Counted(whole)


def work(parts: Iterable[bytes], **options: Any) -> tuple[int, Frames]:
    """Return how much is done to read these parts: calls made, and bytes copied."""
    frames = Frames(LIMIT, **options)
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    counted = [Counted(part) for part in parts]
    before, profile = Counted.copied, sys.getprofile()
    feed = frames.feed
    sys.setprofile(count)
    try:
        for part in counted:
            feed(part)
            while frames.lagging:
                frames.messages.clear()
                feed(b"")
    finally:
        sys.setprofile(profile)
    return calls + Counted.copied - before, frames


def bytewise(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def deflated(data: bytes) -> bytes:
    compressor = zlib.compressobj(0, wbits=-15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


PATTERNS: dict[str, Callable[[int], list[bytes]]] = {
    "one binary frame in single bytes": lambda n: bytewise(
        client_frame(0x82, b"x" * n)
    ),
    "one text frame in single bytes": lambda n: bytewise(
        client_frame(0x81, "é".encode() * (n // 2))
    ),
    "one compressed frame in single bytes": lambda n: bytewise(
        client_frame(0xC2, deflated(b"x" * n))
    ),
    "short frames in single bytes": lambda n: bytewise(
        client_frame(0x81, b"12345678") * (n // 14)
    ),
    "pings in single bytes": lambda n: (
        bytewise(client_frame(0x89, b"x" * 125) * 9) * (n // 700)
    ),
    "one message in fragments of one byte": lambda n: [
        client_frame(0x02) + client_frame(0x00, b"x") * n + client_frame(0x80)
    ],
    "one message in empty fragments, in one read": lambda n: [
        client_frame(0x02) + client_frame(0x00) * n + client_frame(0x80)
    ],
    "one message in empty fragments, read one by one": lambda n: [
        client_frame(0x01),
        *[client_frame(0x00)] * n,
        client_frame(0x80),
    ],
    "short frames in one read": lambda n: [client_frame(0x81, b"m") * n],
    "short frames, and each read ends within one": lambda n: [
        client_frame(0x81, b"m") * 20 + client_frame(0x81, b"m")[:4],
        *[client_frame(0x81, b"m")[4:] + client_frame(0x81, b"m")[:4]] * (n // 7),
    ],
}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_work_grows_with_the_bytes_only(pattern: str) -> None:
    """Four times the input is four times the work, however it comes."""
    make = PATTERNS[pattern]

    once, few = work(make(700), max_frames=LIMIT, deflate=_deflate())
    often, many = work(make(2800), max_frames=LIMIT, deflate=_deflate())

    assert few.ended is many.ended is None
    assert often < 4.2 * once


def test_the_count_would_show_it() -> None:
    """An engine that joined what came each time would be found out."""

    class Joining(Frames):
        __slots__ = ("kept",)

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.kept = Counted()

        def feed(self, data: bytes) -> None:
            self.kept = self.kept + data

    def cost(size: int) -> int:
        before, frames = Counted.copied, Joining(LIMIT)
        for part in bytewise(client_frame(0x82, b"x" * size)):
            frames.feed(part)
        return Counted.copied - before

    assert cost(4800) > 8 * cost(1200)


def kept(
    parts: Iterable[bytes], *, limit: int = LIMIT, **options: Any
) -> tuple[int, Frames]:
    """Return how many bytes the engine keeps of what was read, and the engine."""
    parts = list(parts)
    warm = Frames(limit, **options)
    for part in parts:  # What a tool remembers of each line it has seen is not ours.
        warm.feed(part)
    frames = Frames(limit, **options)
    ours = [tracemalloc.Filter(True, f"{ENGINE}/*")]

    tracemalloc.start()
    for part in parts:
        frames.feed(part)
    snapshot = tracemalloc.take_snapshot().filter_traces(ours)
    tracemalloc.stop()

    return sum(trace.size for trace in snapshot.traces), frames


def _deflate() -> Any:
    chosen = negotiate(["permessage-deflate"], DeflateSettings())
    assert chosen is not None
    return chosen[0]


@pytest.mark.parametrize("first", [0x81, 0x82])
def test_a_message_in_single_bytes_takes_its_own_size(first: int) -> None:
    """What is kept of an unfinished message is its bytes, and not a piece for each."""
    size = 8_000
    data = client_frame(first, b"x" * size)[:-1]

    taken, frames = kept(bytewise(data))

    assert values(frames) == []
    assert taken < 1.2 * size + 2000


def test_a_header_reserves_nothing() -> None:
    """A header that tells of a large message takes no memory for it."""
    taken, _ = kept([client_frame(0x82, length=1 << 29)], limit=1 << 30)

    assert taken < 2000


def test_empty_fragments_take_nothing() -> None:
    """However many frames a message has, only their bytes are kept."""
    parts = [client_frame(0x02), client_frame(0x00) * 2000]

    taken, _ = kept(parts, max_frames=LIMIT)

    assert taken < 4000  # two bytes each would be more


def test_an_idle_connection_is_small() -> None:
    """An engine that waits for a message takes less than 300 bytes."""
    frames = Frames(LIMIT)
    frames.feed(client_frame(0x81, b"hello") + client_frame(0x89))
    frames.messages.clear()
    frames.replies.clear()

    parts = (frames, frames.messages, frames.replies)

    assert sum(map(sys.getsizeof, parts)) < 300
    assert not hasattr(frames, "__dict__")


def test_what_is_unfinished_is_short() -> None:
    """Of frames that are not whole, at most a header and a control frame are kept."""
    for data in (
        client_frame(0x82, b"x" * 70_000)[:13],
        client_frame(0x89, b"x" * 125, width=8)[:-1],
    ):
        frames = Frames(LIMIT)
        frames.feed(client_frame(0x81, b"x") * 9 + data)

        assert len(frames._rest) < 139
