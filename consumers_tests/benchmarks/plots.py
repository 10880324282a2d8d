"""Plots of what was measured, as SVG that is readable in the light and in the dark."""

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import NamedTuple

from consumers_tests.benchmarks.report import Span

__all__ = [
    "MARGIN",
    "WIDTH",
    "Panel",
    "Point",
    "curves",
    "document",
    "dots",
    "line",
    "rule",
    "text",
]

# The colours come from the reader's settings; the card behind them makes it certain
# that they fit, whatever the page around it looks like.
STYLE = """
svg { --card: #ffffff; --ink: #1f2328; --dim: #6a737d; --line: #d5d9de; --ours: #b3401a;
  --theirs: #3a6ea5; --a: #b3401a; --b: #1f6fb5; --c: #2f7d4f; --d: #8a5cc2;
  --e: #9a6b00; --f: #b0387a; --g: #55606b }
@media (prefers-color-scheme: dark) { svg { --card: #16191d; --ink: #e3e6ea;
  --dim: #9aa4ae; --line: #3a424b; --ours: #f08a5d; --theirs: #7fb2e5; --a: #f08a5d;
  --b: #6cb2f2; --c: #72c796; --d: #b99af0; --e: #e0b64a; --f: #ef86bd; --g: #b3bcc5 } }
text { font: 12px system-ui, sans-serif; fill: var(--ink) }
.head { font-weight: 600 } .dim { fill: var(--dim) } .end { text-anchor: end }
.mid { text-anchor: middle } .card { fill: var(--card) }
.line { stroke: var(--line) } .one { stroke: var(--dim); stroke-dasharray: 3 3 }
.ours { fill: var(--ours); stroke: var(--ours) }
.theirs { fill: var(--theirs); stroke: var(--theirs) }
""".strip()
COLOURS = "abcdefg"
WIDTH, MARGIN = 960, 20
ROW, TITLE, AXIS = 17, 44, 28
LETTER = 6.6  # about as wide as one is on average, in this font
FIGURES = 40  # right of a panel's dots


class Panel(NamedTuple):
    """Ratios under one title, the best first."""

    title: str
    rows: Mapping[str, Span]


class Point(NamedTuple):
    """A place on a curve, with the costs of all rounds."""

    at: float
    cost: Span


class _Scale(NamedTuple):
    """Logarithms, from values to places."""

    low: float
    high: float
    begin: float
    end: float

    def __call__(self, value: float) -> float:
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return round(self.begin + share * (self.end - self.begin), 1)

    def ticks(self) -> Iterator[float]:
        """Yield the round values in between; fewer if there are many."""
        decades = math.log10(self.high / self.low)
        steps = (1, 2, 5) if decades < 2.5 else (1, 3) if decades < 4 else (1,)
        for power in range(-4, 8):
            for step in steps:
                if self.low <= step * 10.0**power <= self.high:
                    yield step * 10.0**power


def dots(title: str, panels: Sequence[Panel]) -> str:
    """Return a plot of ratios: a panel for each workload, a line for each peer.

    Args:
        title: What is compared with what.
        panels: All share one axis. Names that begin with "consumers" are marked.
    """
    spans = [span for panel in panels for span in panel.rows.values()]
    low = min(0.5, *(span.low for span in spans)) / 1.1
    high = max(2.0, *(span.high for span in spans)) * 1.1
    columns = 2 if len(panels) > 1 else 1
    width = (WIDTH - MARGIN * (columns + 1)) / columns
    names = max(len(name) for panel in panels for name in panel.rows) * LETTER
    parts: list[str] = []
    top = 54.0
    for begin in range(0, len(panels), columns):
        beside = panels[begin : begin + columns]
        for place, panel in enumerate(beside):
            left = MARGIN + place * (width + MARGIN)
            scale = _Scale(low, high, left + names + 12, left + width - FIGURES)
            parts += _panel(panel, scale, left, top)
        top += max(len(panel.rows) for panel in beside) * ROW + TITLE + AXIS
    return document(title, top, parts)


def _panel(panel: Panel, scale: _Scale, left: float, top: float) -> Iterator[str]:
    yield text(left, top + 14, panel.title, "head")
    first = top + TITLE - 14
    bottom = first + len(panel.rows) * ROW
    for tick in scale.ticks():
        yield line(scale(tick), first, scale(tick), bottom, "line")
        yield text(scale(tick), bottom + 15, f"{tick:g}", "dim mid")
    yield line(scale(1), first, scale(1), bottom, "one")
    for number, (name, span) in enumerate(panel.rows.items()):
        y = first + number * ROW + ROW / 2
        kind = "ours" if name.startswith("consumers") else "theirs"
        yield text(scale.begin - 8, y + 4, name, "end")
        yield line(scale(span.low), y, scale(span.high), y, kind)
        yield f'<circle cx="{scale(span.middle)}" cy="{y}" r="3.5" class="{kind}"/>'
        yield text(scale.end + 6, y + 4, f"{span.middle:.2f}", "dim")


def curves(
    title: str, axis: str, unit: str, series: Mapping[str, Sequence[Point]]
) -> str:
    """Return a plot of how costs grow, a curve for each peer.

    Args:
        title: What is measured.
        axis: What grows.
        unit: What the costs are counted in.
        series: {peer: its points, from left to right}.
    """
    points = [point for each in series.values() for point in each]
    low = min(point.cost.low for point in points) / 1.5
    high = max(point.cost.high for point in points) * 1.5
    ats = [point.at for point in points]
    height, top = 380.0, 54.0
    across = _Scale(min(ats) / 1.2, max(ats) * 1.2, MARGIN + 50, WIDTH - 270)
    up = _Scale(low, high, top + height, top + 20)
    parts = [text(MARGIN, top, unit, "dim")]
    for tick in up.ticks():
        parts.append(line(across.begin, up(tick), across.end, up(tick), "line"))
        parts.append(text(across.begin - 8, up(tick) + 4, f"{tick:g}", "dim end"))
    for at in sorted(set(ats)):
        parts.append(line(across(at), up.begin, across(at), up.end, "line"))
        parts.append(text(across(at), up.begin + 18, f"{at:,.0f}", "dim mid"))
    parts.append(text((across.begin + across.end) / 2, up.begin + 38, axis, "dim mid"))
    for number, (name, each) in enumerate(series.items()):
        colour = f"var(--{COLOURS[number % len(COLOURS)]})"
        parts += _curve(each, across, up, colour)
        y = up.end + 12 + number * 20
        parts.append(rule(across.end + 20, y, across.end + 44, y, colour))
        parts.append(text(across.end + 52, y + 4, name))
    return document(title, up.begin + 50, parts)


def _curve(
    points: Sequence[Point], across: _Scale, up: _Scale, colour: str
) -> Iterator[str]:
    places = " ".join(f"{across(p.at)},{up(p.cost.middle)}" for p in points)
    yield (
        f'<polyline points="{places}" fill="none" style="stroke: {colour}" '
        'stroke-width="2"/>'
    )
    for at, cost in points:
        x = across(at)
        yield rule(x, up(cost.low), x, up(cost.high), colour)
        yield f'<circle cx="{x}" cy="{up(cost.middle)}" r="3" style="fill: {colour}"/>'


def document(title: str, height: float, parts: Sequence[str]) -> str:
    """Return a whole SVG, with a title above its parts."""
    size = f'viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" height="{height:.0f}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="card" width="{WIDTH}" height="{height:.0f}" rx="8"/>',
        text(MARGIN, 30, title, "head"),
        *parts,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def text(x: float, y: float, said: str, kind: str = "") -> str:
    """Return a text; ``kind``: classes of the style."""
    return f'<text x="{x:g}" y="{y:g}" class="{kind}">{escape(said)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """Return a thin line of a kind in the style."""
    return f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" class="{kind}"/>'


def rule(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    """Return a line in a colour of its own."""
    place = f'x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}"'
    return f'<line {place} style="stroke: {colour}" stroke-width="2"/>'
