"""The watchdog: sees who is busy for long, rests, wakes, and outlives its hosts."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio import create_task_group, fail_after
from anyio.abc import TaskGroup

from consumers.limits import Limits
from consumers.queues.inbox import Inbox
from consumers.runtime import watchdog as module
from consumers.runtime.watchdog import PERIOD, Watchdog, current_watchdog

GONE = {"type": "websocket.disconnect", "code": 1000}


class Host:
    """A connection whose client says nothing, and which runs tasks for the watchdog."""

    def __init__(self, watchdog: Watchdog, group: TaskGroup) -> None:
        self.group = group
        self.spawned: list[str] = []
        self.reads = 0
        self.left: list[Any] = []
        self.client = anyio.Event()
        self.event: dict[str, Any] = GONE
        self.inbox = Inbox(self._receive, self.left.append)
        self._watchdog = watchdog
        watchdog.watch(self.inbox, self)

    async def _receive(self) -> dict[str, Any]:
        self.reads += 1
        await self.client.wait()
        return self.event

    def spawn(self, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.spawned.append(getattr(function, "__name__", "look"))
        self.group.start_soon(function)

    def leave(self) -> None:
        """End this connection, with all its tasks."""
        self._watchdog.forget(self.inbox)
        self.group.cancel_scope.cancel()


async def until(predicate: Callable[[], object]) -> None:
    """Wait until something is true, for a bounded time."""
    with fail_after(5):
        while not predicate():  # noqa: ASYNC110  the watchdog has nothing to wait for
            await anyio.sleep(PERIOD / 10)


@asynccontextmanager
async def hosts(watchdog: Watchdog, count: int) -> AsyncIterator[list[Host]]:
    """Yield connections, each with a task group in a task of its own."""
    made: list[Host] = []

    async def live() -> None:
        async with create_task_group() as group:
            made.append(Host(watchdog, group))
            await anyio.sleep_forever()

    async with create_task_group() as connections:
        for _ in range(count):
            connections.start_soon(live)
        await until(lambda: len(made) == count)
        yield made
        for host in made:
            host.leave()


async def test_who_is_busy_for_long_is_read_ahead() -> None:
    """In the second look after an event, the client's leaving is noticed."""
    watchdog = Watchdog()
    async with hosts(watchdog, 1) as [host]:
        before = watchdog.tick
        watchdog.mark(host.inbox)
        await until(lambda: host.reads)

        assert watchdog.tick - before >= 2
        assert host.spawned == ["look", "read_beside"]
        assert host.inbox.reading_ahead
        host.client.set()
        await until(lambda: host.left)


async def test_who_reads_in_time_is_left_alone() -> None:
    """A connection that waits for its next event is not read ahead."""
    watchdog = Watchdog()
    async with hosts(watchdog, 2) as [busy, idle]:
        watchdog.mark(idle.inbox)
        with anyio.move_on_after(0):
            await idle.inbox.next()
        watchdog.mark(busy.inbox)
        await until(lambda: busy.inbox.reading_ahead)

        assert idle.inbox.is_idle()
        assert idle.spawned == ["look"]


async def test_nobody_is_read_ahead_twice() -> None:
    """While a task reads ahead for a connection, no second one is started."""
    watchdog = Watchdog()
    async with hosts(watchdog, 1) as [host]:
        watchdog.mark(host.inbox)
        await until(lambda: host.inbox.reading_ahead)
        before = watchdog.tick
        await until(lambda: watchdog.tick >= before + 5)

        assert host.reads == 1


async def test_an_inbox_that_was_full_is_read_ahead_again() -> None:
    """Once there is room again the client's leaving is looked for again."""
    watchdog = Watchdog()
    async with hosts(watchdog, 1) as [host]:
        host.inbox.bound(Limits(inbox=1))
        host.event, left = {"type": "websocket.receive", "text": "a"}, host.event
        host.client.set()
        watchdog.mark(host.inbox)
        await until(lambda: len(host.inbox) == 1)
        before = watchdog.tick
        await until(lambda: watchdog.tick >= before + 3)
        assert host.reads == 1

        host.event = left
        host.inbox.took(await host.inbox.next())
        await until(lambda: host.left)


async def test_it_rests_and_is_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    """After many looks at nothing it rests, and the next busy connection wakes it."""
    monkeypatch.setattr(module, "PERIOD", 0.001)
    watchdog = Watchdog()
    async with hosts(watchdog, 1) as [host]:
        watchdog.mark(host.inbox)
        host.inbox.since = None
        await until(lambda: not watchdog.awake)
        resting_at = watchdog.tick

        watchdog.mark(host.inbox)
        assert watchdog.awake
        await until(lambda: host.inbox.reading_ahead)

        assert watchdog.tick >= resting_at + 2
        assert host.spawned == ["look", "read_beside"]


async def test_it_moves_when_its_host_ends() -> None:
    """The connection that it lives in may end; it goes on in one that is busy."""
    watchdog = Watchdog()
    async with hosts(watchdog, 2) as [first, second]:
        watchdog.mark(first.inbox)
        watchdog.mark(second.inbox)
        assert (first.spawned, second.spawned) == (["look"], [])
        first.leave()
        await until(lambda: second.inbox.reading_ahead)

        assert second.spawned == ["look", "read_beside"]


async def test_who_is_done_when_its_host_ends_takes_it_in_later() -> None:
    """A connection that the watchdog had on its list wakes it by its next event."""
    watchdog = Watchdog()
    async with hosts(watchdog, 2) as [first, second]:
        watchdog.mark(first.inbox)
        watchdog.mark(second.inbox)
        second.inbox.since = None
        first.leave()
        await until(lambda: not watchdog.awake)
        assert second.spawned == []

        watchdog.mark(second.inbox)
        await until(lambda: second.inbox.reading_ahead)


async def test_it_moves_when_its_host_ends_while_it_rests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A connection that ends takes the resting watchdog along; the next starts it."""
    monkeypatch.setattr(module, "PERIOD", 0.001)
    watchdog = Watchdog()
    async with hosts(watchdog, 2) as [first, second]:
        watchdog.mark(first.inbox)
        first.inbox.since = None
        await until(lambda: not watchdog.awake)
        first.leave()
        await until(lambda: watchdog._resting is None)
        assert not watchdog.awake

        watchdog.mark(second.inbox)
        await until(lambda: second.inbox.reading_ahead)


async def test_its_hosts_tasks_may_be_cancelled_alone() -> None:
    """Where only the task is cancelled, the watchdog does not start there again."""
    watchdog = Watchdog()
    async with hosts(watchdog, 2) as [first, second]:
        watchdog.mark(first.inbox)
        watchdog.mark(second.inbox)
        first.group.cancel_scope.cancel()
        await until(lambda: second.spawned)

        assert first.spawned == ["look"]


async def test_nothing_is_left_when_all_have_ended() -> None:
    """Without connections it neither looks nor remembers anybody."""
    watchdog = Watchdog()
    async with hosts(watchdog, 2) as [first, second]:
        watchdog.mark(first.inbox)
        watchdog.mark(second.inbox)

    assert not watchdog.awake
    assert len(watchdog) == 0


async def test_one_watchdog_per_event_loop() -> None:
    """All connections of an event loop have the same one."""
    assert current_watchdog() is current_watchdog()


def test_each_event_loop_has_its_own() -> None:
    """A second event loop starts with a new one."""

    async def mine() -> Watchdog:
        return current_watchdog()

    assert anyio.run(mine) is not anyio.run(mine)
