"""The load generator: many WebSocket connections from one process.

It runs as `python -m consumers_tests.benchmarks.load`, reads a `Job` as JSON on its
standard input, and writes `Done` or a `Failure` to its standard output. It has to
cost less than the servers that it measures; `Sample.busy` tells if it did.
"""

import os
import sys
import time

import msgspec
import uvloop

from consumers_tests.benchmarks import frames
from consumers_tests.benchmarks.bench import Bench
from consumers_tests.benchmarks.clients import Crowd, Echoes, Visitors
from consumers_tests.benchmarks.frames import WrongReplyError
from consumers_tests.benchmarks.jobs import Done, Failure, Job, Sample, Side
from consumers_tests.benchmarks.processes import family, resident_kib
from consumers_tests.benchmarks.rooms import Room

CROWDS: dict[str, type[Crowd]] = {
    "echo": Echoes,
    "broadcast": Room,
    "churn": Visitors,
}


async def alternate(job: Job) -> list[Sample]:
    """Return what a message, a delivery or a connection costs each side."""
    bench = Bench(job.patience)
    crowds = [CROWDS[side.plan.kind](bench, side) for side in job.sides]
    for crowd in crowds:
        await crowd.prepare()
    # The last to come may not be in its group yet.
    await bench.wait(max(side.plan.settle for side in job.sides))
    return await bench.alternate(crowds, job.seconds)


def memory(side: Side) -> Sample:
    """Return the memory of an idle connection.

    Some come and go before, so that what a server makes only once is not counted.
    """
    for _ in range(50):
        frames.connect(side.servers[0].port, side.plan).sock.close()
    time.sleep(side.plan.settle)
    before = _resident(side)
    everyone = frames.connect_all(side)
    time.sleep(side.plan.settle)
    after = _resident(side)
    for opened in everyone:
        opened.sock.close()
    compressed = everyone[0].compressed if side.plan.compress else None
    kib = (after - before) / side.plan.connections
    return Sample(kib, compressed=compressed)


def _resident(side: Side) -> int:
    pids = (pid for server in side.servers for pid in family(server.pid))
    return sum(resident_kib(pid) for pid in pids)


def perform(job: Job) -> list[Sample]:
    """Run the job to its end; returns a sample of each side.

    Raises:
        WrongReplyError: A server answered wrongly, or not at all.
        OSError: A connection failed or timed out.
    """
    if any(side.plan.kind == "memory" for side in job.sides):
        return [memory(side) for side in job.sides]
    return uvloop.run(alternate(job))


def main() -> None:
    """Perform the job on standard input and leave."""
    result: Done | Failure
    try:
        job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
        result = Done(perform(job))
    except (WrongReplyError, OSError) as error:
        result = Failure(f"{type(error).__name__}: {error}")
    sys.stdout.buffer.write(msgspec.json.encode(result))
    sys.stdout.flush()
    # Tearing thousands of connections down takes longer than the measurement.
    os._exit(0)


if __name__ == "__main__":
    main()
