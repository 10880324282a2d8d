"""Tables of what was measured, and of the machine that it was measured on."""

import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from consumers_tests.benchmarks.jobs import Sample
from consumers_tests.benchmarks.measure import Pair

LIBRARIES = ("uvicorn", "websockets", "uvloop", "starlette", "channels", "msgspec")


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
    lines = [
        f"### {title}",
        "",
        f"| peer | {unit} | ratio | min-max | per s | client busy |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    ranked = sorted(rows.items(), key=lambda row: -_ratio(row[1]))
    lines += [_row(name, pairs) for name, pairs in ranked]
    return "\n".join(lines)


def _ratio(pairs: Sequence[Pair]) -> float:
    return statistics.median(pair.ratio for pair in pairs) if pairs else 0.0


def _row(name: str, pairs: Sequence[Pair]) -> str:
    if not pairs:
        return f"| {name} | failed | | | | |"
    ratios = [pair.ratio for pair in pairs]
    cells = [
        _median(pairs, lambda sample: sample.cost, ".2f"),
        f"**{_ratio(pairs):.2f}**",
        f"{min(ratios):.2f}-{max(ratios):.2f}",
        _median(pairs, lambda sample: sample.rate, ",.0f"),
        _median(pairs, lambda sample: sample.busy, ".2f"),
    ]
    return f"| {name} | " + " | ".join(cells) + " |"


def _median(
    pairs: Sequence[Pair], field: Callable[[Sample], float | None], style: str
) -> str:
    values = [value for pair in pairs if (value := field(pair.peer)) is not None]
    return format(statistics.median(values), style) if values else "-"
