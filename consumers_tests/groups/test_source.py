"""Hooks for the first member of a group and for the last: when they are called."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from anyio import sleep_forever

from consumers import (
    Group,
    Groups,
)
from consumers.clock import sleep
from consumers.groups.source import Generated
from consumers.testing.settling import settle
from consumers_tests.groups.feeds import (
    Recorder,
    ScriptedLayer,
    after,
    join,
    leave,
    passing_time,
)
from consumers_tests.groups.running import running


class Calls:
    """Hooks that say when they are called."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.seconds = 0.0

    async def first(self, name: str) -> None:
        await self._call("first", name)

    async def last(self, name: str) -> None:
        await self._call("last", name)

    async def _call(self, which: str, name: str) -> None:
        self.log.append(f"{which} {name}")
        try:
            await sleep(self.seconds)
        except BaseException:
            self.log.append(f"{which} {name} cut off")
            raise
        self.log.append(f"{which} {name} done")

    def take(self) -> list[str]:
        """Return what has happened since the last time."""
        taken, self.log = self.log, []
        return taken


async def test_hooks_are_called_for_the_first_and_the_last() -> None:
    """And not for those in between."""
    room, calls, one, two = Group("room.{name}"), Calls(), Recorder(), Recorder()
    groups = Groups("memory://", [room])
    assert groups.on_first_join(room)(calls.first) == calls.first
    assert groups.on_last_leave(room)(calls.last) == calls.last
    async with passing_time() as clock, groups:
        await join(groups, room("a"), one)
        await join(groups, room("a"), two)
        await after(clock, 10)
        assert calls.take() == ["first a", "first a done"]
        leave(groups, room("a"), two)
        await after(clock, 10)
        assert calls.take() == []
        leave(groups, room("a"), one)
        await after(clock, 10)
        assert calls.take() == ["last a", "last a done"]
        await join(groups, room("a"), one)
        await after(clock, 10)
        assert calls.take() == ["first a", "first a done"]
    assert calls.take() == ["last a", "last a done"]


async def test_hooks_take_turns() -> None:
    """Who comes while the last one's hook runs is a first one after it."""
    room, calls, one = Group("room.{name}"), Calls(), Recorder()
    groups = Groups("memory://", [room])
    groups.on_first_join(room)(calls.first)
    groups.on_last_leave(room)(calls.last)
    calls.seconds = 5
    async with passing_time() as clock, groups:
        await join(groups, room("a"), one)
        await after(clock, 6)
        leave(groups, room("a"), one)
        await after(clock, 1)
        await join(groups, room("a"), one)
        await after(clock, 1)
        assert calls.take() == ["first a", "first a done", "last a"]
        await after(clock, 4)
        assert calls.take() == ["last a done", "first a"]
        leave(groups, room("a"), one)
        await after(clock, 6)
        assert calls.take() == ["first a cut off", "last a", "last a done"]
        await join(groups, room("a"), one)
        leave(groups, room("a"), one)
        await after(clock, 6)
        assert calls.take() == []


async def test_the_last_hook_may_wait() -> None:
    """Who comes back within its linger is no first one."""
    room, calls, one = Group("room.{name}"), Calls(), Recorder()
    groups = Groups("memory://", [room])
    groups.on_last_leave(room, linger=5)(calls.last)
    groups.on_first_join(room)(calls.first)
    async with passing_time() as clock, groups:
        await join(groups, room("a"), one)
        await after(clock, 1)
        leave(groups, room("a"), one)
        await after(clock, 4)
        await join(groups, room("a"), one)
        await after(clock, 10)
        assert calls.take() == ["first a", "first a done"]
        leave(groups, room("a"), one)
        await after(clock, 4.9)
        assert calls.take() == []
        await after(clock, 0.2)
        assert calls.take() == ["last a", "last a done"]


async def test_hooks_that_fail_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """They are not called again, and the others are called."""
    room, calls, one = Group("room.{n}"), Calls(), Recorder()
    groups = Groups("memory://", [room])
    got: list[int] = []

    async def broken(n: int) -> None:
        got.append(n)
        raise ValueError("broken")

    async def other(n: str) -> None:
        calls.log.append(f"other {n}")

    for declare in (groups.on_first_join, groups.on_last_leave):
        declare(room)(broken)
        declare(room)(other)
    async with passing_time() as clock, groups:
        await join(groups, room(7), one)
        await after(clock, 100)
        assert calls.take() == ["other 7"]
        leave(groups, room(7), one)
        await after(clock, 100)
        assert calls.take() == ["other 7"]
    assert got == [7, 7]
    assert [str(each.exc_info[1]) for each in caplog.records if each.exc_info] == [
        "broken",
        "broken",
    ]


async def test_a_hook_has_ten_seconds_for_the_last() -> None:
    """One that hangs holds nothing up."""
    room, calls, one = Group("room.{name}"), Calls(), Recorder()
    groups = Groups("memory://", [room])
    groups.on_last_leave(room)(calls.last)
    calls.seconds = 100
    async with passing_time() as clock, groups:
        await join(groups, room("a"), one)
        await after(clock, 0)
        leave(groups, room("a"), one)
        await after(clock, 11)
        assert calls.take() == ["last a", "last a cut off"]
        assert not groups._local().sources._runners


async def test_a_stopped_source_has_its_hooks_still() -> None:
    """`stop` is about the source alone."""
    calls, one, groups = Calls(), Recorder(), Groups()

    async def endless(name: str) -> AsyncIterator[int]:
        await sleep_forever()
        yield 1

    group = groups.source("endless.{name}", linger=0)(endless)
    groups.on_first_join(group)(calls.first)
    groups.on_last_leave(group)(calls.last)
    async with passing_time() as clock, groups:
        await join(groups, group("a"), one)
        await after(clock, 1)
        await groups.stop(group("a"))
        await after(clock, 1)
        assert calls.take() == ["first a", "first a done"]
        leave(groups, group("a"), one)
        await after(clock, 1)
        assert calls.take() == ["last a", "last a done"]
    assert sum(isinstance(each, Generated) for each in group.sources) == 1


async def test_one_process_of_all_may_be_in_charge() -> None:
    """Between the two hooks there is one at a time."""
    room, calls, one, two = Group("room.{name}"), Calls(), Recorder(), Recorder()
    layer = ScriptedLayer()
    other = ScriptedLayer(layer.store)
    async with passing_time() as clock:
        async with running(layer, other, declared=[room]) as [here, there]:
            here.on_first_join(room, per="cluster")(calls.first)
            here.on_last_leave(room, per="cluster")(calls.last)
            await join(here, room("a"), one)
            await after(clock, 1)
            await join(there, room("a"), two)
            await after(clock, 30)
            assert calls.take() == ["first a", "first a done"]
            leave(here, room("a"), one)
            await after(clock, 1)
            assert calls.take() == [
                *("last a", "last a done"),
                *("first a", "first a done"),
            ]
        assert calls.take() == ["last a", "last a done"]


async def test_hooks_are_not_called_for_a_name_they_cannot_take() -> None:
    """Who joins is told."""
    room, one = Group("room.{n}"), Recorder()
    groups = Groups("memory://", [room])

    @groups.on_first_join(room)
    async def first(n: int) -> None:
        raise AssertionError

    async with passing_time(), groups:
        with pytest.raises(ValueError, match="n: Expected `int`"):
            await join(groups, "room.x", one)
        await settle()
