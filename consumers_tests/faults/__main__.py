"""The command line: runs scenarios, prints tables, writes them to files."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from . import broker, chat, churn, restarts, server, slow, soak
from .processes import BACKENDS, ROOT, FaultError
from .report import Outcome, page

__all__ = ["SCENARIOS", "main"]


@dataclass(frozen=True)
class Scenario:
    """What can be run."""

    what: str
    run: Callable[[argparse.Namespace, str, int, str], Outcome]
    """With the options, a backend, a seed and the guard that is taken out."""
    controls: Sequence[str]
    """The guards: each has one run without it."""
    seeds: int = 1
    """In the long form."""
    together: bool = False
    """Whether one run has servers on all backends."""


def load(options: argparse.Namespace) -> broker.Load:
    """Return how much goes on where clients count what they get."""
    return broker.Load(
        options.clients or 500, options.publications, options.groups, options.rate
    )


def _broker(
    run: Callable[[str, int, broker.Load, str], Outcome],
) -> Callable[[argparse.Namespace, str, int, str], Outcome]:
    return lambda options, backend, seed, control: run(
        backend, seed, load(options), control
    )


def _slow(
    options: argparse.Namespace, backend: str, seed: int, control: str
) -> Outcome:
    reading = slow.Reading(clients=options.clients or 1000, rate=options.rate)
    return slow.slow(backend, seed, reading, control)


def _churn(
    run: Callable[[str, int, churn.Churning, str, str], Outcome],
    layer: str,
    options: argparse.Namespace,
    backend: str,
    seed: int,
    control: str,
) -> Outcome:
    return run(backend, seed, churn.Churning(), control, layer)


def _restarts(
    options: argparse.Namespace, backend: str, seed: int, control: str
) -> Outcome:
    rolling = restarts.Rolling(options.clients or 500, options.restarts)
    return restarts.restarts(backend, seed, rolling, control)


def _chat(
    layer: str, options: argparse.Namespace, backend: str, seed: int, control: str
) -> Outcome:
    talking = chat.Talking(cycles=options.cycles)
    if control:
        talking = chat.Talking(cycles=min(options.cycles, 20), patience=10.0)
    return chat.talk(backend, seed, talking, control, layer)


def _soak(
    options: argparse.Namespace, backend: str, seed: int, control: str
) -> Outcome:
    load = soak.Load(members=options.clients or soak.Load.members)
    minutes = min(options.minutes, 4.0) if control else options.minutes
    soaking = soak.Soaking(minutes=minutes, every=options.every, load=load)
    if not control:
        plot = ROOT / "docs/images/soak.svg" if options.out else None
        soaking = replace(soaking, samples=options.samples, plot=plot)
    return soak.soak(backend, seed, soaking, control)


SCENARIOS = {
    "broker-killed": Scenario(
        "The broker is killed by `kill -9` in the middle and restarted after 2 s, with "
        "its append-only file",
        _broker(broker.killed),
        ["following"],
        seeds=20,
    ),
    "broker-wiped": Scenario(
        "The same, and its data is gone",
        _broker(broker.wiped),
        ["telling"],
        seeds=3,
    ),
    "broker-set-back": Scenario(
        "The same, and the end of its file is gone",
        _broker(broker.set_back),
        ["telling"],
        seeds=3,
    ),
    "link-stalled": Scenario(
        "The link to the broker stalls, and is cut in half of the runs",
        _broker(broker.stalled),
        ["following"],
        seeds=10,
    ),
    "server-killed": Scenario(
        "One of two servers is killed by `kill -9` under load",
        _broker(server.killed),
        ["positions", "leases"],
        seeds=6,
    ),
    "restarts": Scenario(
        "Two processes are restarted in turns by SIGTERM, while clients publish what "
        "is acknowledged, and others read nothing",
        _restarts,
        ["order"],
    ),
    "slow-reader": Scenario(
        "One of the members stops reading", _slow, ["bounds", "groups"], seeds=1
    ),
    "churn-memory": Scenario(
        "Clients join and leave, come and go",
        partial(_churn, churn.churn, "memory"),
        ["yielding"],
    ),
    "churn-redis": Scenario(
        "The same, by a broker",
        partial(_churn, churn.churn, "redis"),
        ["yielding", "unsubscribing"],
    ),
    "groups-memory": Scenario(
        "10,000 groups with few members each, or one",
        partial(_churn, churn.spread_out, "memory"),
        [],
    ),
    "groups-redis": Scenario(
        "The same, by a broker", partial(_churn, churn.spread_out, "redis"), []
    ),
    "soak": Scenario(
        "Mixed load, while clients, servers and broker are killed in turns; two "
        "servers live through all of it",
        _soak,
        ["following", "forgetting"],
        together=True,
    ),
    "chat": Scenario(
        "Two people talk in Chromium, over links that break, with a server that is "
        "killed or restarted, by a broker",
        partial(_chat, "redis"),
        ["positions", "keys"],
    ),
    "chat-memory": Scenario(
        "The same without a broker, where only the links break",
        partial(_chat, "memory"),
        ["positions"],
    ),
}


def parser() -> argparse.ArgumentParser:
    """Return the command line's options."""
    made = argparse.ArgumentParser(
        prog="python -m consumers_tests.faults",
        description="Break things on purpose, and judge what clients get.",
    )
    made.add_argument("scenario", nargs="*", metavar="SCENARIO", help="default: all")
    made.add_argument("--seeds", type=int, help="how many; each has its own default")
    made.add_argument("--first-seed", type=int, default=0)
    made.add_argument(
        "--backends", default="uvloop,trio", help=f"of {', '.join(BACKENDS)}"
    )
    made.add_argument("--clients", type=int)
    made.add_argument("--publications", type=int, default=10_000)
    made.add_argument("--groups", type=int, help="default: the seed says")
    made.add_argument("--rate", type=float, help="default: what two CPUs can carry")
    made.add_argument(
        "--cycles", type=int, default=200, help="of the chat: how often it breaks"
    )
    made.add_argument(
        "--restarts", type=int, default=10, help="of processes, in a rolling deploy"
    )
    made.add_argument("--minutes", type=float, default=60.0, help="of the soak")
    made.add_argument(
        "--every", type=float, default=30.0, help="of the soak: seconds between kills"
    )
    made.add_argument(
        "--samples", type=Path, help="of the soak: file to write them to as they come"
    )
    made.add_argument("--no-controls", action="store_true")
    made.add_argument("--out", type=Path, help="folder to write the results to")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns 1 where something did not go as it should."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = parser().parse_args(given)
    names = options.scenario or [*SCENARIOS]
    backends = options.backends.split(",")
    for unknown in {*names} - {*SCENARIOS} | {*backends} - {*BACKENDS}:
        parser().error(
            f"expected some of {[*SCENARIOS]} and {[*BACKENDS]}, got {unknown!r}"
        )
    right = True
    for name in names:
        begun = time.monotonic()
        outcomes: dict[str, list[Outcome]] = {}
        text = ""
        for backend in ["all"] if SCENARIOS[name].together else backends:
            for outcome in _outcomes(name, backend, options):
                outcomes.setdefault(backend, []).append(outcome)
                took = time.monotonic() - begun
                text = page(name, SCENARIOS[name].what, given, outcomes, took)
                # After each, so that a run that is cut short leaves what it has.
                if options.out is not None:
                    options.out.mkdir(parents=True, exist_ok=True)
                    (options.out / f"{name}.md").write_text(text)
        print(text, flush=True)
        right &= all(one.as_it_should for some in outcomes.values() for one in some)
    return int(not right)


def _outcomes(
    name: str, backend: str, options: argparse.Namespace
) -> Iterator[Outcome]:
    scenario = SCENARIOS[name]
    count = scenario.seeds if options.seeds is None else options.seeds
    first = options.first_seed
    plans = [(seed, "") for seed in range(first, first + count)]
    if not options.no_controls:
        # A seed with more than one group, where the control costs less.
        plans += [(first + 1, control) for control in scenario.controls]
    for seed, control in plans:
        begun = time.monotonic()
        try:
            outcome = scenario.run(options, backend, seed, control)
        except FaultError as error:
            problems = [str(error)[-500:]]
            outcome = Outcome(backend, seed, {}, problems, control, broken=True)
        outcome.cells["took, s"] = time.monotonic() - begun
        clock = time.strftime("%H:%M:%S")
        print(f"{clock} {name} {backend} {seed}: {outcome.says()}", file=sys.stderr)
        yield outcome


if __name__ == "__main__":
    # So that whoever ends this ends what it has started, too.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    sys.exit(main())
