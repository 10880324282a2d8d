"""The command line: measures round by round, prints a table per workload."""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence

from consumers_tests.benchmarks import report
from consumers_tests.benchmarks.catalogue import SERVERS, STOCK, WORKLOADS, Peer
from consumers_tests.benchmarks.measure import MeasurementError, Pair, measure
from consumers_tests.benchmarks.processes import ServerError

MOST_SECONDS = 3.0


def positive(text: str) -> int:
    """Read a number of rounds."""
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, got {number}")
    return number


def seconds(text: str) -> float:
    """Read a length of time that ends before servers begin to ping."""
    if not 0 < (number := float(text)) <= MOST_SECONDS:
        raise argparse.ArgumentTypeError(
            f"must be above 0 and at most {MOST_SECONDS:.0f}, got {number}"
        )
    return number


def parser() -> argparse.ArgumentParser:
    """Return the command line's options."""
    made = argparse.ArgumentParser(
        prog="python -m consumers_tests.benchmarks",
        description="Compare this framework with its peers, message by message.",
    )
    made.add_argument("--rounds", type=positive, default=3, help="default: 3")
    made.add_argument(
        "--seconds",
        type=seconds,
        default=1.0,
        help="measured time of each workload, peer and round; default: 1",
    )
    made.add_argument("--server", choices=SERVERS, default=STOCK)
    made.add_argument("--only", default="", help="peers: parts of names, with commas")
    made.add_argument("--loads", default="", help="workloads: likewise")
    return made


def chosen(names: Sequence[str], parts: str) -> list[str]:
    """Return the names that contain one of the parts, whatever their case."""
    wanted = parts.lower().split(",")
    return [name for name in names if any(part in name.lower() for part in wanted)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print; returns 1 when a peer failed, 2 on a wrong argument."""
    options = parser().parse_args(arguments)
    loads = chosen([*WORKLOADS], options.loads)
    todo = {load: _peers(load, options.only) for load in loads}
    if not any(todo.values()):
        everyone = {peer.name for each in WORKLOADS.values() for peer in each.peers}
        parser().error(
            f"expected some of {sorted(everyone)} and {[*WORKLOADS]}, got none"
        )
    command = SERVERS[options.server]
    pairs: dict[str, dict[str, list[Pair]]] = {
        load: {peer.name: [] for peer in peers} for load, peers in todo.items()
    }
    failed = False
    print(f"{report.machine()}\n")
    for number in range(1, options.rounds + 1):
        for load, peers in todo.items():
            for peer in peers:
                try:
                    pair = measure(command, WORKLOADS[load], peer, options.seconds)
                except (MeasurementError, ServerError) as error:
                    failed = True
                    print(f"{peer.name}, {load}: {error}", file=sys.stderr)
                else:
                    pairs[load][peer.name].append(pair)
        clock = time.strftime("%H:%M:%S")
        print(f"{clock} round {number} of {options.rounds}", file=sys.stderr)
    for load, rows in pairs.items():
        if rows:
            _print(load, rows)
    print(
        f"{options.server}, {options.rounds} rounds of {options.seconds} s. The ratio "
        "is the cost of the one named above the table to the peer's, measured in turns "
        "with it: median and range of the rounds. Rates and delays mean something only "
        "on a quiet machine."
    )
    return int(failed)


def _peers(load: str, parts: str) -> list[Peer]:
    peers = {peer.name: peer for peer in WORKLOADS[load].peers}
    return [peers[name] for name in chosen([*peers], parts)]


def _print(load: str, rows: Mapping[str, Sequence[Pair]]) -> None:
    workload = WORKLOADS[load]
    unit = "KiB" if workload.plan.kind == "memory" else "CPU, us"
    title = f"{workload.title}, against: {workload.reference.name}"
    print(report.table(title, unit, rows), end="\n\n")


if __name__ == "__main__":
    sys.exit(main())
