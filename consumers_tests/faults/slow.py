"""One of many members does not read: the others must not notice, nor the memory."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from socket import SO_RCVBUF, SOL_SOCKET, socket

from consumers_tests.benchmarks import frames

from .jobs import Open, Publish, Settings, Watch
from .processes import FaultError, Server
from .report import Outcome
from .stage import Crowd, Stage, until

__all__ = ["Reading", "is_noticed", "slow"]

MIB = 1024 * 1024
OUTBOX = MIB
"""Bytes that a connection's outbox may hold, here as by default."""
MEMORY_WITHIN = 4.0
"""MiB that a reader may cost: its outbox, what the server has on its way, and how an
allocator keeps what it once had."""
GROUP, FILL = "plain.0", "plain.fill"
FILLS, FILLING = 100.0, 32 * 1024
"""Publications per second to a slow reader alone, and their size in characters: else
the systems' own buffers would hold for minutes what it does not read."""
RATES = {"asyncio": 30.0, "uvloop": 40.0, "trio": 3.0}
"""Publications per second that one server on one of two CPUs carries to a thousand."""


@dataclass(frozen=True)
class Reading:
    """How much goes on in a run."""

    clients: int = 1000
    rate: float | None = None
    """Publications per second; ``None``: what the machine can carry."""
    seconds: float = 8.0
    """Of each part of a run."""
    repeats: int = 5
    """How often it is measured with the slow reader, and without."""
    patience: float = 4.0
    """Seconds that the server has with peers that read nothing."""


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
    """Publish for a while; return the percentiles of what the others waited.

    What only a slow reader gets, so that its buffers fill, is published in any case.
    """
    (server,) = stage.servers
    rate = reading.rate or RATES[stage.backend]
    count, fills = round(rate * reading.seconds), round(FILLS * reading.seconds)
    crowd.perform(Watch(forget=True))
    publishers = [
        stage.in_server(Publish(0, [GROUP], count, rate, naive=naive), server),
        stage.in_server(Publish(1, [FILL], fills, FILLS, FILLING, naive), server),
    ]
    if naive:  # The one that fills never ends.
        until("publishing", lambda: publishers[0].look().over, reading.seconds + 2)
    else:
        for publisher in publishers:
            publisher.finish(reading.seconds * 4 + 30)
    time.sleep(0.2)
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
    patience = 600.0 if control else reading.patience
    outcome = Outcome(backend, seed, control=control)
    with Stage(backend, settings) as stage:
        stage.start_servers(1, "--unacknowledged-timeout", str(patience))
        crowd = stage.crowd()
        if not unbounded:
            others(stage, crowd, reading, outcome)
        if control != "groups":
            weight(stage, crowd, reading.patience + 1, outcome)
    return outcome


def others(stage: Stage, crowd: Crowd, reading: Reading, outcome: Outcome) -> None:
    """Measure them without a slow reader and beside one, in turns."""
    (server,) = stage.servers
    crowd.open(
        Open(stage.ports(), "/member/{group}", [GROUP], reading.clients, outcome.seed)
    )
    naive = outcome.control == "groups"
    delays(stage, crowd, reading, naive=False)  # the first ones cost more
    found: dict[bool, list[list[float]]] = {False: [], True: []}
    for turn in range(1 if naive else reading.repeats):
        for slowly in (False, True) if turn % 2 or naive else (True, False):
            with stalled(server, f"/filled/{GROUP}") if slowly else nullcontext():
                try:
                    found[slowly].append(delays(stage, crowd, reading, naive))
                except FaultError as error:
                    outcome.problems.append(f"the others wait for ever: {error}")
                    return
    cells = outcome.cells
    cells["rate"] = reading.rate or RATES[stage.backend]
    for percentile in (50, 99):
        for slowly, name in ((False, "alone"), (True, "beside it")):
            values = [one[percentile] * 1000 for one in found[slowly]]
            cells[f"p{percentile} {name}, ms"] = statistics.median(values)
            cells[f"p{percentile} {name}, range"] = (
                f"{min(values):.3g}-{max(values):.3g}"
            )
    alone, beside = ([one[99] for one in found[slowly]] for slowly in (False, True))
    ratio = statistics.median(beside) / statistics.median(alone)
    cells["ratio of p99"] = ratio
    if is_noticed(alone, beside):
        outcome.problems.append(f"the others' p99 is {ratio:.2f} of that without it")


def is_noticed(alone: Sequence[float], beside: Sequence[float]) -> bool:
    """Tell whether the others wait longer: by a tenth, and than in any turn without it.

    On a busy machine the turns without it differ by more than a tenth themselves.
    """
    usual = statistics.median(beside)
    return usual > 1.1 * statistics.median(alone) and usual > max(alone)


def weight(stage: Stage, crowd: Crowd, within: float, outcome: Outcome) -> None:
    """Publish much to one that does not read: what does it cost, and when is it gone?

    To a group of its own, whose other member reads.
    """
    group = "plain.weight"
    (server,) = stage.servers
    query = f"group={group}"

    def plan(seconds: float) -> Publish:
        return Publish(1, [group], round(FILLS * seconds), FILLS, filling=FILLING)

    crowd.open(Open(stage.ports(), "/member/{group}", [group], 1, 0))
    stage.in_server(plan(1), server).finish(30)  # what is needed anyway
    before = peak = server.state(query).resident
    publisher = stage.in_server(plan(60), server)
    with stalled(server, f"/member/{group}"):
        begun = time.monotonic()
        gone = 0.0
        while server.state(query).members > 1 and gone < 2 * within:
            peak = max(peak, server.state(query).resident)
            gone = time.monotonic() - begun
            time.sleep(0.1)
        publisher.stop()
    grown = (peak - before) / MIB
    outcome.cells |= {"memory, MiB": grown, "gone after, s": gone}
    if grown > MEMORY_WITHIN:
        outcome.problems.append(f"the memory grows by {grown:.0f} MiB")
    if gone > within:
        outcome.problems.append(f"it is still there after {gone:.1f} s")
