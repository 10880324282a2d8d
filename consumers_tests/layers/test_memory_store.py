"""The store of one process's layers: that nothing stays in it for ever."""

from collections.abc import Iterator

import pytest

from consumers.clock import VirtualClock, current_clock
from consumers.layers import MemoryLayer, MemoryStore
from consumers_tests.layers.conformance.tools import FEW, LONG, Heard, Note, entry


@pytest.fixture
def clock() -> Iterator[VirtualClock]:
    """Let time stand still."""
    virtual = VirtualClock()
    token = current_clock.set(virtual)
    yield virtual
    current_clock.reset(token)


async def test_all_that_has_run_out_is_swept(clock: VirtualClock) -> None:
    """What nobody asks for again is dropped too, after so many calls as there are."""
    store = MemoryStore()
    layer = MemoryLayer(store)
    async with layer.running(Heard()):
        for number in range(1500):
            name = f"a.{number}"
            await layer.publish([Note(name, 1, FEW, "key")])
            await layer.enter(name, [entry("c1")], LONG)
            await layer.hold(name, LONG)
        clock.advance(400)
        for _ in range(5000):
            await layer.hold("another", LONG)
        left = (store.histories, store.presence, store.keys._known, store.leases)

        assert [len(each) for each in left] == [0, 0, 0, 1]


async def test_joining_and_leaving_leaves_nothing(clock: VirtualClock) -> None:
    """After ten thousand members have come and gone the store is as before."""
    store = MemoryStore()
    layer = MemoryLayer(store)
    async with layer.running(Heard()):
        for number in range(10_000):
            name = f"a.{number % 100}"
            await layer.subscribe(name)
            await layer.enter(name, [entry("c1")], LONG)
            await layer.exit(name, ["c1"], 0.0)
            await layer.unsubscribe(name)
        clock.advance(LONG)
        for _ in range(1000):
            await layer.hold("another", LONG)

        assert store.presence == {}
        assert layer.subscribed == set()
