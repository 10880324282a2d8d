"""One task tells every connection when it is time to look."""

from collections.abc import Callable
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from consumers.clock import VirtualClock, current_clock
from consumers.runtime.heartbeats import Heartbeats, current_heartbeats


class Host:
    """A connection, as far as heartbeats know it."""

    def __init__(self, looks: list[str], name: str) -> None:
        self.looks = looks
        self.name = name
        self.tasks = 0
        self.scope = anyio.CancelScope()
        self.group: Any = None

    def look(self) -> None:
        """Note that it was time."""
        self.looks.append(self.name)

    def spawn(self, function: Callable[[], Any]) -> None:
        """Start a task."""
        self.tasks += 1

        async def run() -> None:
            with self.scope:
                await function()

        self.group.start_soon(run)


@pytest.fixture
def clock() -> VirtualClock:
    """Return a clock that stands still."""
    return VirtualClock()


async def pass_time(clock: VirtualClock, seconds: float) -> None:
    """Let what waits begin to wait, move the clock, and let what is due be done."""
    await anyio.wait_all_tasks_blocked()
    clock.advance(seconds)
    await anyio.wait_all_tasks_blocked()


async def test_each_is_told_at_its_time(clock: VirtualClock) -> None:
    """In order of what is due, also what was told last and is due first."""
    current_clock.set(clock)
    looks: list[str] = []
    beats = Heartbeats()
    hosts = {name: Host(looks, name) for name in ("late", "soon")}
    async with anyio.create_task_group() as group:
        for name, host in hosts.items():
            host.group = group
            beats.tell(host, 20.0 if name == "late" else 10.0)
            await anyio.wait_all_tasks_blocked()
        await pass_time(clock, 9.9)
        before = [*looks]
        await pass_time(clock, 0.1)
        soon = [*looks]
        await pass_time(clock, 10.0)

    assert (before, soon, looks) == ([], ["soon"], ["soon", "late"])
    assert [host.tasks for host in hosts.values()] == [1, 0]
    assert len(beats) == 0


async def test_the_task_moves_when_its_host_ends(clock: VirtualClock) -> None:
    """The next connection takes it in, and who was forgotten is not told."""
    current_clock.set(clock)
    looks: list[str] = []
    beats = Heartbeats()
    first, second = Host(looks, "first"), Host(looks, "second")
    async with anyio.create_task_group() as group:
        first.group = second.group = group
        number = beats.tell(first, 10.0)
        beats.tell(second, 10.0)
        await anyio.wait_all_tasks_blocked()
        beats.forget(number)
        first.scope.cancel()
        await pass_time(clock, 10.0)

    assert looks == ["second"]
    assert (first.tasks, second.tasks) == (1, 1)


async def test_who_is_cancelled_does_not_take_it_in_again(clock: VirtualClock) -> None:
    """Its work may go on in a shield, where the task would begin again and again."""
    current_clock.set(clock)
    looks: list[str] = []
    beats = Heartbeats()
    ending, other = Host(looks, "ending"), Host(looks, "other")
    async with anyio.create_task_group() as group:
        ending.group = other.group = group
        beats.tell(ending, 10.0)
        beats.tell(other, 10.0)
        await anyio.wait_all_tasks_blocked()
        ending.scope.cancel()
        for _ in range(10):
            await checkpoint()
        await pass_time(clock, 10.0)

    assert looks == ["other"]
    assert (ending.tasks, other.tasks) == (1, 1)


async def test_what_is_void_takes_no_room() -> None:
    """Connections that come and go leave no list of times behind."""
    beats = Heartbeats()
    async with anyio.create_task_group() as group:
        host = Host([], "one that stays")
        host.group = group
        beats.tell(host, 100.0)
        for _ in range(500):
            beats.forget(beats.tell(host, 50.0))
        await checkpoint()
        host.scope.cancel()
        assert len(beats._due) < 100
        beats.forget(0)

    assert len(beats) == 0


async def test_there_is_one_for_a_clock(clock: VirtualClock) -> None:
    """Connections of one event loop share it where their time is the same."""
    real = current_heartbeats()
    assert current_heartbeats() is real

    current_clock.set(clock)
    assert current_heartbeats() is not real
    assert current_heartbeats() is current_heartbeats()
