"""A process of clients that write numbers until each is acknowledged.

It reads a `Writing` from its standard input, writes until the next line comes, and then
what it was told: a `Written`.
"""

from __future__ import annotations

import sys
import time
from random import Random

import anyio
import anyio.to_thread
import msgspec

from consumers.client import Reconnect, connect

from .jobs import Writing, Written
from .restarts_served import Write
from .verdict import PUBLISHER

__all__ = ["main"]

_PATIENCE = 60.0
"""Seconds that a number may take to be acknowledged, through all restarts."""


class Writers:
    """The clients, and what they were told."""

    def __init__(self, plan: Writing) -> None:
        self.plan = plan
        self.stopping = False
        self.written = Written()

    async def write(self, n: int) -> None:
        """Be one client: write number after number."""
        plan, written = self.plan, self.written
        random = Random(plan.seed + n)
        url = f"ws://127.0.0.1:{plan.ports[n % len(plan.ports)]}/write"
        reconnect = Reconnect(min=0.1, max=1.0)
        number = n * PUBLISHER
        async with (
            connect(url, reconnect=reconnect) as client,
            anyio.create_task_group() as group,
        ):

            async def count() -> None:
                async for state in client.states():
                    written.connections += state.name == "live"

            group.start_soon(count)
            while not self.stopping:
                number += 1
                begun = time.monotonic()
                message = Write(number)
                await client.request(message, returns=int, deadline=_PATIENCE)
                written.acknowledged.append(number)
                took = time.monotonic() - begun
                written.longest = max(written.longest, took)
                await anyio.sleep(random.uniform(0, 2 * plan.pause))
            group.cancel_scope.cancel()

    async def run(self) -> None:
        """Write until a line comes."""
        async with anyio.create_task_group() as group:
            for n in range(1, self.plan.clients + 1):
                group.start_soon(self.write, n)
            await anyio.to_thread.run_sync(sys.stdin.buffer.readline)
            self.stopping = True


async def main() -> None:
    """Do what standard input says."""
    plan = msgspec.json.decode(sys.stdin.buffer.readline(), type=Writing)
    writers = Writers(plan)
    await writers.run()
    sys.stdout.buffer.write(msgspec.json.encode(writers.written) + b"\n")
    sys.stdout.flush()


if __name__ == "__main__":
    anyio.run(main, backend_options={"use_uvloop": True})
