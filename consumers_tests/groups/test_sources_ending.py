"""Sources that fail, return, are stopped or misbehave."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest
from anyio import create_task_group

from consumers import (
    Groups,
)
from consumers.clock import sleep
from consumers.codecs import CODECS
from consumers.testing.settling import settle
from consumers_tests.groups.feeds import (
    Feed,
    Recorder,
    after,
    fed,
    join,
    leave,
    passing_time,
)


async def test_clean_up_takes_a_limited_time() -> None:
    """A clean-up at a `yield` may await, for ten seconds."""
    log: list[str] = []

    async def stubborn() -> AsyncIterator[int]:
        try:
            yield 1
            await sleep(5)
            yield 2
        finally:
            log.append("begin")
            await sleep(1)
            log.append("middle")
            await sleep(20)
            log.append("never")

    class Gone(Recorder):
        def deliver(self, publication: object) -> None:
            leave(groups, group, self)

    groups = Groups()
    group = groups.source("stubborn", linger=0)(stubborn)
    async with passing_time() as clock, groups:
        await join(groups, group, Gone())
        await after(clock, 9.9)
        assert log == ["begin", "middle"]
        assert groups._local().sources._runners
        await after(clock, 0.2)
        assert log == ["begin", "middle"]
        assert not groups._local().sources._runners


async def test_one_that_fails_is_started_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """After 1, 2, 4, … 30 seconds; each failure is logged once, with its traceback."""
    feed, one = Feed(), Recorder()
    feed.failing = ValueError("no data")
    async with fed(feed) as (clock, [(groups, group)]):
        await join(groups, group("a"), one)
        for pause in (1, 2, 4, 8, 16, 30, 30):
            await after(clock, 1 + pause - 0.1)
            assert feed.take() == ["begin a", "end a"], pause
            [record] = caplog.records
            assert record.exc_info is not None
            assert record.exc_info[1] is feed.failing
            assert f"group feed.a; it is started again in {pause} s" in caplog.text
            caplog.clear()
            await after(clock, 0.1)
        feed.failing = None
        await after(clock, 40)
        feed.failing = ValueError("once more")
        await after(clock, 1.9)
        assert feed.take() == ["begin a", "end a"]
        await after(clock, 1)
        assert feed.take() == ["begin a"]


async def test_one_that_fails_is_not_started_again_for_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The last member's leaving ends the wait, too."""
    feed, one = Feed(), Recorder()
    feed.failing = ValueError("no data")
    async with fed(feed, linger=0) as (clock, [(groups, group)]):
        await join(groups, group("a"), one)
        await after(clock, 1.5)
        leave(groups, group("a"), one)
        await after(clock, 100)
        assert feed.take() == ["begin a", "end a"]
    assert "no data" in caplog.text


async def test_one_that_returns_has_ended() -> None:
    """The next first member starts it again, lingering or not."""
    feed, one, two = Feed(values=2), Recorder(), Recorder()
    async with fed(feed, linger=5) as (clock, [(groups, group)]):
        await join(groups, group("a"), one)
        await after(clock, 10)
        await join(groups, group("a"), two)
        await after(clock, 10)
        assert feed.take() == ["begin a", "end a"]
        leave(groups, group("a"), one)
        leave(groups, group("a"), two)
        await join(groups, group("a"), one)
        await after(clock, 10)
        assert feed.take() == ["begin a", "end a"]
        leave(groups, group("a"), one)
        await after(clock, 0)
        assert not groups._local().sources._runners


async def test_one_may_return_while_nobody_is_there() -> None:
    """Then nothing is left of it, and the next first member starts it again."""
    feed, one = Feed(values=2), Recorder()
    async with fed(feed, linger=5) as (clock, [(groups, group)]):
        await join(groups, group("a"), one)
        await after(clock, 1)
        leave(groups, group("a"), one)
        await after(clock, 2)
        assert feed.take() == ["begin a", "end a"]
        assert not groups._local().sources._runners
        await join(groups, group("a"), one)
        await after(clock, 1)
        assert feed.take() == ["begin a"]


@pytest.mark.parametrize("when", ["before", "begun", "failed", "lingers"])
async def test_one_can_be_stopped(when: str, caplog: pytest.LogCaptureFixture) -> None:
    """At whatever point it is stopped, it counts as ended."""
    feed, one = Feed(), Recorder()
    async with fed(feed) as (clock, [(groups, group)]):
        await groups.stop(group("a"))
        await join(groups, group("a"), one)
        if when != "before":
            await after(clock, 2)
        if when == "failed":
            feed.failing = ValueError("no data")
            await after(clock, 1.5)
        if when == "lingers":
            leave(groups, group("a"), one)
        await groups.stop("feed.a")
        await groups.stop("feed.a")
        await after(clock, 100)
        assert feed.running == 0
        assert feed.take() == ([] if when == "before" else ["begin a", "end a"])

        feed.failing = None
        leave(groups, group("a"), one)
        await join(groups, group("a"), one)
        await after(clock, 1)
        assert feed.take() == ["begin a"]


async def test_one_that_cleans_up_can_be_stopped_before_it_starts_again() -> None:
    """Who came back meanwhile, and then stopped it, does not get it."""
    feed, one = Feed(), Recorder()
    feed.clean_up = 5
    async with fed(feed, linger=0) as (clock, [(groups, group)]):
        await join(groups, group("a"), one)
        await after(clock, 6)
        leave(groups, group("a"), one)
        await after(clock, 1)
        await join(groups, group("a"), one)
        await groups.stop(group("a"))
        await after(clock, 20)
        assert feed.take() == ["begin a", "end a"]


async def test_a_value_that_the_group_does_not_send_is_a_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The fault is the source's, and is told in the log."""
    feed, one = Feed(), Recorder()
    async with fed(feed, sends=str) as (clock, [(groups, group)]):
        await join(groups, group("a"), one)
        await after(clock, 1)
        assert feed.take() == ["begin a", "end a"]
    assert "sends str, got int" in caplog.text


async def test_a_value_that_a_member_cannot_send_is_dropped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The others get it, and the source goes on."""
    feed, one, two = Feed(), Recorder(CODECS["text"]), Recorder()
    async with fed(feed) as (clock, [(groups, group)]):
        await join(groups, group("a"), one)
        await join(groups, group("a"), two)
        await after(clock, 2)
        assert two.texts == ["0", "1"]
    assert len(caplog.records) == 2
    assert "a publication to feed.a is dropped" in caplog.text


async def test_one_may_have_a_task_group_of_its_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Around its `yield` too: being closed there is no failure."""
    log: list[str] = []

    async def grouped() -> AsyncIterator[int]:
        async with create_task_group() as tasks:
            tasks.start_soon(anyio.sleep_forever)
            try:
                yield 1
            finally:
                log.append("closed")

    class Gone(Recorder):
        def deliver(self, publication: object) -> None:
            leave(groups, group, self)

    groups = Groups()
    group = groups.source("grouped", linger=0)(grouped)
    async with passing_time(), groups:
        await join(groups, group, Gone())
        await settle()
        assert log == ["closed"]
        assert not groups._local().sources._runners
    assert caplog.records == []
