"""The broker is killed, loses its data, or can't be reached, under load."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random

from .jobs import Judged, Open, Publish, Settings
from .processes import Server
from .report import Outcome
from .stage import Publisher, Stage, total, until

__all__ = ["Load", "killed", "set_back", "stalled", "wiped"]

DELIVERIES = {"asyncio": 40_000, "uvloop": 60_000, "trio": 6_000}
"""Per second, to all clients together: what two CPUs carry, clients included."""
MOST_DELIVERIES = {"asyncio": 5_000_000, "uvloop": 5_000_000, "trio": 500_000}
"""In a run: with more there are fewer publications, so that it ends in two minutes."""
GROUPS = {"asyncio": (5, 10, 20), "uvloop": (5, 10, 20), "trio": (20, 50)}
"""How many there are, where not all are in one."""
LEAST_SECONDS = 6.0
"""Of publishing, so that there is load before and after."""


@dataclass(frozen=True)
class Load:
    """How much goes on in a run."""

    clients: int = 500
    publications: int = 10_000
    groups: int | None = None
    """``None``: the seed says; every fifth run has all in one group."""
    rate: float | None = None
    """Publications per second; ``None``: what the machine can carry."""
    down: float = 2.0
    """Seconds that the broker is away."""
    lease: float = 3.0
    """Seconds, of presence and of sources."""


class Run:
    """Two servers, a crowd, and publishers, as the seed says."""

    def __init__(
        self,
        stage: Stage,
        load: Load,
        random: Random,
        seed: int,
        *,
        path: str = "",
        resume: bool = True,
    ) -> None:
        self.stage = stage
        self.load = load
        count = 1 if seed % 5 == 0 else random.choice(GROUPS[stage.backend])
        self.groups = [f"room.{i}" for i in range(load.groups or count)]
        self.random = random
        self.crowd = stage.crowd()
        # Half of them stay when they are told that they missed something, the others
        # are closed, and come back.
        for where in (path or "/told/{group}", path or "/member/{group}"):
            self.crowd.open(
                Open(
                    stage.ports(),
                    where,
                    self.groups,
                    load.clients // 2,
                    random.randrange(10**6),
                    resume,
                )
            )

    def start(self, *, servers: list[Server] | None = None) -> None:
        """Have one or two publish: a program, or servers."""
        stage, load = self.stage, self.load
        all_of_them = [None, *(stage.servers if servers is None else servers)]
        where = self.random.sample(all_of_them, self.random.choice((1, 2)))
        if stage.settings.without:
            # A control: whoever finds the broker first is heard by nobody else.
            where = all_of_them
        per_publication = load.clients / len(self.groups)
        publications = min(
            load.publications, MOST_DELIVERIES[stage.backend] / per_publication
        )
        count = int(publications / len(self.groups) / len(where))
        self.sent = {
            group: dict.fromkeys(range(len(where)), count) for group in self.groups
        }
        self.all = count * len(self.groups) * len(where)
        rate = load.rate or min(
            self.all / LEAST_SECONDS, DELIVERIES[stage.backend] / per_publication
        )
        plans = [
            Publish(number, self.groups, count, rate / len(where))
            for number in range(len(where))
        ]
        self.publishers: list[Publisher] = [
            stage.program(plan) if server is None else stage.in_server(plan, server)
            for plan, server in zip(plans, where, strict=True)
        ]
        self.names = "+".join(
            "program" if server is None else "server" for server in where
        )
        self.seconds = self.all / rate

    def reach(self, share: float) -> int:
        """Wait until a share of the publications is out; return how many are."""
        for publisher in self.publishers:
            until("the first publication", partial(_done, publisher), 30)
        target = round(share * self.all)
        until(
            f"publishing {target}",
            lambda: total(self.publishers) >= target,
            self.seconds + 60,
        )
        return total(self.publishers)

    def finish(self) -> Judged:
        """Wait until all is published and got; return the verdict."""
        for publisher in self.publishers:
            publisher.finish(self.seconds + 60)
        self.failed = sum(one.progress.failed for one in self.publishers)
        self.why = "".join(one.progress.why for one in self.publishers)
        server = self.stage.servers[0]
        kept = {group: server.kept(group) for group in self.groups}
        return self.crowd.judged(self.sent, kept, 60)

    def outcome(self, judged: Judged, seed: int, control: str) -> Outcome:
        """Return what is to be told of every run."""
        verdict, note = judged.verdict, judged.note
        outcome = Outcome(self.stage.backend, seed, control=control)
        outcome.cells = {
            "groups": len(self.groups),
            "publications": self.all,
            "publishers": self.names,
            "deliveries": note.received,
            "lost": verdict.lost,
            "twice": verdict.twice,
            "out of order": verdict.disordered + judged.disagreeing,
            "came back": note.returns,
            "told": note.told,
        }
        problems = outcome.problems
        if verdict:
            problems.append(
                f"{judged.wronged} clients wronged, {verdict.lost} lost, "
                f"{verdict.twice} twice, {verdict.disordered} out of order, "
                f"{verdict.strangers} of another history, {verdict.stuck} stuck"
            )
        if judged.disagreeing:
            problems.append(f"{judged.disagreeing} groups with more than one order")
        if note.joined < note.clients:
            problems.append(f"{note.clients - note.joined} clients are not back")
        if self.failed:
            problems.append(f"{self.failed} not published: {self.why}")
        errors = self.stage.logged()
        if errors:
            problems.append(f"{len(errors)} errors logged, first: {errors[0]}")
        return outcome


def _run(
    backend: str,
    seed: int,
    load: Load,
    control: str,
    *,
    proxied: bool,
    fault: Callable[[Stage, Random], None],
    told: bool,
) -> Outcome:
    random = Random(seed)
    with Stage(backend, Settings(without=control)) as stage:
        stage.start_broker(proxied=proxied)
        stage.start_servers(2)
        run = Run(stage, load, random, seed)
        run.start()
        at = run.reach(random.uniform(0.3, 0.7))
        fault(stage, random)
        back = time.monotonic()
        slowest = 0.0
        if told:
            crowd, clients = run.crowd, run.crowd.note().clients
            until("telling", lambda: crowd.note().told == clients or over(run), 60)
            slowest = time.monotonic() - back
        judged = run.finish()
        outcome = run.outcome(judged, seed, control)
        outcome.cells["broken at"] = at
        note = judged.note
        if told:
            outcome.cells["all told after, s"] = slowest
            if note.told < note.clients:
                outcome.problems.append(
                    f"{note.clients - note.told} clients were not told"
                )
        elif note.told:
            outcome.problems.append(f"{note.told} clients were told recovered=False")
        return outcome


def _done(publisher: Publisher) -> int:
    return publisher.look().done


def over(run: Run) -> bool:
    """Tell whether all is published."""
    looks = [publisher.look() for publisher in run.publishers]  # each is to be read
    return all(look.over for look in looks)


def killed(backend: str, seed: int, load: Load, control: str = "") -> Outcome:
    """Kill the broker; it comes back with what its file holds."""

    def fault(stage: Stage, random: Random) -> None:
        stage.broker.kill()
        time.sleep(load.down)
        stage.broker.restart()

    return _run(backend, seed, load, control, proxied=False, fault=fault, told=False)


def wiped(backend: str, seed: int, load: Load, control: str = "") -> Outcome:
    """Kill the broker; it comes back empty."""

    def fault(stage: Stage, random: Random) -> None:
        stage.broker.wipe()
        time.sleep(load.down)
        stage.broker.restart()

    return _run(backend, seed, load, control, proxied=False, fault=fault, told=True)


def set_back(backend: str, seed: int, load: Load, control: str = "") -> Outcome:
    """Kill the broker; it comes back without the latest of what it had acknowledged.

    As one does whose disk was slower than its answers, or whose replica takes over.
    """

    def fault(stage: Stage, random: Random) -> None:
        stage.broker.kill()
        (log,) = (stage.broker.folder / "data" / "appendonlydir").glob("*.incr.aof")
        with log.open("r+b") as file:
            file.truncate(round(log.stat().st_size * random.uniform(0.8, 0.98)))
        time.sleep(load.down)
        stage.broker.restart()

    return _run(backend, seed, load, control, proxied=False, fault=fault, told=True)


def stalled(backend: str, seed: int, load: Load, control: str = "") -> Outcome:
    """Stall the link to the broker; half of the time it is cut in the end."""

    def fault(stage: Stage, random: Random) -> None:
        stage.proxy.stall()
        time.sleep(load.down * random.choice((0.5, 1, 2)))
        if control or random.random() < 0.5:
            stage.proxy.cut()
        stage.proxy.resume()

    return _run(backend, seed, load, control, proxied=True, fault=fault, told=False)
