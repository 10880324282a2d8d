"""One measurement of one peer, and the pairs that ratios are made from."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import msgspec

from consumers_tests.benchmarks.catalogue import Workload
from consumers_tests.benchmarks.contests import Contest
from consumers_tests.benchmarks.jobs import Done, Failure, Job, Sample, Side
from consumers_tests.benchmarks.processes import ROOT, cpu, pin, serve
from consumers_tests.benchmarks.rows import Peer
from consumers_tests.benchmarks.servers import SERVERS, STOCK, Recipe
from consumers_tests.valkey import Valkey

LOAD_TIMEOUT = 120.0  # seconds; a measurement takes 20 at most
_answer = msgspec.json.Decoder(Done | Failure)


class MeasurementError(Exception):
    """A workload did not run as it should; the text says why."""


@dataclass(frozen=True)
class Pair:
    """The reference and a peer, measured in turns."""

    reference: Sample
    peer: Sample

    @property
    def ratio(self) -> float:
        """The peer's worth: 1 costs as much as the reference, .5 twice as much."""
        return self.reference.cost / self.peer.cost


def load(job: Job) -> list[Sample]:
    """Run a load generator on the last CPU; returns a sample of each side.

    Raises:
        MeasurementError: A reply was wrong or missing.
    """
    with subprocess.Popen(
        [sys.executable, "-m", "consumers_tests.benchmarks.load"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            pin(process.pid, -1)
            out, errors = process.communicate(msgspec.json.encode(job), LOAD_TIMEOUT)
        finally:
            process.kill()
    try:
        answer: Done | Failure = _answer.decode(out)
    except msgspec.DecodeError:
        text = errors[-2000:].decode(errors="replace")
        raise MeasurementError(f"the load generator broke:\n{text}") from None
    if isinstance(answer, Failure):
        raise MeasurementError(answer.reason)
    return answer.samples


@contextmanager
def running(stock: Recipe, peer: Peer, workload: Workload) -> Iterator[Side]:
    """Run a peer's processes, and a broker between them, until the block ends.

    Args:
        stock: What serves a peer that says nothing of a server.
        peer: What is served.
        workload: How many processes, whether with a broker, and what clients do.

    Raises:
        ServerError: A server did not start, or logged an error.
    """
    command = (peer.server or stock).command
    with ExitStack() as stack:
        environment = dict(peer.environment)
        if workload.broker:
            # On the CPU of the servers: the load generator leaves none of its own.
            settings = ("--server-cpulist", str(cpu(0)))
            broker = stack.enter_context(Valkey(*settings))
            environment["BROKER_URL"] = broker.url
        servers = [
            stack.enter_context(
                serve(command, peer.app, environment, peer.tree or ROOT)
            )
            for _ in range(workload.processes)
        ]
        plan = msgspec.structs.replace(workload.plan, **peer.changes)
        yield Side(plan, servers)


def measure(workload: Workload, contest: Contest, seconds: float) -> Pair:
    """Measure the two of a contest in turns, all processes fresh.

    Raises:
        MeasurementError: A reply was wrong or missing.
        ServerError: A server did not start, or logged an error.
    """
    with (
        running(SERVERS[STOCK], contest.first, workload) as first,
        running(contest.stock, contest.second, workload) as second,
    ):
        return Pair(*load(Job([first, second], seconds)))
