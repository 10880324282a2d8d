"""One of many members does not read: the others must not notice, nor the memory."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from socket import SO_RCVBUF, SOL_SOCKET, socket

from consumers_tests.benchmarks import frames

from .jobs import Open, Publish, Settings, Watch
from .processes import Server
from .report import Outcome
from .stage import Crowd, Stage

__all__ = ["Reading", "slow"]

UNACKNOWLEDGED = 4.0
"""Seconds: what the server is told of peers that read nothing."""
GONE_WITHIN = UNACKNOWLEDGED + 1.0
"""Seconds: the stated time, and one for the machine."""
OUTBOX = 1024 * 1024
"""Bytes: what a connection's outbox may hold, here as by default."""
MEMORY_WITHIN = 4 * OUTBOX
"""Bytes that a reader may cost: its outbox, what the server has on its way, and how an
allocator keeps what it once had."""
GROUP = "plain.0"
RATE = {"asyncio": 1.0, "uvloop": 1.0, "trio": 0.1}
"""What share of the rate one server, on one of two CPUs, can carry."""


@dataclass(frozen=True)
class Reading:
    """How much goes on in a run."""

    clients: int = 1000
    rate: float = 100.0
    """Publications per second."""
    seconds: float = 8.0
    """Of each part of a run."""
    repeats: int = 5
    """How often it is measured with the slow reader, and without."""


@contextmanager
def stalled(server: Server, path: str) -> Iterator[socket]:
    """Join, and read nothing."""
    sock = socket()
    with sock:
        sock.setsockopt(SOL_SOCKET, SO_RCVBUF, 4096)
        sock.settimeout(20)
        sock.connect(("127.0.0.1", server.port))
        sock.sendall(frames.request(server.port, path))
        while b'"recovered"' not in sock.recv(4096):
            pass
        yield sock


def delays(stage: Stage, crowd: Crowd, reading: Reading, naive: bool) -> list[float]:
    """Publish for a while; return the percentiles of what the others waited."""
    rate = reading.rate * RATE[stage.backend]
    plan = Publish(0, [GROUP], round(rate * reading.seconds), rate, naive=naive)
    crowd.perform(Watch(forget=True))
    publisher = stage.in_server(plan, stage.servers[0])
    publisher.finish(reading.seconds * 4 + 30)
    time.sleep(0.5)
    found = crowd.perform(Watch()).delays
    assert found is not None
    return found


def slow(backend: str, seed: int, reading: Reading, control: str = "") -> Outcome:
    """Measure the others with and without a slow reader, in turns; then the memory."""
    # Controls: an outbox without bounds on a server that waits for ever, and a program
    # that sends to one member after the other.
    unbounded = control == "bounds"
    settings = Settings(
        outbox_messages=10**9 if unbounded else 1000,
        outbox_bytes=10**12 if unbounded else OUTBOX,
    )
    patience = 600.0 if control else UNACKNOWLEDGED
    with Stage(backend, settings) as stage:
        stage.start_servers(1, "--unacknowledged-timeout", str(patience))
        (server,) = stage.servers
        crowd = stage.crowd()
        crowd.open(
            Open(stage.ports(), "/member/{group}", [GROUP], reading.clients, seed)
        )
        outcome = Outcome(backend, seed, control=control)
        naive = control == "groups"
        delays(stage, crowd, reading, naive)  # the first ones cost more
        without, beside = [], []
        for turn in range(reading.repeats):
            for slowly in (False, True) if turn % 2 else (True, False):
                if not slowly:
                    without.append(delays(stage, crowd, reading, naive))
                    continue
                with stalled(server, f"/member/{GROUP}"):
                    beside.append(delays(stage, crowd, reading, naive))
        cells = outcome.cells
        medians = {}
        for name, found in (("alone", without), ("beside it", beside)):
            medians[name] = statistics.median(one[99] for one in found)
            cells[f"p50 {name}, ms"] = (
                statistics.median(one[50] for one in found) * 1000
            )
            cells[f"p99 {name}, ms"] = medians[name] * 1000
        cells["p99 alone, range"] = spread(without)
        cells["p99 beside it, range"] = spread(beside)
        ratio = medians["beside it"] / medians["alone"]
        cells["ratio"] = ratio
        if ratio > 1.1:
            outcome.problems.append(
                f"the others' p99 is {ratio:.2f} of that without it"
            )
        if not naive:
            grown, gone = weight(stage, crowd, 2 * GONE_WITHIN)
            cells["memory, MiB"] = grown / 2**20
            cells["gone after, s"] = gone
            if grown > MEMORY_WITHIN:
                outcome.problems.append(f"the memory grows by {grown / 2**20:.0f} MiB")
            if gone > GONE_WITHIN:
                outcome.problems.append(f"it is still there after {gone:.1f} s")
        return outcome


def spread(found: list[list[float]]) -> str:
    """Return the range of the 99th percentiles, in milliseconds."""
    values = [one[99] * 1000 for one in found]
    return f"{min(values):.3g}-{max(values):.3g}"


def weight(stage: Stage, crowd: Crowd, limit: float) -> tuple[int, float]:
    """Publish much to one that does not read; return what it cost and when it went.

    16 KiB, a hundred times a second, in a group of its own, whose other member reads.
    """
    group, rate = "plain.weight", 100.0
    (server,) = stage.servers
    query = f"group={group}"

    def plan(seconds: float) -> Publish:
        return Publish(1, [group], round(rate * seconds), rate, filling=16 * 1024)

    crowd.open(Open(stage.ports(), "/member/{group}", [group], 1, 0))
    stage.in_server(plan(1), server).finish(30)  # what is needed anyway
    before = peak = server.state(query).resident
    publisher = stage.in_server(plan(limit), server)
    with stalled(server, f"/member/{group}"):
        begun = time.monotonic()
        gone = 0.0
        while server.state(query).members > 1 and gone < limit:
            peak = max(peak, server.state(query).resident)
            gone = time.monotonic() - begun
            time.sleep(0.1)
        publisher.finish(limit * 3)
    return peak - before, gone
