"""Groups against a reference: whoever comes and goes when, gets everything once.

Or is told that it does not. Two processes, one on asyncio and one on trio.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from consumers import Groups, History, Position
from consumers.groups import Publication
from consumers.groups.follower import Follower
from consumers.layers import Layer, MemoryLayer, MemoryStore, Parcel, Replay
from consumers.layers.redis import RedisLayer, parse_address
from consumers_tests.groups.machine import DECLARED, SIZE, Place, explore
from consumers_tests.valkey import Valkey


@contextmanager
def in_memory(layer: type[MemoryLayer] = MemoryLayer) -> Iterator[Place]:
    """Yield one process with two event loops."""
    store, groups = MemoryStore(), Groups(declared=DECLARED)
    yield Place([groups, groups], lambda: layer(store), store.clear)


def in_broker(server: Valkey, layer: Callable[..., Layer] = RedisLayer) -> Place:
    """Return two processes and a broker."""
    return Place(
        [Groups(server.url, DECLARED) for _ in range(2)],
        lambda: layer(parse_address(server.url)),
        partial(server.command, "FLUSHALL"),
        time.sleep,
    )


def test_clients_of_one_process_get_everything_once() -> None:
    """On whichever of its event loops they are."""
    with in_memory() as place:
        explore(place, 12)


def test_clients_of_two_processes_get_everything_once(valkey: Valkey) -> None:
    """Where the processes share nothing but a broker."""
    explore(in_broker(valkey), 8)


class Unreliable(MemoryLayer):
    """Loses the first of a few publications with positions, and repeats the last."""

    async def publish(self, parcels: Sequence[Parcel]) -> list[Position | None]:
        receiver = self._receiver
        assert receiver is not None
        self._receiver = None
        positions = await super().publish(parcels)
        self._receiver = receiver
        # Of more than are kept the first one is gone when it is missed.
        lost = 0 if 1 < len(parcels) <= SIZE else None
        for number, (parcel, position) in enumerate(
            zip(parcels, positions, strict=True)
        ):
            if parcel.group not in self.subscribed:
                continue
            if position is None or number != lost:
                receiver.deliver(parcel.group, parcel, position)
            if position is not None and number == len(parcels) - 1:
                receiver.deliver(parcel.group, parcel, position)
        return positions


def test_what_a_layer_loses_or_repeats_is_made_up_for() -> None:
    """In groups with history: clients still get everything once."""
    with in_memory(Unreliable) as place:
        explore(place, 12)


# Controls: without what makes up for it


class Confident(MemoryLayer):
    """Says that nothing is ever missing."""

    async def history(
        self,
        group: str,
        history: History,
        *,
        since: Position | None = None,
        limit: int | None = None,
    ) -> Replay:
        replay = await super().history(group, history, since=since, limit=limit)
        return replace(replay, complete=since is not None)


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
        return replace(replay, kept=(*replay.kept, *replay.kept[-1:]))


@pytest.mark.parametrize("layer", [Confident, Repeating])
def test_a_layer_that_lies_is_found_out(layer: type[MemoryLayer]) -> None:
    """A gap that is denied, and a publication that is replayed twice."""
    with in_memory(layer) as place, pytest.raises(AssertionError):
        explore(place, 50, shrink=False)


@pytest.mark.parametrize("layer", [MemoryLayer, Unreliable])
def test_groups_that_follow_no_history_are_found_out(
    monkeypatch: pytest.MonkeyPatch, layer: type[MemoryLayer]
) -> None:
    """Without a follower another history, a loss or a double reaches clients."""

    def take(follower: Any, publication: Publication, position: Position) -> bool:
        follower.position = position
        follower._deliver(publication)
        return False

    monkeypatch.setattr(Follower, "take", take)
    with in_memory(layer) as place, pytest.raises(AssertionError):
        explore(place, 50, shrink=False)
