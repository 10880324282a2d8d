"""The layer of one process, against the suite for every layer."""

from collections.abc import Iterator

import anyio
import pytest

from consumers.clock import VirtualClock, current_clock
from consumers.layers import Layer, MemoryLayer, MemoryStore
from consumers_tests.layers.conformance import *  # noqa: F403  the tests
from consumers_tests.layers.conformance import MakeLayer, PassTime


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
