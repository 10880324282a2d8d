"""Layers against a reference: any order of calls, of two processes, has one outcome."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import pytest

from consumers.clock import VirtualClock
from consumers.history import History, Position
from consumers.layers import (
    Changes,
    Entry,
    Kept,
    MemoryLayer,
    MemoryStore,
    Parcel,
    Replay,
    layers_by_url,
)
from consumers_tests.layers.machine import BARRIER, Layers, Place, Publications, explore
from consumers_tests.layers.machine_presence import Presence
from consumers_tests.valkey import Valkey


@contextmanager
def in_memory(layer: type[MemoryLayer] = MemoryLayer) -> Iterator[Place]:
    """Yield a place in this process's memory."""
    store, clock = MemoryStore(), VirtualClock()
    yield Place(lambda: layer(store), clock.advance, store.clear, clock)


@contextmanager
def in_broker(server: Valkey) -> Iterator[Place]:
    """Yield a place in a broker."""
    yield Place(
        layers_by_url(server.url), time.sleep, partial(server.command, "FLUSHALL")
    )


machines = pytest.mark.parametrize("machine", [Publications, Presence])


@machines
def test_the_memory_layer_does_what_the_reference_does(machine: type[Layers]) -> None:
    """Whatever is called in whatever order, two processes see what is to be seen."""
    with in_memory() as place:
        explore(machine, place, "asyncio", 30)


@machines
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_redis_layer_does_what_the_reference_does(
    machine: type[Layers], backend: str, valkey: Valkey
) -> None:
    """So do two layers that share nothing but a broker."""
    with in_broker(valkey) as place:
        explore(machine, place, backend, 6)


# Controls: layers that do something wrong now and then


class Losing(MemoryLayer):
    """Delivers no tenth publication, though it keeps it."""

    _calls = 0

    async def publish(self, parcels: Sequence[Parcel]) -> list[Position | None]:
        positions: list[Position | None] = []
        for parcel in parcels:
            self._calls += parcel.group != BARRIER
            subscribed = self.subscribed.copy()
            if self._calls % 10 == 0 and parcel.group != BARRIER:
                self.subscribed.clear()
            positions += await super().publish([parcel])
            self.subscribed.update(subscribed)
        return positions


class Forgetting(MemoryLayer):
    """Keeps no tenth publication, though it delivers it."""

    _calls = 0

    async def publish(self, parcels: Sequence[Parcel]) -> list[Position | None]:
        positions = await super().publish(parcels)
        for parcel in parcels:
            self._calls += 1
            history = self._store.histories.get(parcel.group)
            if history is not None and history.kept and self._calls % 10 == 0:
                history._kept.pop()
        return positions


class Repeating(MemoryLayer):
    """Replays the last publication twice."""

    async def history(
        self,
        group: str,
        history: History,
        *,
        since: Position | None = None,
        limit: int | None = None,
    ) -> Replay:
        replay = await super().history(group, history, since=since, limit=limit)
        twice: tuple[Kept, ...] = replay.kept[-1:]
        return replace(replay, kept=(*replay.kept, *twice))


class Skipping(MemoryLayer):
    """Says that nothing is missing right behind the edge of what is kept."""

    async def history(
        self,
        group: str,
        history: History,
        *,
        since: Position | None = None,
        limit: int | None = None,
    ) -> Replay:
        replay = await super().history(group, history, since=since, limit=limit)
        first = replay.kept[0].position if replay.kept else replay.position
        edge = since is not None and since.epoch == first.epoch
        edge = edge and since is not None and since.offset == first.offset - 2
        return replace(replay, complete=replay.complete or edge)


class Startling(MemoryLayer):
    """Tells that a user joined who is there with another connection."""

    async def enter(
        self, group: str, entries: Sequence[Entry], lease: float
    ) -> Changes:
        changes = await super().enter(group, entries, lease)
        return Changes(tuple(entries)) if changes.updated else changes


@pytest.mark.parametrize(
    ("machine", "layer"),
    [
        (Publications, Losing),
        (Publications, Forgetting),
        (Publications, Repeating),
        (Publications, Skipping),
        (Presence, Startling),
    ],
)
def test_a_layer_that_does_not_is_found_out(
    machine: type[Layers], layer: type[MemoryLayer]
) -> None:
    """A publication lost or replayed twice, or a gap that is denied, does not pass."""
    with in_memory(layer) as place, pytest.raises(AssertionError):
        explore(machine, place, "asyncio", 200, shrink=False)
