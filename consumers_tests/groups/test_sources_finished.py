"""Sources that one process of all runs: their ends, which count in all."""

from __future__ import annotations

import pytest

from consumers import History
from consumers_tests.groups.feeds import (
    Feed,
    Recorder,
    after,
    fed,
    join,
    leave,
    two,
)


async def test_one_that_has_ended_has_ended_everywhere() -> None:
    """Those who wait do not start it, nor who comes; the next first member does."""
    feed, one, other = Feed(values=2), Recorder(), Recorder()
    async with fed(feed, *two(), per="cluster") as (clock, [(here, a), (there, _)]):
        await join(here, a("a"), one)
        await after(clock, 0)
        await join(there, a("a"), other)
        await after(clock, 60)
        assert feed.take() == ["begin a", "end a"]

        leave(here, a("a"), one)
        await after(clock, 60)
        assert feed.take() == []  # the other's member has been there all along
        await join(here, a("a"), one)
        await after(clock, 0)
        assert feed.take() == ["begin a"]


async def test_its_holder_keeps_others_from_starting_it_again() -> None:
    """Who comes in another process after its end is no first member."""
    feed, one, other = Feed(values=2), Recorder(), Recorder()
    async with fed(feed, *two(), per="cluster") as (clock, [(here, a), (there, _)]):
        await join(here, a("a"), one)
        await after(clock, 5)
        await join(there, a("a"), other)
        await after(clock, 60)
        assert feed.take() == ["begin a", "end a"]
        leave(there, a("a"), other)
        leave(here, a("a"), one)
        await after(clock, 1)
        await join(there, a("a"), other)
        await after(clock, 1)
        assert feed.take() == ["begin a"]


@pytest.mark.parametrize("process", ["the same", "another"])
async def test_a_finished_history_is_not_made_twice(process: str) -> None:
    """Who comes within its time gets what is kept; later the source begins again."""
    feed, one, other = Feed(values=2), Recorder(), Recorder()
    kept = History(size=10, ttl=100)
    async with fed(feed, *two(), history=kept) as (clock, [(here, a), (there, _)]):
        await join(here, a("a"), one)
        await after(clock, 5)
        leave(here, a("a"), one)
        await after(clock, 10)
        returned = here if process == "the same" else there
        excerpt = await returned.history("feed.a")
        assert [each.message for each in excerpt.publications] == [0, 1]
        for _ in range(3):
            await join(returned, "feed.a", other)
            await after(clock, 15)
            leave(returned, "feed.a", other)
            await after(clock, 10)
        await join(returned, "feed.a", other)  # and stays
        await after(clock, 100)
        assert feed.take() == ["begin a", "end a"]
        leave(returned, "feed.a", other)
        await after(clock, 0)

        await join(returned, "feed.a", other)
        await after(clock, 5)
        assert feed.take() == ["begin a", "end a"]
        assert other.texts == ["0", "1"]


async def test_a_finished_history_is_marked_though_the_broker_was_away() -> None:
    """It is tried again, also where its members have left."""
    feed, one, other = Feed(values=2), Recorder(), Recorder()
    layer, second = two()
    kept = History(size=10, ttl=100)
    async with fed(feed, layer, second, history=kept, linger=3) as (
        clock,
        [(here, a), (there, _)],
    ):
        await join(here, a("a"), one)
        await after(clock, 1)
        leave(here, a("a"), one)
        layer.failing.add("hold")
        await after(clock, 4)
        assert feed.take() == ["begin a", "end a"]
        layer.failing.clear()
        await after(clock, 2)
        await join(there, a("a"), other)
        await after(clock, 60)
        assert feed.take() == []


async def test_it_is_stopped_everywhere() -> None:
    """Whoever stops it: its holder closes it, and nobody takes over."""
    feed, one, other = Feed(), Recorder(), Recorder()
    async with fed(feed, *two(), history=History(ttl=100)) as (
        clock,
        [(here, a), (there, _)],
    ):
        await join(here, a("a"), one)
        await after(clock, 1)
        await join(there, a("a"), other)
        await there.stop(a("a"))
        await after(clock, 60)
        assert feed.take() == ["begin a", "end a"]
        leave(here, a("a"), one)
        leave(there, a("a"), other)
        await after(clock, 1)
        await join(there, a("a"), other)
        await after(clock, 60)
        assert feed.take() == []
