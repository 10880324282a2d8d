"""Judges whether a server stays as it is for as long as it runs. Pure.

A sample tells what its process holds at a moment; of many, it is judged whether the
memory grows.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import combinations
from typing import Final

import msgspec

__all__ = [
    "LONG",
    "Mark",
    "Sample",
    "allowed",
    "growth",
    "more_blocks",
    "second_half",
    "slope",
]

KIB: Final = 1024
LONG: Final = 20.0
"""Minutes from which on a run tells whether memory grows slowly."""
STEADY: Final = 32.0
"""KiB per minute that count as nothing, in a long run: a mebibyte in half an hour.

Of what a server holds, an allocator may lose that much between its pages. With the load
of a soak it is some 50 bytes for each connection, and 20 for each message that a client
sends: the smallest object that could be forgotten is larger.
"""
WARMING: Final = 10 * 1024.0
"""KiB that a shorter run may take at once: caches are filling, such as that of answered
requests, which are remembered for five minutes, and an allocator takes its pages."""
_MOST: Final = 400
"""Samples that a slope is found from: it looks at each pair."""


class Sample(msgspec.Struct, frozen=True):
    """What a server's process held at a moment."""

    at: float
    """Seconds since the run began."""
    server: str
    memory: int
    """Bytes that are its own: neither files nor shared."""
    tasks: int
    files: int
    connections: int
    cpu: float
    """Seconds of the processor's time so far."""
    blocks: int = 0
    """Of memory that objects have. Unlike the memory itself they are given back when
    objects go, whatever page they were on."""


class Mark(msgspec.Struct, frozen=True):
    """Something was killed."""

    at: float
    what: str


def second_half(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples from the middle of the time on."""
    if not samples:
        return []
    middle = (samples[0].at + samples[-1].at) / 2
    return [sample for sample in samples if sample.at >= middle]


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return how fast it grows: the median of the slopes between any two points.

    Not least squares: a moment when a killed server's clients all came here at once is
    a step up and down again, which leaves the median where it is.
    """
    every = -(-len(points) // _MOST) or 1
    some = points[::every]
    slopes = [
        (y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(some, 2) if x2 > x1
    ]
    return statistics.median(slopes) if slopes else 0.0


def growth(samples: Sequence[Sample]) -> float:
    """Return by how many KiB per minute the memory grows, over the second half."""
    points = [(one.at / 60, one.memory / KIB) for one in second_half(samples)]
    return slope(points)


def more_blocks(samples: Sequence[Sample]) -> float:
    """Return by how many blocks per minute its objects grow, over the second half."""
    return slope([(one.at / 60, float(one.blocks)) for one in second_half(samples)])


def allowed(minutes: float) -> float:
    """Return the KiB per minute that the memory may grow by in so long a run."""
    return STEADY if minutes >= LONG else STEADY + WARMING / minutes
