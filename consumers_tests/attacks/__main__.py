"""The command line: attacks each server, prints a table and writes it to a page."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from consumers_tests.faults.processes import BACKENDS

from .assaults import ASSAULTS, CONTROL, Assault
from .stage import Outcome, run

__all__ = ["main"]

HEAD = """\
| attack | server | bystander, longest | median | echoes | memory | seconds | |
| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns 1 where something did not go as it should."""
    parser = argparse.ArgumentParser(prog="python -m consumers_tests.attacks")
    parser.add_argument("attack", nargs="*", help=f"of {', '.join(ASSAULTS)}")
    parser.add_argument("--loops", default=",".join(BACKENDS))
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--out", type=Path, help="a file for the table")
    options = parser.parse_args(arguments)
    names = options.attack or [*ASSAULTS]
    lines, right = [], True
    for loop in options.loops.split(","):
        for name in names:
            one = ASSAULTS[name]
            outcome = run(one, loop, options.scale)
            right &= not outcome.problems
            lines.append(line(name, loop, outcome, "; ".join(outcome.problems)))
            if one.has_control:
                right &= control(f"{name}, no guard", one, loop, options.scale, lines)
        if not options.attack:
            right &= control("a held event loop", CONTROL, loop, options.scale, lines)
    if options.out is not None:
        load = os.getloadavg()[0]
        about = f"Python {platform.python_version()}, {os.cpu_count()} processors"
        text = f"{about}, load {load:.1f} at the end.\n\n{HEAD}{''.join(lines)}"
        options.out.write_text(text)
    return int(not right)


def control(name: str, one: Assault, loop: str, scale: float, lines: list[str]) -> bool:
    """Run without the guard; tell whether that is noticed."""
    outcome = run(one, loop, scale * one.control, guarded=False)
    said = "; ".join(outcome.problems) or "**not noticed**"
    lines.append(line(name, loop, outcome, f"control: {said}"))
    return bool(outcome.problems)


def line(name: str, loop: str, outcome: Outcome, said: str) -> str:
    """Return a line of the table, and print it."""
    made = (
        f"| {name} | {loop} | {1000 * outcome.longest:.0f} ms "
        f"| {1000 * outcome.median:.1f} ms | {outcome.echoes} "
        f"| {outcome.grown:+.0f} MiB | {outcome.seconds:.1f} | {said or 'held'} |\n"
    )
    print(made, end="", flush=True)
    return made


if __name__ == "__main__":
    # So that whoever ends this ends what it has started, too.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    sys.exit(main())
