"""The layer of one process, against the suite for every layer."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import anyio
import pytest

from consumers.clock import VirtualClock, current_clock
from consumers.history import History
from consumers.layers import Layer, MemoryLayer, MemoryStore
from consumers_tests.layers.conformance import *  # noqa: F403  the tests
from consumers_tests.layers.conformance import MakeLayer, PassTime
from consumers_tests.layers.conformance.tools import KEEP, LONG, Heard, Note, entry


@pytest.fixture
def make_layer() -> MakeLayer:
    """Return what makes a layer of this process."""
    store = MemoryStore()
    return lambda: MemoryLayer(store)


@pytest.fixture(autouse=True)
def clock() -> Iterator[VirtualClock]:
    """Let time stand still."""
    virtual = VirtualClock()
    token = current_clock.set(virtual)
    yield virtual
    current_clock.reset(token)


@pytest.fixture
def pass_time(clock: VirtualClock) -> PassTime:
    """Return what advances the clock."""

    async def advance(seconds: float) -> None:
        clock.advance(seconds)
        await anyio.lowlevel.checkpoint()

    return advance


def test_it_is_local() -> None:
    """It ends at this process, so nothing is encoded for it."""
    layer: Layer = MemoryLayer()

    assert layer.local


async def test_it_may_be_entered_and_left_alone() -> None:
    """No task and no generator stays behind in an event loop that just ends."""
    layer, heard = MemoryLayer(), Heard()
    await layer.running(heard).__aenter__()
    await layer.subscribe("a")
    await layer.publish([Note("a", 1)])

    assert heard.messages() == [1]


async def test_one_that_does_not_run_goes_by_the_clock_of_those_that_do() -> None:
    """A thread's has none of its own; by another one all would have run out."""
    store = MemoryStore()
    running, idle = MemoryLayer(store), MemoryLayer(store)
    async with running.running(Heard()):
        [position] = await running.publish([Note("kept", 1, KEEP)])
        replay = await idle.history("kept", KEEP)
        assert replay.position == position
        assert len(replay.kept) == 1


async def test_what_nobody_keeps_is_carried_without_the_store() -> None:
    """A publication to a group without history waits for no other event loop."""
    store, heard = MemoryStore(), Heard()
    layer = MemoryLayer(store)
    async with layer.running(heard):
        await layer.subscribe("a")
        with store.lock:
            await layer.publish([Note("a", 1)])

    assert heard.messages() == [1]


def test_event_loops_in_threads_share_a_store() -> None:
    """Layers on loops of both kinds, each in a thread, keep one history of all."""
    store, told, backends = MemoryStore(), Barrier(3), ("asyncio", "trio", "trio")

    async def publish(name: str) -> None:
        layer, heard = MemoryLayer(store), Heard()
        async with layer.running(heard):
            await layer.subscribe("a")
            await layer.enter("a", [entry(name)], LONG)
            told.wait(10)
            for number in range(300):
                await layer.publish([Note("a", number, History(size=1000))])
            told.wait(10)
            assert len(heard.messages()) == 300
            kept = (await layer.history("a", KEEP)).kept
            assert [each.position.offset for each in kept] == list(range(1, 901))
            assert (await layer.count("a")).connections == 3
            assert [each.processes for each in await layer.overview()] == [3]
            told.wait(10)

    def run(number: int) -> None:
        # A thread has a context of its own: the clock is the real one.
        anyio.run(publish, f"c{number}", backend=backends[number])

    with ThreadPoolExecutor(3) as threads:
        assert list(threads.map(run, range(3), timeout=20)) == [None] * 3


async def test_it_counts_what_it_kept() -> None:
    """Its statistics tell what was kept, and what was a repetition."""
    layer = MemoryLayer()
    async with layer.running(Heard()):
        await layer.publish([Note("a", 1, KEEP, "key"), Note("a", 2, KEEP, "key")])

        assert layer.statistics() == {"kept": 1, "repeated": 1}


@pytest.mark.parametrize(("workers", "lines"), [(1, 0), (2, 1)])
async def test_several_workers_are_warned_of_once(
    workers: int,
    lines: int,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where a group has members, and not for a process's own; it says what to do."""
    monkeypatch.setattr(MemoryLayer, "workers", workers)
    layer = MemoryLayer()
    await layer.subscribe("@node.this")
    assert caplog.messages == []
    for group in ("chat", "other"):
        await layer.subscribe(group)

    assert len(caplog.messages) == lines
    assert all("write Groups('redis://...')" in each for each in caplog.messages)
