"""Clients come and go: nothing stays behind, and nobody waits for it."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from websockets.sync.client import ClientConnection

from .jobs import Open, Publish, Settings, Watch
from .processes import FaultError, Server
from .report import Outcome
from .stage import Crowd, Stage, connected, until

__all__ = ["LAYERS", "Churning", "churn", "spread_out"]

LAYERS = ("memory", "redis")
RATES = {"asyncio": 100.0, "uvloop": 100.0, "trio": 20.0}
"""Publications per second to those who stay, of a server that has time left."""
SLOWER = 25.0
"""Milliseconds that churn may add to the median delay of those who stay."""


@dataclass(frozen=True)
class Churning:
    """How much goes on in a run."""

    cycles: int = 10_000
    """Of joining and leaving, all connections together."""
    connections: int = 100
    """That come for it, a tenth of them at a time, and go."""
    members: int = 50
    """Who stay, and get publications meanwhile."""
    groups: int = 10_000
    """In the comparison of many groups with one."""
    seconds: float = 4.0
    """How long the delay without churn is measured."""
    ttl: float = 2.0
    """Seconds that histories are kept here, so that their end can be waited for."""
    settled: float = 15.0
    """Seconds after which nothing may be left."""


def held(stage: Stage, server: Server) -> dict[str, Any]:
    """Return what server and broker hold."""
    state = server.state("consumers=")
    found: dict[str, Any] = {
        "tasks": state.tasks,
        "files": state.files,
        "consumers": state.consumers,
    }
    if stage.settings.url.startswith("redis"):
        broker = stage.broker
        channels = broker.command("PUBSUB", "CHANNELS", "*")
        shards = broker.command("PUBSUB", "SHARDCHANNELS", "*")
        clients = broker.command("CLIENT", "LIST").decode().splitlines()
        found["channels"] = sorted(one.decode() for one in [*channels, *shards])
        found["clients"] = len(clients)
        found["keys"] = broker.keys()
    return found


def not_more(after: Any, before: Any) -> bool:
    """Tell whether nothing has come to it."""
    return bool({*after} <= {*before} if isinstance(after, list) else after <= before)


def told(held: dict[str, Any]) -> str:
    """Return it in short."""
    counts = (len(v) if isinstance(v, list) else v for v in held.values())
    return "/".join(str(one) for one in counts)


def cycles(
    server: Server, random: Random, churning: Churning, done: Callable[[], object]
) -> None:
    """Have connections come, join and leave, and go."""
    at_once = max(1, churning.connections // 10)
    each = churning.cycles // churning.connections
    left = churning.connections
    while left > 0:
        with ExitStack() as stack:
            clients = [
                stack.enter_context(connected(server, "/churner"))
                for _ in range(min(at_once, left))
            ]
            left -= len(clients)
            for client in clients:
                # Some meet in a group, others are alone; with history and without.
                kind = random.choice(("plain", "room"))
                name = random.choice(("shared", f"own-{random.randrange(10**9)}"))
                groups = [f"{kind}.{name}"]
                client.send(json.dumps({"groups": groups, "cycles": each}))
            for client in clients:
                wait(client, done)


def wait(client: ClientConnection, meanwhile: Callable[[], object]) -> None:
    """Wait until one is done."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        meanwhile()
        try:
            client.recv(timeout=0.05)
        except TimeoutError:
            continue
        return
    raise FaultError("joining and leaving took more than 120 s")


def percentiles(crowd: Crowd) -> list[float]:
    """Return the delays since they were forgotten."""
    found = crowd.perform(Watch()).delays
    assert found is not None
    return found


def churn(
    backend: str, seed: int, churning: Churning, control: str, layer: str
) -> Outcome:
    """Count what is held before and after; measure who stays meanwhile."""
    random = Random(seed)
    if control:
        churning = replace(
            churning, cycles=max(churning.connections, churning.cycles // 20)
        )
    settings = Settings(without=control, ttl=churning.ttl, remember=churning.ttl)
    with Stage(backend, settings) as stage:
        if layer == "redis":
            stage.start_broker()
        stage.start_servers(1)
        (server,) = stage.servers
        crowd = stage.crowd()
        if churning.members:
            crowd.open(
                Open(
                    stage.ports(), "/told/{group}", ["plain.0"], churning.members, seed
                )
            )
        # The first ones make what is made only once.
        cycles(server, random, Churning(40, 10), lambda: None)
        time.sleep(churning.ttl + 1)
        before = held(stage, server)
        # Without churn; then with it, for as long as it takes.
        crowd.perform(Watch(forget=True))
        publish(stage, server, churning.seconds)
        alone = percentiles(crowd)
        crowd.perform(Watch(forget=True))
        endless = Publish(0, ["plain.0"], 10**6, RATES[backend])
        with connected(server, "/publisher") as publisher:
            publisher.send(json.dumps(as_dict(endless)))
            begun = time.monotonic()
            cycles(server, random, churning, lambda: drain(publisher))
            took = time.monotonic() - begun
        beside = percentiles(crowd)
        after: dict[str, Any] = {}

        def settled() -> bool:
            after.update(held(stage, server))
            return all(not_more(after[what], before[what]) for what in before)

        outcome = Outcome(backend, seed, control=control)
        try:
            until("settling", settled, churning.settled)
        except FaultError:
            different = {
                k: (before[k], after[k])
                for k in before
                if not not_more(after[k], before[k])
            }
            outcome.problems.append(f"what was before, and is after: {different}"[:300])
        outcome.cells = {
            "layer": layer,
            "cycles": churning.cycles,
            "cycles per s": churning.cycles / took,
            "before": told(before),
            "after": told(after),
            "p50 alone, ms": alone[50] * 1000,
            "p50 beside, ms": beside[50] * 1000,
            "p99 alone, ms": alone[99] * 1000,
            "p99 beside, ms": beside[99] * 1000,
        }
        slower = (beside[50] - alone[50]) * 1000
        if slower > SLOWER:
            outcome.problems.append(f"who stays waits {slower:.0f} ms longer")
        return outcome


def as_dict(plan: Publish) -> dict[str, Any]:
    """Return a plan as it travels."""
    return {
        "publisher": plan.publisher,
        "groups": plan.groups,
        "count": plan.count,
        "rate": plan.rate,
    }


def drain(client: ClientConnection) -> None:
    """Read what there is."""
    try:
        while True:
            client.recv(timeout=0)
    except TimeoutError:
        pass


def publish(stage: Stage, server: Server, seconds: float) -> None:
    """Publish to those who stay."""
    rate = RATES[stage.backend]
    plan = Publish(0, ["plain.0"], round(rate * seconds), rate)
    stage.in_server(plan, server).finish(seconds * 4 + 30)
    time.sleep(0.2)


# -- many groups, or one ---------------------------------------------------------------

EACH = 10
"""Members of each of the many groups."""


def spread_out(
    backend: str, seed: int, churning: Churning, control: str, layer: str
) -> Outcome:
    """Compare the cost of a delivery in many small groups with that in one group.

    The same number of members and of publications, once to one group after the other,
    once to one alone; then to one group with many members.
    """
    many, one, crowded = [], [], []
    with Stage(backend, Settings(without=control)) as stage:
        if layer == "redis":
            stage.start_broker()
        stage.start_servers(1)
        (server,) = stage.servers
        crowd = stage.crowd()
        count = churning.groups // (5 if backend == "trio" else 1)
        # Ten connections are in all of the many groups.
        crowd.open(Open(stage.ports(), f"/many/1/{count}", ["many"], EACH, seed))
        crowd.open(Open(stage.ports(), "/told/{group}", ["plain.few"], EACH, seed))
        crowd.open(Open(stage.ports(), "/told/{group}", ["plain.lot"], 20 * EACH, seed))
        for _ in range(3):
            names = [f"plain.{n}" for n in range(1, count + 1)]
            many.append(cost(stage, server, names, 1, EACH))
            one.append(cost(stage, server, ["plain.few"], count, EACH))
            crowded.append(cost(stage, server, ["plain.lot"], count // 20, 20 * EACH))
        outcome = Outcome(backend, seed, control=control)
        medians = [statistics.median(found) for found in (many, one, crowded)]
        outcome.cells = {
            "layer": layer,
            "groups": count,
            f"us in {count} groups of {EACH}": medians[0],
            f"us in one of {EACH}": medians[1],
            f"us in one of {20 * EACH}": medians[2],
            "ratio": medians[0] / medians[1],
        }
        if medians[0] > 1.5 * medians[1]:
            outcome.problems.append(
                f"a delivery costs {medians[0] / medians[1]:.2f} of that in one group"
            )
        return outcome


def cost(
    stage: Stage, server: Server, groups: Sequence[str], count: int, members: int
) -> float:
    """Return microseconds of the server's processor time for each delivery."""
    deliveries = len(groups) * count * members
    before = server.state().cpu
    plan = Publish(0, list(groups), count, 10**6)
    stage.in_server(plan, server).finish(120)
    return (server.state().cpu - before) / deliveries * 1e6
