"""Streams of frames, right and wrong, drawn by lot."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from random import Random
from typing import Final

from consumers_tests.server.frames.clients import client_frame

__all__ = ["cut", "stream"]

_LETTERS: Final = "abc é€😀\0\x7f߿ࠀ\uffff\U0010ffff"
_WRONG_UTF8: Final = (
    b"\xff",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xe2\x82",
    b"\xf0\x9f",
    b"\x80",
)
_CODES: Final = (999, 1000, 1001, 1004, 1005, 1006, 1011, 1015, 2999, 3000, 4999, 5000)


class _Client:
    """Writes what a client might: usually right, for once wrong."""

    def __init__(self, random: Random, compresses: bool) -> None:
        self.random = random
        self.compressor = zlib.compressobj(wbits=-12) if compresses else None

    def size(self) -> int:
        return self.random.choice((0, 1, 3, 20, 124, 125, 126, 127, 300, 900, 2100))

    def payload(self, is_text: bool) -> bytes:
        if not is_text:
            return self.random.randbytes(self.size())
        letters = self.random.choice((_LETTERS[:3], _LETTERS))
        text = "".join(self.random.choices(letters, k=self.size())).encode()
        if self.random.random() < 0.03:
            at = self.random.randint(0, len(text))
            return text[:at] + self.random.choice(_WRONG_UTF8) + text[at:]
        return text

    def frame(self, first: int, payload: bytes) -> bytes:
        width = None
        if self.random.random() < 0.03:
            width = 8 if len(payload) > 65_535 else 2 if len(payload) > 125 else 8
        return client_frame(first, payload, mask=self.random.randbytes(4), width=width)

    def control(self) -> bytes:
        payload = self.random.randbytes(self.random.choice((0, 1, 5, 124, 125)))
        return self.frame(self.random.choice((0x89, 0x8A)), payload)

    def close(self) -> bytes:
        code = self.random.choice(_CODES).to_bytes(2, "big")
        payload = self.random.choice((b"", code, code, code[:1]))
        if len(payload) == 2:
            payload += self.payload(is_text=True)[:123]
        return self.frame(0x88, payload)

    def message(self) -> bytes:
        is_text = self.random.random() < 0.6
        payload = self.payload(is_text)
        first = 0x01 if is_text else 0x02
        if self.compressor is not None and self.random.random() < 0.5:
            first |= 0x40
            if self.random.random() < 0.05:
                payload = b"\0" * self.random.choice((1999, 2000, 2001, 90_000))
            payload = self.compressor.compress(payload)
            payload += self.compressor.flush(zlib.Z_SYNC_FLUSH)
            payload = payload[:-4]
        if self.random.random() < 0.6:
            return self.frame(first | 0x80, payload)
        data = b""
        for _ in range(self.random.randint(0, 4)):
            at = self.random.randint(0, len(payload))
            data += self.frame(first, payload[:at])
            first, payload = 0, payload[at:]
            if self.random.random() < 0.3:
                data += self.control()
        return data + self.frame(first | 0x80, payload)

    def spoilt(self, data: bytes) -> bytes:
        """Return what is one step away from what is right."""
        at = self.random.randrange(len(data))
        byte = data[at]
        if self.random.random() < 0.6:  # in a header, rather than in a payload
            at = min(self.random.choice((0, 0, 1, 2, 3)), len(data) - 1)
            byte = data[at] ^ (1 << self.random.randrange(8))
        ways: tuple[Callable[[], bytes], ...] = (
            lambda: data[:at] + bytes((byte,)) + data[at + 1 :],
            lambda: data[:at] + self.random.randbytes(2) + data[at + 1 :],
            lambda: data[:at] + data[at + 1 :],
            lambda: data[at:],
            lambda: self.frame(self.random.randrange(256), self.random.randbytes(9)),
            lambda: client_frame(0x81, b"open", mask=None),
            lambda: self.frame(self.random.choice((0x09, 0x88, 0x8A)), b"x" * 126),
            lambda: self.frame(self.random.choice((0x00, 0x80, 0x01)), b"odd"),
            lambda: self.random.randbytes(20),
        )
        return self.random.choice(ways)()


def stream(random: Random, compresses: bool) -> bytes:
    """Return what one client sends: right, or wrong from some point on."""
    client = _Client(random, compresses)
    wrong = random.random() < 0.6
    parts = []
    for _ in range(random.randint(1, 6)):
        data = client.control() if random.random() < 0.2 else client.message()
        if wrong and random.random() < 0.3:
            data = client.spoilt(data)
        parts.append(data)
    if random.random() < 0.4:
        parts.append(client.close())
    whole = b"".join(parts)
    if random.random() < 0.2:
        return whole[: random.randint(0, len(whole))]
    return whole


def cut(random: Random, data: bytes) -> list[bytes]:
    """Cut a stream: not, in a few places, in many, or into single bytes."""
    pieces = random.choice((1, 1, 2, 5, 30, len(data)))
    if pieces >= len(data):
        return [data[at : at + 1] for at in range(len(data))]
    places = sorted(random.randrange(len(data)) for _ in range(pieces - 1))
    return [
        data[start:stop]
        for start, stop in zip([0, *places], [*places, len(data)], strict=True)
    ]
