"""Numbered publications: by a server's connection, or by a program beside it.

As a program it reads a `Publish` from its standard input, and writes `Progress`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable

import anyio
import msgspec

from consumers import LayerUnavailable

from .jobs import Numbered, Progress, Publish
from .verdict import PUBLISHER

__all__ = ["main", "publish"]

EVERY = 0.02  # seconds between two reports

One = Callable[[str, Numbered], Awaitable[object]]
Report = Callable[[Progress], Awaitable[None]]


async def publish(plan: Publish, one: One, report: Report) -> None:
    """Publish what the plan says, by ``one``, and tell ``report`` how far it is.

    To the groups in turns, at an even rate.
    """
    begun = told = time.monotonic()
    filling = "x" * plan.filling
    done = failed = 0
    why = ""
    for n in range(1, plan.count + 1):
        for group in plan.groups:
            # When it is due, not when it is its turn: to be late is a delay, too.
            due = begun + done / plan.rate
            await anyio.sleep(max(0.0, due - time.monotonic()))
            number = plan.publisher * PUBLISHER + n
            try:
                await one(group, Numbered(number, due, filling))
            except LayerUnavailable as error:
                failed, why = failed + 1, str(error)
            done += 1
            if time.monotonic() > told + EVERY:
                told = time.monotonic()
                await report(Progress(done, failed, why))
    took = time.monotonic() - begun
    await report(Progress(done, failed, why, took, over=True))


async def main() -> None:
    """Publish what standard input says."""
    # What its groups keep is declared there.
    from .application import groups

    plan = msgspec.json.decode(sys.stdin.buffer.readline(), type=Publish)

    async def report(progress: Progress) -> None:
        sys.stdout.buffer.write(msgspec.json.encode(progress) + b"\n")
        sys.stdout.flush()

    async with groups:
        await publish(plan, groups.publish, report)


if __name__ == "__main__":
    anyio.run(main, backend=sys.argv[1])
