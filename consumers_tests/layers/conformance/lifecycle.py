"""A layer begins and ends, whatever happens meanwhile."""

import anyio
import pytest
from anyio import fail_after

from .tools import Heard, MakeLayer, Note, started


async def test_a_stopped_layer_is_silent(make_layer: MakeLayer) -> None:
    """After its context has ended nothing is delivered, whoever publishes."""
    async with started(make_layer) as (other, _):
        async with started(make_layer) as (layer, heard):
            await layer.subscribe("a")
            await layer.publish([Note("a", 1)])
            await heard.until(1)
        await other.publish([Note("a", 2)])
        await anyio.wait_all_tasks_blocked()

        assert heard.messages() == [1]


async def test_a_layer_can_be_stopped_and_another_started(
    make_layer: MakeLayer,
) -> None:
    """What is started after a stop works as the first did."""
    for _ in range(2):
        async with started(make_layer) as (layer, heard):
            await layer.subscribe("a")
            await layer.publish([Note("a", 1)])
            assert await heard.until(1) == [1]


async def test_a_cancelled_start_leaves_nothing(make_layer: MakeLayer) -> None:
    """A start that is cancelled ends, and the next layer works."""
    layer, heard = make_layer(), Heard()
    with fail_after(5), anyio.CancelScope() as scope:
        scope.cancel()
        async with layer.running(heard):
            pass

    async with started(make_layer) as (other, others):
        await other.subscribe("a")
        await other.publish([Note("a", 1)])
        assert await others.until(1) == [1]
    assert heard.deliveries == []


async def test_what_its_body_raises_comes_out_as_it_is(make_layer: MakeLayer) -> None:
    """An exception in the context ends the layer and is in no exception group."""

    async def fail() -> None:
        async with started(make_layer) as (layer, _):
            await layer.subscribe("a")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
