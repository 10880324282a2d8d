"""What of a run is kept in the documentation: a file of tables, and its plots."""

import shlex
import statistics
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from consumers_tests.benchmarks import plots, report
from consumers_tests.benchmarks.catalogue import WORKLOADS, Curve
from consumers_tests.benchmarks.measure import Pair
from consumers_tests.benchmarks.processes import ROOT
from consumers_tests.benchmarks.report import Row, Span

__all__ = ["keep"]

Results = Mapping[str, Mapping[str, Row]]

KEPT = ("docs/project/benchmarks", "docs/images/benchmark-*")
"""What runs leave in the tree."""


def keep(
    name: str,
    arguments: Sequence[str],
    tables: Sequence[str],
    results: Results,
    folder: Path = ROOT / "docs",
) -> list[Path]:
    """Write the tables and the plots of a run; return the files.

    Args:
        name: `project/benchmarks/NAME.md`, `images/benchmark-NAME….svg`.
        arguments: The command line of the run.
        tables: What was printed.
        results: What was measured, to be plotted; empty: nothing is.
        folder: That of the documentation.
    """
    page = folder / "project" / "benchmarks" / f"{name}.md"
    page.parent.mkdir(parents=True, exist_ok=True)
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    drawn = {f"benchmark-{name}{plot.suffix}.svg": plot for plot in _plots(results)}
    for file, plot in drawn.items():
        (images / file).write_text(plot.drawn)
    command = shlex.join(["make", "bench", f"ARGS={shlex.join(arguments)}"])
    shown = [f"![{plot.title}](../../images/{file})" for file, plot in drawn.items()]
    parts = [f"`{command}` at {_commit()}.", report.machine(), *shown, *tables]
    page.write_text("\n\n".join(parts) + "\n")
    return [page, *(images / file for file in drawn)]


class _Plot(NamedTuple):
    suffix: str
    title: str
    drawn: str


def _plots(results: Results) -> Iterator[_Plot]:
    """Draw the ratios of all workloads, and each curve that some are points of."""
    panels = []
    lines: dict[Curve, dict[str, list[plots.Point]]] = {}
    for load, rows in results.items():
        workload = WORKLOADS[load]
        measured = {
            peer: pairs for peer, pairs in rows.items() if not isinstance(pairs, str)
        }
        if workload.curve is not None:
            for peer, pairs in measured.items():
                point = plots.Point(workload.plan.connections, _cost(pairs))
                series = lines.setdefault(workload.curve, {})
                series.setdefault(peer, []).append(point)
        elif measured:
            panels.append(_panel(load, measured))
    if panels:
        title = "CPU of the reference to the peer's: more is better"
        yield _Plot("", title, plots.dots(title, panels))
    for curve, series in lines.items():
        title = f"CPU of the server by the number of {curve.axis}"
        drawn = plots.curves(title, curve.axis, curve.unit, series)
        yield _Plot(f"-{curve.name}", title, drawn)


def _panel(load: str, measured: Mapping[str, Sequence[Pair]]) -> plots.Panel:
    memory = WORKLOADS[load].plan.kind == "memory"
    title = f"{load}: memory to the reference's, less is better" if memory else load
    ranked = sorted(measured.items(), key=report.rank)
    spans = {peer: report.span(pairs, memory=memory) for peer, pairs in ranked}
    return plots.Panel(title, spans)


def _cost(pairs: Sequence[Pair]) -> Span:
    costs = [pair.peer.cost for pair in pairs]
    return Span(min(costs), statistics.median(costs), max(costs))


def _commit() -> str:
    """Return which commit ran, and if it was another one; "no commit": no checkout."""
    commit = _git("describe", "--always", "--abbrev=10")
    # What an earlier run has left is no change.
    changed = _git("status", "--porcelain", "--", ".", *(f":!{path}" for path in KEPT))
    return f"{commit or 'no commit'}{'-dirty' if changed else ''}"


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()
