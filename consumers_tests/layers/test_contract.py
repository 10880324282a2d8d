"""The contract: that the suite for every layer tells a layer that breaks it."""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext

import anyio
import pytest

from consumers.clock import VirtualClock, current_clock
from consumers.history import History, Position
from consumers.layers import (
    Changes,
    Entry,
    Layer,
    MemoryLayer,
    MemoryStore,
    Parcel,
    Receiver,
    Renewal,
    Replay,
)
from consumers_tests.layers import conformance


class Backwards(MemoryLayer):
    """Delivers every second publication behind the next."""

    _held: tuple[Parcel, ...] = ()

    async def publish(self, parcels: Sequence[Parcel]) -> list[Position | None]:
        held, self._held = self._held, () if self._held else tuple(parcels)
        return await super().publish([*parcels, *held]) if held else [None]


class Restless(MemoryLayer):
    """Goes on after it was stopped."""

    _all: list[MemoryLayer] = []  # noqa: RUF012  shared on purpose

    def running(self, receiver: Receiver) -> AbstractAsyncContextManager[None]:
        self._all.append(self)
        self.start(receiver)
        return nullcontext()

    async def publish(self, parcels: Sequence[Parcel]) -> list[Position | None]:
        for layer in self._all:
            positions = await MemoryLayer.publish(layer, parcels)
        return positions


class Twice(MemoryLayer):
    """Delivers everything twice."""

    async def publish(self, parcels: Sequence[Parcel]) -> list[Position | None]:
        return await super().publish([*parcels, *parcels])


class Forgetful(MemoryLayer):
    """Knows no idempotency keys: each call is another one to it."""

    async def publish(self, parcels: Sequence[Parcel]) -> list[Position | None]:
        self._store.keys.clear()
        return await super().publish(parcels)


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
        return Replay(replay.kept, replay.position, since is not None)


class Flapping(MemoryLayer):
    """Tells at once who left."""

    async def exit(self, group: str, connections: Sequence[str], linger: float) -> None:
        await super().exit(group, connections, 0.0)


class Immortal(MemoryLayer):
    """Has everybody present for ever."""

    async def enter(
        self, group: str, entries: Sequence[Entry], lease: float
    ) -> Changes:
        return await super().enter(group, entries, 1e9)


class Held(MemoryLayer):
    """Thinks that it holds what it does not."""

    async def renew(self, leases: Mapping[str, float]) -> dict[str, Renewal]:
        renewals = await super().renew(leases)
        return {group: Renewal(True, each.left) for group, each in renewals.items()}


class Generous(MemoryLayer):
    """Lends everything to everybody."""

    async def hold(self, name: str, seconds: float) -> bool:
        await super().hold(name, seconds)
        return True


@pytest.mark.parametrize(
    ("layer", "test"),
    [
        (Backwards, conformance.test_one_tasks_publications_keep_their_order),
        (Twice, conformance.test_a_group_is_heard_after_subscribing),
        (Restless, conformance.test_a_stopped_layer_is_silent),
        (Forgetful, conformance.test_a_repeated_key_is_not_carried),
        (Confident, conformance.test_no_more_is_kept_than_declared),
        (Confident, conformance.test_a_position_that_never_was_is_not_complete),
        (Flapping, conformance.test_who_returns_in_time_is_not_told),
        (Immortal, conformance.test_a_process_that_never_renews_is_gone),
        (Held, conformance.test_a_process_that_never_renews_is_gone),
        (Generous, conformance.test_a_lease_has_one_holder),
    ],
)
def test_the_suite_fails_for_a_layer_that_breaks_it(
    layer: type[MemoryLayer], test: Callable[..., Awaitable[None]]
) -> None:
    """A layer that loses, repeats, invents or goes on is found out."""
    clock, store = VirtualClock(), MemoryStore()

    async def pass_time(seconds: float) -> None:
        clock.advance(seconds)

    async def run() -> None:
        current_clock.set(clock)
        given = {"make_layer": lambda: layer(store), "pass_time": pass_time}
        wanted = inspect.signature(test).parameters
        await test(**{name: given[name] for name in wanted})

    with pytest.raises(AssertionError):
        anyio.run(run)


@pytest.mark.parametrize(
    "name", [name for name in vars(Layer) if not name.startswith("_")]
)
def test_the_memory_layer_has_the_contracts_signatures(name: str) -> None:
    """The parameters are those that the contract names."""
    contract, memory = getattr(Layer, name), getattr(MemoryLayer, name)

    if callable(contract):
        assert inspect.signature(memory) == inspect.signature(contract)
