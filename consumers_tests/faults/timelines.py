"""A plot of a soak: what servers held over time, and when something was killed."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from consumers_tests.benchmarks.plots import MARGIN, WIDTH, document, line, text

from .steadiness import Mark, Sample

__all__ = ["draw", "read"]

MIB: Final = 1024 * 1024
LEFT, RIGHT = MARGIN + 50, WIDTH - 150
PANEL, GAP, LANE = 120, 42, 16
COLOURS: Final = "bacd"

PANELS: Final[Mapping[str, Callable[[Sample], float]]] = {
    "memory of its own, MiB": lambda sample: sample.memory / MIB,
    "tasks": lambda sample: sample.tasks,
    "open files": lambda sample: sample.files,
    "live connections": lambda sample: sample.connections,
}


class Scale(NamedTuple):
    """From values to places, evenly."""

    low: float
    high: float
    begin: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.begin + share * (self.end - self.begin), 1)

    def ticks(self, most: int) -> Iterator[float]:
        """Yield round values in between."""
        span = self.high - self.low
        steps = (base * 10**power for power in range(-3, 7) for base in (1, 2, 5))
        step = next(step for step in steps if span / step <= most)
        first = math.ceil(self.low / step)
        while first * step <= self.high:
            yield first * step
            first += 1


def draw(title: str, samples: Sequence[Sample], marks: Sequence[Mark]) -> str:
    """Return the plot as SVG: a panel for each figure, a curve for each server.

    Args:
        title: What is shown.
        samples: Of all servers, in the order of time.
        marks: What was killed; a lane for each kind.
    """
    servers = [*dict.fromkeys(sample.server for sample in samples)]
    last = max((sample.at for sample in samples), default=0) / 60
    across = Scale(0, max(last, 0.1), LEFT, RIGHT)
    parts = []
    for place, server in enumerate(servers):
        y = 60.0 + place * 20
        parts.append(_curve([(RIGHT + 20, y), (RIGHT + 44, y)], place))
        parts.append(text(RIGHT + 52, y + 4, server))
    top = 54.0
    for name, value in PANELS.items():
        parts += _panel(name, value, samples, across, top)
        top += PANEL + GAP
    kinds = [*dict.fromkeys(mark.what for mark in marks)]
    for place, kind in enumerate(kinds):
        y = top + place * LANE
        parts.append(line(LEFT, y, RIGHT, y, "line"))
        parts.append(text(RIGHT + 12, y + 4, kind, "dim"))
        for mark in marks:
            if mark.what == kind:
                x = across(mark.at / 60)
                parts.append(f'<circle cx="{x:g}" cy="{y:g}" r="3" class="ours"/>')
    top += len(kinds) * LANE
    for tick in across.ticks(12):
        parts.append(text(across(tick), top + 8, f"{tick:g}", "dim mid"))
    parts.append(text((LEFT + RIGHT) / 2, top + 28, "minutes", "dim mid"))
    return document(title, top + 44, parts)


def _panel(
    name: str,
    value: Callable[[Sample], float],
    samples: Sequence[Sample],
    across: Scale,
    top: float,
) -> Iterator[str]:
    most = max((value(sample) for sample in samples), default=1.0)
    up = Scale(0, max(most, 1.0) * 1.1, top + 14 + PANEL, top + 14)
    yield text(LEFT, top + 6, name, "head")
    for tick in up.ticks(5):
        yield line(LEFT, up(tick), RIGHT, up(tick), "line")
        yield text(LEFT - 8, up(tick) + 4, f"{tick:g}", "dim end")
    for place, server in enumerate(dict.fromkeys(one.server for one in samples)):
        points = [
            (across(sample.at / 60), up(value(sample)))
            for sample in samples
            if sample.server == server
        ]
        yield _curve(points, place)


def _curve(points: Sequence[tuple[float, float]], place: int) -> str:
    places = " ".join(f"{x:g},{y:g}" for x, y in points)
    colour = f"var(--{COLOURS[place % len(COLOURS)]})"
    return (
        f'<polyline points="{places}" fill="none" style="stroke: {colour}" '
        'stroke-width="1.5"/>'
    )


def read(file: Path) -> tuple[list[Sample], list[Mark]]:
    """Return what a run has written down so far."""
    samples, marks = [], []
    for said in file.read_text().splitlines():
        if '"server"' in said:
            samples.append(msgspec.json.decode(said, type=Sample))
        else:
            marks.append(msgspec.json.decode(said, type=Mark))
    return samples, marks


if __name__ == "__main__":
    # Of a run that was cut short, or is still going on.
    sys.stdout.write(draw("A soak", *read(Path(sys.argv[1]))))
