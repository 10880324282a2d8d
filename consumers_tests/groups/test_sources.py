"""Sources of one process: they run while their group has members."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import anyio
import pytest
from anyio import create_task_group, fail_after

from consumers import (
    Coalesce,
    Group,
    Groups,
    InvalidParameters,
    StateError,
)
from consumers.clock import sleep
from consumers.testing.settling import settle
from consumers_tests.groups.feeds import (
    Feed,
    Recorder,
    ScriptedLayer,
    after,
    fed,
    join,
    leave,
    passing_time,
)


async def test_members_share_a_source() -> None:
    """It begins with the first member, and all get what it yields."""
    feed, one, two = Feed(), Recorder(), Recorder()
    async with fed(feed) as (clock, [(groups, group)]):
        await after(clock, 5)
        assert feed.take() == []
        await join(groups, group("a"), one)
        await after(clock, 2)
        await join(groups, "feed.a", two)
        await after(clock, 2)

        assert feed.take() == ["begin a"]
        assert one.texts == ["0", "1", "2", "3"]
        assert two.texts == ["2", "3"]


async def test_nothing_begins_for_who_may_still_be_refused() -> None:
    """But what runs goes on, though all others leave meanwhile."""
    feed, one, two = Feed(), Recorder(), Recorder()
    async with fed(feed, linger=3.0) as (clock, [(groups, group)]):
        name = group("a")
        await join(groups, name, one, hold=True)
        await after(clock, 5)
        leave(groups, name, one)
        await after(clock, 5)
        assert feed.take() == []

        membership = await join(groups, name, one, hold=True)
        groups.release(name, membership, one, None)
        await after(clock, 1)
        leave(groups, name, one)
        membership = await join(groups, name, two, hold=True)
        await after(clock, 5)
        groups.release(name, membership, two, None)
        await after(clock, 1)
        assert feed.take() == ["begin a"]
        leave(groups, name, two)
        await after(clock, 5)
        assert feed.take() == ["end a"]


async def test_what_ends_begins_anew_for_who_was_not_refused() -> None:
    """Who is held while it ends does not bring it back."""
    feed, one, two = Feed(), Recorder(), Recorder()
    async with fed(feed, linger=0) as (clock, [(groups, group)]):
        name = group("a")
        await join(groups, name, one)
        await after(clock, 1)
        leave(groups, name, one)
        membership = await join(groups, name, two, hold=True)
        await after(clock, 5)
        assert feed.take() == ["begin a", "end a"]
        groups.release(name, membership, two, None)
        await after(clock, 1)
        assert feed.take() == ["begin a"]


async def test_each_group_has_its_own() -> None:
    """A source gets its group's parameters."""
    feed, one = Feed(), Recorder()
    async with fed(feed) as (clock, [(groups, group)]):
        await join(groups, group("a"), one)
        await join(groups, group("b.c"), one)
        await after(clock, 1)
        leave(groups, group("a"), one)
        await after(clock, 6)

        assert sorted(feed.take()) == ["begin a", "begin b.c", "end a"]


async def test_it_ends_some_time_after_the_last_member() -> None:
    """Who comes back within that time finds it going on."""
    feed, one, two = Feed(), Recorder(), Recorder()
    async with fed(feed, linger=3.0) as (clock, [(groups, group)]):
        await join(groups, group("a"), one)
        await join(groups, group("a"), two)
        leave(groups, group("a"), two)
        await after(clock, 9.5)
        leave(groups, group("a"), one)
        await after(clock, 2.9)
        await join(groups, group("a"), one)
        await after(clock, 10)
        assert feed.take() == ["begin a"]
        assert one.texts == [str(n) for n in range(22) if n not in (9, 10, 11)]

        leave(groups, group("a"), one)
        await after(clock, 2.9)
        assert feed.take() == []
        await after(clock, 0.2)
        assert feed.take() == ["end a"]
        assert not groups._local().sources._runners


async def test_without_lingering_it_ends_at_once() -> None:
    """What is 0 takes no time."""
    feed, one = Feed(), Recorder()
    async with fed(feed, linger=0) as (clock, [(groups, group)]):
        await join(groups, group("a"), one)
        await after(clock, 1)
        leave(groups, group("a"), one)
        await settle()

        assert feed.take() == ["begin a", "end a"]


async def test_who_comes_while_it_cleans_up_waits_for_the_next() -> None:
    """Never do two run at once; one that left again meanwhile has none started."""
    feed, one = Feed(), Recorder()
    feed.clean_up = 5
    async with fed(feed, linger=0) as (clock, [(groups, group)]):
        for stays in (True, False):
            await join(groups, group("a"), one)
            await after(clock, 6)
            leave(groups, group("a"), one)
            await after(clock, 1)
            await join(groups, group("a"), one)
            await after(clock, 1)
            assert feed.take() == ["begin a"]
            if not stays:
                leave(groups, group("a"), one)
            await after(clock, 4)
            assert feed.take() == (["end a", "begin a"] if stays else ["end a"])
            leave(groups, group("a"), one)
            await after(clock, 10)
            feed.take()
        assert feed.most == 1


async def test_a_member_that_leaves_at_once_starts_nothing() -> None:
    """Who has left before the source could begin leaves none behind."""
    feed, one = Feed(), Recorder()
    async with fed(feed) as (clock, [(groups, group)]):
        await join(groups, group("a"), one)
        leave(groups, group("a"), one)
        await after(clock, 1)
        assert feed.take() == []
        await join(groups, group("a"), one)
        leave(groups, group("a"), one)
        await join(groups, group("a"), one)
        await after(clock, 1)
        assert feed.take() == ["begin a"]


async def test_a_member_that_leaves_while_it_joins_starts_nothing() -> None:
    """A connection may end while the layer subscribes to its group."""
    feed, one, layer = Feed(), Recorder(), ScriptedLayer()
    async with fed(feed, layer) as (clock, [(groups, group)]), create_task_group() as t:
        layer.blocked["subscribe"] = anyio.Event()
        t.start_soon(join, groups, group("a"), one)
        await settle()
        leave(groups, group("a"), one)
        layer.blocked["subscribe"].set()
        await after(clock, 2)

        assert feed.take() == []
        assert not groups._local().sources._runners


async def test_each_process_has_its_own_and_nothing_travels() -> None:
    """The layer carries nothing of it, and members get their own process's values."""
    feed, one, two, layer = Feed(), Recorder(), Recorder(), ScriptedLayer()
    other = ScriptedLayer(layer.store)
    async with fed(feed, layer, other) as (clock, [(here, group), (there, _)]):
        await join(here, group("a"), one)
        await after(clock, 1)
        await join(there, "feed.a", two)
        await after(clock, 2)

        assert feed.most == 2
        assert one.texts == ["0", "1", "2"]
        assert two.texts == ["0", "1"]
        assert layer.times("publish") == other.times("publish") == 0

        await here.stop(group("a"))
        await after(clock, 2)
        assert feed.running == 0


async def test_the_end_of_the_groups_closes_it() -> None:
    """A member that never leaves keeps nothing running; clean-up is waited for."""
    feed, one = Feed(), Recorder()
    async with fed(feed) as (clock, [(groups, group)]):
        await join(groups, group("a"), one)
        await after(clock, 1)
    assert feed.take() == ["begin a", "end a"]


async def test_a_source_needs_the_groups_to_run() -> None:
    """Who joins without their lifespan is told, and is no member."""
    groups, one, feed = Groups(), Recorder(), Feed()
    group = groups.source("feed.{name}")(feed.run)
    with fail_after(5):
        with pytest.raises(StateError, match=r"lifespan=groups\.lifespan"):
            await join(groups, group("a"), one)
        assert await groups.count(group("a")) == 0


async def test_a_name_that_a_source_cannot_take_is_told_to_who_joins() -> None:
    """It is converted to the annotation, as a path parameter is."""
    numbers: list[int] = []

    async def source(n: int) -> AsyncIterator[int]:
        numbers.append(n)
        yield n

    groups, one = Groups(), Recorder()
    group = groups.source("number.{n}")(source)
    async with passing_time(), groups:
        await join(groups, group(7), one)
        with pytest.raises(InvalidParameters, match=r"^n: Expected `int`"):
            await join(groups, "number.seven", one)
        await settle()
        assert numbers == [7]
        assert one.texts == ["7"]
        assert await groups.count("number.seven") == 0


async def test_one_that_never_waits_lets_others_run() -> None:
    """It can be ended, too."""
    ended = anyio.Event()

    async def hasty() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
        finally:
            ended.set()

    groups, one = Groups(), Recorder()
    group = groups.source("hasty", linger=0)(hasty)
    async with passing_time(), groups:
        await join(groups, group, one)
        while len(one.texts) < 10:
            await anyio.lowlevel.checkpoint()
        leave(groups, group, one)
        await ended.wait()


async def test_what_it_yields_is_coalesced() -> None:
    """Its values take the way of all publications, once they are here."""

    async def fast() -> AsyncIterator[int]:
        for n in range(10):
            yield n
            await sleep(0.1)
        await sleep(10)

    groups, one = Groups(), Recorder()
    group = groups.source("fast", outbox=Coalesce(every=0.5))(fast)
    async with passing_time() as clock, groups:
        await join(groups, group, one)
        await after(clock, 2)
        assert one.texts[0] == "0"
        assert one.texts[-1] == "9"
        assert len(one.texts) == 3


async def test_groups_without_sources_have_no_tasks() -> None:
    """Nothing runs for them, and nothing is remembered."""
    room = Group("room.{name}")
    groups, one = Groups("memory://", [room]), Recorder()
    async with passing_time() as clock, groups:
        for n in range(10):
            await join(groups, room(n), one)
        await after(clock, 1)
        assert not groups._local().sources._runners
        before = len(anyio.get_running_tasks())
        await join(groups, room("x"), one)
        assert len(anyio.get_running_tasks()) == before


async def test_many_groups_leave_nothing_behind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Hundreds of groups that came and went are forgotten."""
    feed, one = Feed(), Recorder()
    with caplog.at_level(logging.WARNING):
        async with fed(feed, linger=1) as (clock, [(groups, group)]):
            for n in range(300):
                await join(groups, group(n), one)
            await after(clock, 0.5)
            assert feed.running == 300
            for n in range(300):
                leave(groups, group(n), one)
            clock.advance(2)
            await settle()
            assert feed.running == 0
            assert not groups._local().sources._runners
