"""What is declared as a source or a hook, and how hooks are called."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import anyio
import pytest
from anyio import fail_after, sleep_forever, wait_all_tasks_blocked

from consumers import (
    ConfigurationError,
    DropOldest,
    Group,
    Groups,
    History,
    Provide,
    WebSocketConsumer,
)
from consumers.clock import sleep
from consumers.groups.source import Generated
from consumers_tests.groups.feeds import (
    Recorder,
    ScriptedLayer,
    after,
    join,
    leave,
    passing_time,
)
from consumers_tests.groups.running import running


async def numbers(name: str) -> AsyncIterator[int]:
    yield 1


async def texts_and_numbers(name: str, n: int) -> AsyncIterator[int]:
    yield n


async def plain(name: str) -> int:
    return 1


def provided() -> int:
    return 1


async def with_provider(
    name: str, n: Annotated[int, Provide(provided)]
) -> AsyncIterator[int]:
    yield n


async def with_connection(name: str, ws: WebSocketConsumer) -> AsyncIterator[int]:
    yield 1


async def with_object(name: dict[str, int]) -> AsyncIterator[int]:
    yield 1


async def with_unknown(name: Unknown) -> AsyncIterator[int]:  # type: ignore[name-defined]  # noqa: F821
    yield 1


async def without(other: str) -> AsyncIterator[int]:
    yield 1


async def with_rest(*names: str) -> AsyncIterator[int]:
    yield 1


def test_a_source_makes_a_group() -> None:
    """It is declared in the groups; a string that is its name is that group."""
    groups = Groups()
    group = groups.source("numbers.{name}", sends=int, presence=True)(numbers)

    assert isinstance(group, Group)
    assert groups.declared == [group]
    assert group.sends == (int,)
    assert group.presence is not None
    assert groups.resolve("numbers.a") == group("a")


@pytest.mark.parametrize(
    ("options", "per"),
    [
        ({}, "process"),
        ({"per": "process"}, "process"),
        ({"per": "cluster"}, "cluster"),
        ({"history": History()}, "cluster"),
        # In memory: with a history that event loops share.
        ({"history": History(), "per": "process"}, "cluster"),
    ],
)
def test_who_runs_it(options: dict[str, Any], per: str) -> None:
    """With a history one runs for all, since it would be kept twice otherwise."""
    group = Groups().source("numbers.{name}", **options)(numbers)
    (source,) = group.sources

    assert source.per == per


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (plain, "must be an async generator function"),
        (texts_and_numbers, r"texts_and_numbers must take the parameters"),
        (without, r"nothing else, got \['other'\]; write async def without\(name\)"),
        (with_provider, "must take the parameters"),
        (with_connection, "leave 'ws' out"),
        (with_object, "'name' must have a type that a"),
        (with_unknown, "annotations of with_unknown must be defined before it"),
        (with_rest, "filled by name"),
        ("numbers", "must be an async generator function"),
    ],
)
def test_a_function_that_can_be_no_source(function: Any, text: str) -> None:
    """It is told at once, and nothing is declared."""
    groups = Groups()
    with pytest.raises(ConfigurationError, match=text):
        groups.source("numbers.{name}")(function)
    assert groups.declared == []


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"linger": -1}, "linger= of a source must be a number of seconds, got -1"),
        ({"linger": "5"}, "linger= of a source"),
        ({"lease": 0}, "lease= of a source must be a positive number of seconds"),
        ({"lease": True}, "lease= of a source"),
        ({"per": "host"}, "per= of a source must be 'process' or 'cluster'"),
        ({"history": History(), "outbox": DropOldest()}, "must not lose"),
        ({"history": 100}, "must be a History"),
    ],
)
def test_options_that_cannot_work(options: dict[str, Any], text: str) -> None:
    """They are told at once."""
    with pytest.raises(ConfigurationError, match=text):
        Groups().source("numbers.{name}", **options)


def test_processes_that_share_a_history_share_its_source() -> None:
    """Each with its own would publish everything as often as there are processes."""
    groups = Groups("redis://127.0.0.1:1")
    with pytest.raises(ConfigurationError, match="write per='cluster'"):
        groups.source("numbers.{name}", history=History(), per="process")
    group = groups.source("numbers.{name}", history=History())(numbers)
    assert [each.per for each in group.sources] == ["cluster"]


def test_two_sources_of_one_pattern() -> None:
    """A pattern is declared once."""
    groups = Groups()
    groups.source("numbers.{name}")(numbers)
    with pytest.raises(ConfigurationError, match="declared once"):
        groups.source("numbers.{name}")(numbers)


async def test_only_a_group_with_a_source_can_be_stopped() -> None:
    """Hooks are none."""
    room = Group("room.{name}")
    groups = Groups("memory://", [room])

    @groups.on_first_join(room)
    async def first(name: str) -> None:
        raise AssertionError

    with fail_after(5):
        for group in (room("a"), "other"):
            with pytest.raises(ConfigurationError, match="a group with a source"):
                await groups.stop(group)


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


def test_what_can_be_no_hook() -> None:
    """It is told at once."""
    room = Group("room.{name}")
    groups = Groups("memory://", [room])
    calls: Any = Calls()

    with pytest.raises(ConfigurationError, match="a hook must be 'async def'"):
        groups.on_first_join(room)(lambda name: None)  # type: ignore[type-var]
    with pytest.raises(ConfigurationError, match="must take the parameters"):
        groups.on_last_leave(room)(anyio.aclose_forcefully)
    with pytest.raises(ConfigurationError, match=r"declared in these Groups"):
        groups.on_first_join(Group("other.{name}"))(calls.first)
    with pytest.raises(ConfigurationError, match="per= of a hook"):
        groups.on_first_join(room, per="host")(calls.first)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="linger= of a hook"):
        groups.on_last_leave(room, linger=-1)
    assert room.sources == []


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
        await wait_all_tasks_blocked()
