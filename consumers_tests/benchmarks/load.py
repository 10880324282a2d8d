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
from consumers_tests.benchmarks.clients import Crowd, Echoes, Room, Visitors
from consumers_tests.benchmarks.frames import WrongReplyError
from consumers_tests.benchmarks.jobs import Done, Failure, Job, Plan, Sample, Server
from consumers_tests.benchmarks.processes import resident_kib

SETTLE = 0.3  # seconds for a server to finish what nobody can see from outside
CROWDS: dict[str, type[Crowd]] = {
    "echo": Echoes,
    "broadcast": Room,
    "churn": Visitors,
}


async def alternate(job: Job) -> list[Sample]:
    """Return what a message, a delivery or a connection costs each server."""
    bench = Bench(job.patience)
    crowds = [CROWDS[job.plan.kind](bench, server, job.plan) for server in job.servers]
    for crowd in crowds:
        await crowd.open()
    await bench.wait(SETTLE)  # the last to come may not be in its group yet
    return await bench.alternate(crowds, job.seconds)


def memory(server: Server, plan: Plan) -> Sample:
    """Return the memory of an idle connection.

    Some come and go before, so that what a server makes only once is not counted.
    """
    for _ in range(50):
        frames.connect(server.port, plan.path).close()
    time.sleep(SETTLE)
    before = resident_kib(server.pid)
    sockets = [frames.connect(server.port, plan.path) for _ in range(plan.connections)]
    time.sleep(SETTLE)
    after = resident_kib(server.pid)
    for sock in sockets:
        sock.close()
    return Sample((after - before) / plan.connections)


def perform(job: Job) -> list[Sample]:
    """Run the job's plan to its end; returns a sample of each server.

    Raises:
        WrongReplyError: A server answered wrongly, or not at all.
        OSError: A connection failed or timed out.
    """
    if job.plan.kind == "memory":
        return [memory(server, job.plan) for server in job.servers]
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
