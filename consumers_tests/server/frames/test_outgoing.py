"""Frames to a client, read by the client of another engine."""

from __future__ import annotations

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from consumers.server.frames import (
    Frames,
    binary_frame,
    close_frame,
    frame,
    ping_frame,
    pong_frame,
    text_frame,
)

SIZES = (0, 1, 125, 126, 127, 65_535, 65_536, 100_000)


def read(data: bytes) -> list[Frame]:
    """Return the frames that a client sees."""
    client = ClientProtocol(parse_uri("ws://localhost"), state=State.OPEN)
    client.receive_data(data)
    assert client.parser_exc is None
    events = client.events_received()
    assert all(isinstance(event, Frame) for event in events)
    return [event for event in events if isinstance(event, Frame)]


@pytest.mark.parametrize("size", SIZES)
def test_a_client_reads_what_is_sent(size: int) -> None:
    """Messages of each size are read by a client, whichever function made them."""
    frames = Frames(1)
    payload = b"x" * size

    sent = text_frame(payload) + binary_frame(payload) + frame(0x02, payload)

    assert sent == frames.text("x" * size) + frames.binary(payload) + frame(2, payload)
    assert read(sent) == [
        Frame(Opcode.TEXT, payload),
        Frame(Opcode.BINARY, payload),
        Frame(Opcode.BINARY, payload, fin=False),
    ]


def test_text_is_sent_as_utf8() -> None:
    """Text is encoded; half of a surrogate pair is its sender's fault."""
    assert read(Frames(1).text("é😀")) == [Frame(Opcode.TEXT, "é😀".encode())]
    with pytest.raises(UnicodeEncodeError):
        Frames(1).text("\ud800")


def test_control_frames() -> None:
    """Pings and pongs carry at most 125 bytes."""
    assert read(ping_frame(b"a" * 125)) == [Frame(Opcode.PING, b"a" * 125)]
    assert Frames(1).ping() == ping_frame() == b"\x89\x00"
    assert read(pong_frame(b"b")) == [Frame(Opcode.PONG, b"b")]
    for make in (ping_frame, pong_frame, Frames(1).ping):
        with pytest.raises(ValueError, match=r"at most 125 bytes, got 126; send"):
            make(b"x" * 126)


@pytest.mark.parametrize(
    ("code", "reason", "payload"),
    [
        (None, "", b""),
        (1000, "", b"\x03\xe8"),
        (4999, "é" * 61 + "x", b"\x13\x87" + ("é" * 61 + "x").encode()),
    ],
)
def test_close_frames(code: int | None, reason: str, payload: bytes) -> None:
    """A close frame has a code and a reason, a code, or neither."""
    frames = Frames(1)

    assert read(frames.close(code, reason)) == [Frame(Opcode.CLOSE, payload)]
    assert frames.close_sent


@pytest.mark.parametrize(
    ("code", "reason", "told"),
    [
        (None, "why", r"needs a code before it, got 'why' and no code; give 1000"),
        (1005, "", r"must be 1000-1003, 1007-1014 or 3000-4999, got 1005"),
        (999, "", r"got 999"),
        (1000, "é" * 62, r"at most 123 bytes of UTF-8, got 124"),
        (1000, "\ud800", r"surrogates not allowed"),
    ],
)
def test_close_frames_that_may_not_be(code: int | None, reason: str, told: str) -> None:
    """A close that can't be sent is its sender's fault, and was not sent."""
    frames = Frames(1)

    with pytest.raises(ValueError, match=told):
        close_frame(code, reason)
    with pytest.raises(ValueError, match=told):
        frames.close(code, reason)
    assert not frames.close_sent
