"""What the engine takes for a frame, in microseconds of the processor's time.

    python -m consumers_tests.server.frames.timed

In process, without a socket: the least of many series, what is made of it included.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Callable
from time import process_time
from typing import Final

from consumers.server.frames import (
    Frames,
    Handshake,
    answer_handshake,
    check_handshake,
    read_request,
)
from consumers_tests.server.frames.clients import client_frame
from consumers_tests.server.live import handshake

__all__ = ["CASES", "timed"]

TEXT: Final = 0x81
_SHORT: Final = client_frame(TEXT, b"x" * 24)
_LONG: Final = client_frame(TEXT, b"x" * 65_536)
_REQUEST: Final = handshake()

FED: Final = {
    "24 bytes, 16 in one read": ([_SHORT * 16], 16),
    "24 bytes, by itself": ([_SHORT], 1),
    "1 KiB": ([client_frame(TEXT, b"x" * 1024)], 1),
    "65,000 bytes in one read": ([client_frame(TEXT, b"x" * 65_000)], 1),
    "64 KiB in one read": ([_LONG], 1),
    "64 KiB in two": ([_LONG[:40_000], _LONG[40_000:]], 1),
    "a byte of 64 KiB that comes in single ones": (
        [_LONG[at : at + 1] for at in range(len(_LONG))],
        len(_LONG),
    ),
}
"""``{what it is: (what is read, one after the other; how many that are)}``."""


def _reading(parts: list[bytes]) -> Callable[[], None]:
    frames = Frames(1 << 20)

    def read() -> None:
        for part in parts:
            frames.feed(part)
        assert frames.messages
        frames.messages.clear()

    return read


def _shaking_hands() -> None:
    request = read_request(_REQUEST)
    assert request is not None
    asked = check_handshake(b"GET", request.headers)
    assert isinstance(asked, Handshake)
    answer_handshake(asked.key)


CASES: Final[dict[str, tuple[Callable[[], None], int]]] = {
    **{name: (_reading(parts), count) for name, (parts, count) in FED.items()},
    "handshake, read, checked and answered": (_shaking_hands, 1),
}
"""``{what it is: (a call; how many that are)}``."""


def timed(name: str, series: int, seconds: float) -> float:
    """Return the microseconds for one, in the best of so many series."""
    call, count = CASES[name]
    calls, best = 1, float("inf")
    while True:  # find out how many calls are long enough to be measured
        began = process_time()
        for _ in range(calls):
            call()
        took = process_time() - began
        if took >= seconds:
            break
        calls *= 2
    for _ in range(series):
        began = process_time()
        for _ in range(calls):
            call()
        best = min(best, process_time() - began)
    return 1e6 * best / calls / count


def main() -> None:
    """Run from the command line."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=30)
    options = parser.parse_args()
    for name in CASES:
        sys.stdout.write(f"{timed(name, options.series, 0.01):8.2f} {name}\n")


if __name__ == "__main__":
    main()
