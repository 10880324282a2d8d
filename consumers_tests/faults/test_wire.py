"""Frames out of a stream: however it is cut, and however long they are."""

from __future__ import annotations

import pytest

from .wire import CLOSE, PING, TEXT, Frames


def frame(opcode: int, payload: bytes) -> bytes:
    """Return a frame as servers send them (RFC 6455 5.2)."""
    size = len(payload)
    if size < 126:
        return bytes([0x80 | opcode, size]) + payload
    if size < 1 << 16:
        return bytes([0x80 | opcode, 126]) + size.to_bytes(2, "big") + payload
    return bytes([0x80 | opcode, 127]) + size.to_bytes(8, "big") + payload


SENT = [
    (TEXT, b"a"),
    (PING, b""),
    (TEXT, b"x" * 126),
    (TEXT, b"y" * 70_000),
    (CLOSE, b"\x03\xe8"),
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000, 10**6])
def test_frames_are_whole_however_they_are_cut(size: int) -> None:
    """Pieces of any size give the same frames."""
    stream = b"".join(frame(*one) for one in SENT)
    frames = Frames()
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]

    assert [one for piece in pieces for one in frames.feed(piece)] == SENT


def test_a_fragment_is_refused() -> None:
    """These servers send no fragments; one would be counted wrongly."""
    with pytest.raises(ValueError, match="expected whole frames, got a head of 0x1"):
        Frames().feed(b"\x01\x01a")
