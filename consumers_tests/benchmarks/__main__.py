"""The command line: measures round by round, and tells what came of it."""

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from consumers_tests.benchmarks import contests, report
from consumers_tests.benchmarks.catalogue import CORE, WORKLOADS
from consumers_tests.benchmarks.contests import Contest, chosen
from consumers_tests.benchmarks.kept import keep
from consumers_tests.benchmarks.measure import MeasurementError, Pair, measure
from consumers_tests.benchmarks.processes import ServerError, open_many_files
from consumers_tests.benchmarks.report import Row
from consumers_tests.benchmarks.revisions import RevisionError, checked_out
from consumers_tests.benchmarks.servers import SERVERS, STOCK

MOST_SECONDS = 3.0
Todo = Mapping[str, Sequence[Contest]]
Results = dict[str, dict[str, Row]]


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
    made.add_argument(
        "--only",
        default="",
        help="peers: parts of names, with commas; a whole name means itself alone",
    )
    made.add_argument(
        "--loads",
        default=",".join(CORE),
        help=f"workloads: likewise; '' for all of {', '.join(WORKLOADS)}; "
        "default: %(default)s",
    )
    made.add_argument("--keep", metavar="NAME", help="write docs/…/benchmarks/NAME.md")
    how = made.add_mutually_exclusive_group()
    how.add_argument(
        "--server",
        choices=SERVERS,
        default=STOCK,
        help="what serves peers that bring none; the reference stays where it is",
    )
    how.add_argument(
        "--pairs",
        nargs="?",
        const="consumers",
        metavar="PEER",
        help="head to head: this one beside each other one; default: %(const)s",
    )
    how.add_argument(
        "--against",
        metavar="REVISION",
        help="ours as they are and as they were at this commit, in the same run; "
        "returns 1 if something has become slower",
    )
    return made


@contextmanager
def contests_of(options: argparse.Namespace) -> Iterator[Todo]:
    """Tell who is measured beside whom, workload by workload.

    Raises:
        RevisionError: There is no such commit to measure against.
    """
    loads, only = chosen([*WORKLOADS], options.loads), options.only
    if options.against:
        with checked_out(options.against) as tree:
            yield {
                load: contests.between_trees(WORKLOADS[load].peers, only, tree)
                for load in loads
            }
    elif options.pairs:
        yield {
            load: contests.head_to_head(WORKLOADS[load].peers, only, options.pairs)
            for load in loads
        }
    else:
        yield {
            load: contests.beside(WORKLOADS[load].peers, only, SERVERS[options.server])
            for load in loads
        }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print.

    Returns 1 when a peer failed, or when something has become slower than at the
    commit that was named; 2 on a wrong argument.
    """
    given = sys.argv[1:] if arguments is None else arguments
    options = parser().parse_args(given)
    open_many_files()
    try:
        with contests_of(options) as found:
            todo = {load: rows for load, rows in found.items() if rows}
            if not todo:
                everyone = {p.name for each in WORKLOADS.values() for p in each.peers}
                parser().error(
                    f"expected some of {sorted(everyone)} and {[*WORKLOADS]}, got none"
                )
            print(f"{report.machine()}\n", flush=True)
            results, failed = run(todo, options.rounds, options.seconds)
    except RevisionError as error:
        parser().error(str(error))
    slower: list[str] = []
    if options.against:
        changes, slower = report.changed(results)
        tables = [f"Against {options.against}:", changes]
    else:
        tables = [*_tables(results, options.pairs)]
        if len(results) > 1 and not options.pairs:
            units = {load: WORKLOADS[load].unit for load in results}
            tables.insert(0, report.matrix(results, units))
    tables.append(_explained(options))
    print("\n\n".join(tables))
    if options.keep:
        plotted = {} if options.against or options.pairs else results
        for path in keep(options.keep, given, tables, plotted):
            print(f"Written: {path}", file=sys.stderr)
    if slower:
        print(f"Slower: {'; '.join(slower)}", file=sys.stderr)
    return int(failed or bool(slower))


def run(todo: Todo, rounds: int, length: float) -> tuple[Results, bool]:
    """Measure all, round by round; return what came of it, and if something failed.

    What is not there is told in its row. Ctrl+C ends the rounds, not the report.
    """
    pairs: dict[str, dict[str, list[Pair]]] = {}
    results: Results = {}
    failed = False
    for load, rows in todo.items():
        pairs[load] = {row.label: [] for row in rows if not row.missing()}
        results[load] = {
            row.label: pairs[load].get(row.label)
            or f"not here: {', '.join(row.missing())}"
            for row in rows
        }
    try:
        for number in range(1, rounds + 1):
            for load, rows in todo.items():
                for row in rows:
                    if row.label not in pairs[load]:
                        continue
                    try:
                        pair = measure(WORKLOADS[load], row, length)
                    except (MeasurementError, ServerError) as error:
                        failed = True
                        print(f"{row.label}, {load}: {error}", file=sys.stderr)
                    else:
                        pairs[load][row.label].append(pair)
            clock = time.strftime("%H:%M:%S")
            print(f"{clock} round {number} of {rounds}", file=sys.stderr)
    except KeyboardInterrupt:
        print("Interrupted: this is what there is", file=sys.stderr)
    for load, measured in pairs.items():
        for label, found in measured.items():
            results[load][label] = found or "failed"
    return results, failed


def _tables(results: Results, named: str | None) -> Iterator[str]:
    for load, rows in results.items():
        workload = WORKLOADS[load]
        if named:
            yield report.won(f"**{workload.title}**", named, rows)
        else:
            title = f"**{workload.title}, against: {workload.reference.name}**"
            yield report.table(title, workload.unit, rows)


def _explained(options: argparse.Namespace) -> str:
    rounds = f"{options.rounds} rounds of {options.seconds} s."
    if options.against:
        return (
            f"{rounds} The ratio is the cost of what was to the cost of what is, "
            "measured in turns: above 1 is faster. The noise is what the same code "
            "measured beside itself."
        )
    if options.pairs:
        return (
            f"{rounds} The ratio is the other's cost to that of {options.pairs}, in "
            "turns: above 1 is cheaper, and a round won."
        )
    return (
        f"{options.server}, but where a row says otherwise; {rounds} The ratio is the "
        "cost of the one named above the table to the peer's, measured in turns with "
        "it: median and range of the rounds. Rates and delays mean something only on a "
        "quiet machine."
    )


if __name__ == "__main__":
    sys.exit(main())
