"""Leases by name: one holder, until it gives back or is gone. And what people ask."""

from collections.abc import Mapping

from consumers.history import Position

from .tools import (
    FEW,
    LONG,
    PAST,
    SHORT,
    MakeLayer,
    PassTime,
    entry,
    publish,
    started,
    two,
)


async def test_a_lease_has_one_holder(make_layer: MakeLayer) -> None:
    """Whoever comes first has it, and may renew it; leases have names."""
    async with two(make_layer) as (here, there):
        assert await here.hold("x", LONG)
        assert not await there.hold("x", LONG)
        assert await here.hold("x", LONG)
        assert await there.hold("y", LONG)
        assert not await here.hold("y", LONG)


async def test_a_lease_can_be_given_back(make_layer: MakeLayer) -> None:
    """When its holder gives it back the other can have it; only the holder can."""
    async with two(make_layer) as (here, there):
        await there.release("x")
        assert await here.hold("x", LONG)
        await there.release("x")
        assert not await there.hold("x", LONG)
        await here.release("x")
        assert await there.hold("x", LONG)
        assert not await here.hold("x", LONG)


async def test_a_lease_runs_out(make_layer: MakeLayer, pass_time: PassTime) -> None:
    """Who does not renew has it no longer, and can't give back what is another's."""
    async with two(make_layer) as (here, there):
        assert await here.hold("x", LONG)
        assert await here.hold("x", SHORT)
        await pass_time(PAST)

        assert await there.hold("x", LONG)
        await here.release("x")
        assert not await here.hold("x", LONG)


async def test_a_lease_is_renewed(make_layer: MakeLayer, pass_time: PassTime) -> None:
    """Who renews in time keeps it."""
    async with two(make_layer) as (here, there):
        assert await here.hold("x", SHORT)
        assert await here.hold("x", LONG)
        await pass_time(PAST)

        assert not await there.hold("x", LONG)


# What people ask


async def test_a_check_tells_how_long_it_took(make_layer: MakeLayer) -> None:
    """The time of a round trip is a number of seconds, and not many."""
    async with started(make_layer) as (layer, _):
        assert 0 <= await layer.check() < 5


async def test_an_overview_has_every_group(make_layer: MakeLayer) -> None:
    """It has who subscribes, what is kept and who is present, by name."""
    async with two(make_layer) as (here, there):
        await here.subscribe("b", "a")
        await there.subscribe("b")
        positions = await publish(here, 1, 2, 3, 4, group="kept", history=FEW)
        await there.enter("there", [entry("c1"), entry("c2", "c1")], LONG)
        overview = {each.group: each for each in await here.overview()}

        assert list(overview) == ["a", "b", "kept", "there"]
        assert [each.processes for each in overview.values()] == [1, 2, 0, 0]
        assert (
            overview["kept"].position
            == positions[-1]
            == (Position(4, positions[0].epoch))
        )
        assert [each.kept for each in overview.values()] == [0, 0, 3, 0]
        assert [each.present for each in overview.values()] == [0, 0, 0, 2]
        assert overview["a"].position is None


async def test_statistics_have_names(make_layer: MakeLayer) -> None:
    """What has happened can be asked for at any time."""
    async with started(make_layer) as (layer, _):
        statistics = layer.statistics()

        assert isinstance(statistics, Mapping)
        assert all(isinstance(name, str) for name in statistics)
