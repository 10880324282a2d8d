"""The clock of the load generator: whose turn it is, and what a turn cost."""

import asyncio
import time
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from consumers_tests.benchmarks.frames import WrongReplyError
from consumers_tests.benchmarks.jobs import Sample
from consumers_tests.benchmarks.processes import cpu_seconds

if TYPE_CHECKING:
    from consumers_tests.benchmarks.clients import Crowd

TURN = 0.1  # seconds
WARM_UP = 4  # turns; the costs fall during the first


class Bench:
    """One measurement on the running loop.

    The loop never sleeps meanwhile. A client that sleeps makes the server pay for
    waking it, in a virtual machine as much as for the write itself, and how often
    that happens would depend on which of the two is faster.
    """

    def __init__(self, patience: float) -> None:
        self.patience = patience  # seconds that replies may take after a turn
        self.steps = 0  # whatever keeps the clients busy
        self.idle = 0.0  # seconds in which nothing did
        self._seen = 0
        self._last = time.perf_counter()
        self._loop = asyncio.get_running_loop()
        self._failure: asyncio.Future[None] = self._loop.create_future()
        self._tasks: set[asyncio.Task[None]] = set()
        self._spin()

    def _spin(self) -> None:
        now = time.perf_counter()
        if self._seen == self.steps:
            self.idle += now - self._last
        self._seen, self._last = self.steps, now
        self._loop.call_soon(self._spin)

    def fail(self, reason: str) -> None:
        """End the measurement; the first reason given counts."""
        if not self._failure.done():
            self._failure.set_exception(WrongReplyError(reason))

    def start(self, work: Coroutine[object, object, None]) -> None:
        """Run a client that is a task; its exception ends the measurement."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self.fail(f"expected a client to go on, got {error!r}")

    async def wait(self, seconds: float) -> None:
        """Let the clients work.

        Raises:
            WrongReplyError: The measurement failed meanwhile.
        """
        await asyncio.wait({self._failure}, timeout=seconds)
        if self._failure.done():
            self._failure.result()

    async def turn(self, crowd: "Crowd", seconds: float) -> "Cost":
        """Let one crowd work, and return when it has got all that it asked for.

        Raises:
            WrongReplyError: It got something else, too much or too little.
        """
        units, passed, idle = crowd.units, crowd.passed(), self.idle
        spent, began = _spent(crowd), time.perf_counter()
        crowd.running = True
        crowd.begin()
        await self.wait(seconds)
        crowd.running = False
        while crowd.pending():
            await self.wait(0.001)
            if time.perf_counter() - began > seconds + self.patience:
                raise WrongReplyError(
                    f"expected each reply once in {self.patience} s, got others"
                )
        took = time.perf_counter() - began
        spent = _spent(crowd) - spent
        passed = crowd.passed() - passed
        return Cost(crowd.units - units, passed, spent, took, self.idle - idle)

    async def alternate(
        self, crowds: Sequence["Crowd"], seconds: float
    ) -> list[Sample]:
        """Give the crowds short turns, A B B A ..., and return what each cost.

        So whatever slows the machine down hits all crowds alike, and what speeds it
        up as it warms favours none. The first turns do not count.
        """
        length = min(TURN, seconds)
        rounds = 2 * max(1, round(seconds / TURN / 2))
        costs: list[list[Cost]] = [[] for _ in crowds]
        order = [*zip(crowds, costs, strict=True)]
        for number in range(WARM_UP + rounds):
            for crowd, spent in order:
                if number == WARM_UP:
                    crowd.delays.clear()
                spent.append(await self.turn(crowd, length))
            order.reverse()
        return [
            _mean(spent[WARM_UP:], crowd)
            for crowd, spent in zip(crowds, costs, strict=True)
        ]


class Cost(NamedTuple):
    """What one turn cost."""

    units: int
    """Messages, deliveries or connections."""

    passed: int
    """Groups that were joined and left beside them."""

    spent: float
    """CPU time of the servers, in seconds."""

    took: float
    """Wall-clock time, in seconds."""

    idle: float
    """How much of it the clients had nothing to do, in seconds."""


def _spent(crowd: "Crowd") -> float:
    return sum(cpu_seconds(pid) for pid in crowd.pids)


def _mean(costs: Sequence[Cost], crowd: "Crowd") -> Sample:
    units = sum(cost.units for cost in costs)
    spent = sum(cost.spent for cost in costs)
    took = sum(cost.took for cost in costs)
    idle = sum(cost.idle for cost in costs)
    sample = Sample(
        spent / units * 1e6,
        units / took,
        1 - idle / took,
        compressed=crowd.compressed,
    )
    if not crowd.delays:
        return sample
    delays = sorted(crowd.delays)
    median, slowest = (delays[int(len(delays) * part)] * 1e3 for part in (0.5, 0.99))
    passed = sum(cost.passed for cost in costs) / took
    return msgspec.structs.replace(
        sample, median=median, slowest=slowest, passed=passed
    )
