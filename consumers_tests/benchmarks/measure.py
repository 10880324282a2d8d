"""One measurement of one peer, and the pairs that ratios are made from."""

import subprocess
import sys
from dataclasses import dataclass

import msgspec

from consumers_tests.benchmarks.catalogue import REFERENCE, Peer
from consumers_tests.benchmarks.jobs import (
    Done,
    Failure,
    Job,
    Plan,
    Sample,
)
from consumers_tests.benchmarks.processes import ROOT, Command, pin, serve

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
    """Run a load generator on the last CPU; returns a sample of each server.

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


def measure(command: Command, peer: Peer, plan: Plan, seconds: float) -> Pair:
    """Measure the reference and a peer in turns, each on a fresh server.

    Raises:
        MeasurementError: A reply was wrong or missing.
        ServerError: A server did not start, or logged an error.
    """
    with serve(command, REFERENCE.app) as first, serve(command, peer.app) as second:
        return Pair(*load(Job(plan, [first, second], seconds)))
