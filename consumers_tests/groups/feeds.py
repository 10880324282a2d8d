"""Sources for tests: they say when they begin and end, and count how many run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio

from consumers import Group, Groups
from consumers.clock import VirtualClock, sleep
from consumers.testing.settling import settle
from consumers_tests.groups.members import Recorder, join, leave
from consumers_tests.groups.running import nested, passing_time
from consumers_tests.groups.scripted_layer import ScriptedLayer

__all__ = [
    "Feed",
    "Recorder",
    "ScriptedLayer",
    "after",
    "fed",
    "join",
    "leave",
    "passing_time",
    "two",
]


class Feed:
    """A source that yields 0, 1, 2, … once a second."""

    def __init__(self, values: int | None = None) -> None:
        self.values = values
        """After how many it returns; ``None``: it does not."""
        self.log: list[str] = []
        self.running = 0
        self.most = 0
        """How many ran at the same time, at most."""
        self.failing: Exception | None = None
        """What it raises instead of its next value."""
        self.clean_up = 0.0
        """Seconds that its clean-up takes, shielded."""

    async def run(self, name: str) -> AsyncIterator[int]:
        """Be the source of one group."""
        self.log.append(f"begin {name}")
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            n = 0
            while self.values is None or n < self.values:
                await sleep(1)
                if self.failing is not None:
                    raise self.failing
                yield n
                n += 1
        finally:
            with anyio.CancelScope(shield=True):
                await sleep(self.clean_up)
            self.running -= 1
            self.log.append(f"end {name}")

    async def quick(self, name: str) -> AsyncIterator[int]:
        """Be one by the event loop's own clock, that yields as fast as it may."""
        self.log.append(f"begin {name}")
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            while True:
                await anyio.sleep(0.005)
                yield self.running
        finally:
            self.running -= 1
            self.log.append(f"end {name}")

    def take(self) -> list[str]:
        """Return what has happened since the last time."""
        taken, self.log = self.log, []
        return taken


@asynccontextmanager
async def fed(
    feed: Feed, *layers: ScriptedLayer, **options: Any
) -> AsyncIterator[tuple[VirtualClock, list[tuple[Groups, Group]]]]:
    """Run a `Groups` on each layer with a source, as so many processes; stop the time.

    Without layers one runs in memory.
    """
    made = []
    for layer in layers or [None]:
        groups = Groups()
        if layer is not None:
            groups._make_layer = partial(_same, layer)
        made.append((groups, groups.source("feed.{name}", **options)(feed.run)))
    async with passing_time() as clock, nested([groups for groups, _ in made]):
        yield clock, made


def two() -> tuple[ScriptedLayer, ScriptedLayer]:
    """Return the layers of two processes."""
    layer = ScriptedLayer()
    return layer, ScriptedLayer(layer.store)


async def after(clock: VirtualClock, seconds: float) -> None:
    """Let time pass, timer by timer, with all that comes of each."""
    until = clock.time() + seconds
    await settle()
    while (left := until - clock.time()) > 1e-9:
        clock.advance(min(left, max(clock.next_due(), 1e-6)))
        await settle()


def _same(layer: ScriptedLayer) -> ScriptedLayer:
    return layer
