"""The inbox: events in order, read ahead or not, and the end that stays the end."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio import create_task_group, fail_after, wait_all_tasks_blocked
from anyio.lowlevel import checkpoint

from consumers.codecs import Event
from consumers.limits import Limits
from consumers.queues.inbox import Inbox
from consumers.runtime.watchdog import Watchdog

GONE = {"type": "websocket.disconnect", "code": 4000}


def message(text: str) -> dict[str, Any]:
    return {"type": "websocket.receive", "text": text}


class Server:
    """A server's side of `receive`: hands out what it is given, then waits for ever."""

    def __init__(self) -> None:
        self._give, self._take = anyio.create_memory_object_stream[dict[str, Any]](100)
        self.reads = 0

    def sends(self, *events: dict[str, Any]) -> None:
        for event in events:
            self._give.send_nowait(event)

    async def receive(self) -> dict[str, Any]:
        self.reads += 1
        return await self._take.receive()

    @asynccontextmanager
    async def inbox(self, **limits: Any) -> AsyncIterator[tuple[Inbox, list[Event]]]:
        """Yield an inbox that reads here, and the disconnects that it told of."""
        left: list[Event] = []
        inbox = Inbox(self.receive, left.append)
        inbox.bound(Limits(**limits))
        with self._give, self._take, fail_after(5):
            yield inbox, left


async def following(inbox: Inbox) -> Event:
    """Return the next event, as a reader does."""
    return inbox.took(await inbox.next())


async def test_events_come_in_order() -> None:
    """Without reading ahead, each event comes straight from the server."""
    server = Server()
    async with server.inbox() as (inbox, left):
        server.sends(message("a"), message("b"))

        assert [await following(inbox) for _ in "ab"] == [message("a"), message("b")]
        assert server.reads == 2
        assert len(inbox) == 0
        assert left == []


async def test_the_clients_leaving_is_told_when_it_is_taken() -> None:
    """A disconnect is reported once, and is the event that the reader gets."""
    server = Server()
    async with server.inbox() as (inbox, left):
        server.sends(GONE)

        assert await following(inbox) == GONE
        assert left == [GONE]


async def test_after_the_clients_leaving_there_is_nothing_but_it() -> None:
    """Reading on gives the disconnect again; a server that might wait is not asked."""
    server = Server()
    async with server.inbox() as (inbox, _):
        server.sends(GONE)
        await following(inbox)

        assert [await following(inbox) for _ in range(3)] == [GONE] * 3
        assert server.reads == 1
        assert not inbox.has_room()


async def test_a_loop_that_reads_on_lets_others_run() -> None:
    """Reading on after the end is a checkpoint."""
    server = Server()
    async with server.inbox() as (inbox, _):
        server.sends(GONE)

        ended = False

        async def read_on() -> None:
            nonlocal ended
            for _ in range(1000):
                await following(inbox)
            ended = True

        async with create_task_group() as group:
            group.start_soon(read_on)
            await wait_a_little()
            assert not ended
            group.cancel_scope.cancel()


async def wait_a_little() -> None:
    for _ in range(10):
        await checkpoint()


async def test_after_our_close_there_is_nothing_to_read() -> None:
    """Once we have closed, the end comes at once, whatever was on its way."""
    server = Server()
    async with server.inbox() as (inbox, _):
        server.sends(message("a"))
        inbox.closed = True

        assert (await following(inbox))["type"] == "websocket.disconnect"
        assert server.reads == 0


async def test_reading_ahead_notices_the_clients_leaving() -> None:
    """A task that reads ahead tells of the disconnect before the messages are taken."""
    server = Server()
    async with server.inbox() as (inbox, left):
        server.sends(message("a"), message("b"), GONE)
        await inbox.read_ahead()

        assert left == [GONE]
        assert len(inbox) == 3
        events = [await following(inbox) for _ in range(4)]
        assert events == [message("a"), message("b"), GONE, GONE]
        assert server.reads == 3


async def test_nobody_reads_ahead_after_the_end() -> None:
    """Once the disconnect was read there is no room for more."""
    server = Server()
    async with server.inbox() as (inbox, _):
        server.sends(message("a"), GONE)
        await inbox.read_ahead()

        assert not inbox.has_room()
        await inbox.read_ahead()
        assert server.reads == 2


@pytest.mark.parametrize("most", [2, 3])
async def test_reading_ahead_is_bounded(most: int) -> None:
    """It stops when `limits.inbox` messages wait; there is room when one was taken.

    One more allowed is one more read, with as many there for either.
    """
    server = Server()
    async with server.inbox(inbox=most) as (inbox, _):
        server.sends(message("a"), message("b"), message("c"), message("d"))
        await inbox.read_ahead()

        assert len(inbox) == most
        assert not inbox.has_room()
        assert await following(inbox) == message("a")
        assert inbox.has_room()


async def test_one_task_reads_ahead() -> None:
    """A second one does nothing."""
    server = Server()
    async with server.inbox() as (inbox, _), create_task_group() as group:
        group.start_soon(inbox.read_ahead)
        await wait_all_tasks_blocked()
        assert inbox.reading_ahead
        assert not inbox.has_room()

        await inbox.read_ahead()

        assert server.reads == 1
        group.cancel_scope.cancel()


async def test_a_reader_waits_for_the_task_that_reads_ahead() -> None:
    """Both never ask the server at once; the task ends when a reader is there."""
    server = Server()
    events: list[Event] = []

    async def read() -> None:
        events.append(await following(inbox))

    async with server.inbox() as (inbox, _), create_task_group() as group:
        group.start_soon(inbox.read_ahead)
        await wait_all_tasks_blocked()
        group.start_soon(read)
        await wait_all_tasks_blocked()
        assert server.reads == 1
        server.sends(message("a"), message("b"))
        await wait_all_tasks_blocked()

        assert events == [message("a")]
        assert not inbox.reading_ahead
        assert await following(inbox) == message("b")


@pytest.mark.parametrize("ahead", [False, True])
async def test_a_cancelled_reader_loses_nothing(ahead: bool) -> None:
    """An event that comes later goes to whoever reads then."""
    server = Server()
    async with server.inbox() as (inbox, _), create_task_group() as group:
        if ahead:
            group.start_soon(inbox.read_ahead)
            await wait_all_tasks_blocked()
        with anyio.move_on_after(0.01) as scope:
            await following(inbox)
        assert scope.cancelled_caught
        server.sends(message("a"), GONE)

        assert await following(inbox) == message("a")
        assert await following(inbox) == GONE


async def test_a_cancelled_task_that_reads_ahead_loses_nothing() -> None:
    """What it had read is handed out, and what comes then is read by the reader."""
    server = Server()
    events: list[Event] = []

    async def read() -> None:
        events.extend([await following(inbox) for _ in "abc"])

    async with server.inbox() as (inbox, _), create_task_group() as group:
        server.sends(message("a"))
        async with create_task_group() as reading:
            reading.start_soon(inbox.read_ahead)
            await wait_all_tasks_blocked()
            reading.cancel_scope.cancel()
        assert len(inbox) == 1
        group.start_soon(read)
        await wait_all_tasks_blocked()
        server.sends(message("b"), message("c"))

    assert events == [message("a"), message("b"), message("c")]


async def test_a_reader_goes_on_when_the_task_is_cancelled() -> None:
    """A reader that waits for the task asks the server itself once that is gone."""
    server = Server()
    events: list[Event] = []

    async def read() -> None:
        events.append(await following(inbox))

    async with server.inbox() as (inbox, _), create_task_group() as group:
        async with create_task_group() as reading:
            reading.start_soon(inbox.read_ahead)
            await wait_all_tasks_blocked()
            group.start_soon(read)
            await wait_all_tasks_blocked()
            reading.cancel_scope.cancel()
        server.sends(message("a"))

    assert events == [message("a")]


@pytest.mark.parametrize("readers", [2, 5])
async def test_several_readers_get_each_event_once(readers: int) -> None:
    """Several tasks that receive share what comes, and none waits for ever."""
    server = Server()
    events: list[str] = []

    async def read() -> None:
        events.append((await following(inbox))["text"])

    async with server.inbox() as (inbox, _), create_task_group() as group:
        group.start_soon(inbox.read_ahead)
        await wait_all_tasks_blocked()
        for _ in range(readers):
            group.start_soon(read)
        await wait_all_tasks_blocked()
        server.sends(*(message(str(number)) for number in range(readers)))

    assert sorted(events) == [str(number) for number in range(readers)]


async def test_the_watchdog_knows_who_is_busy() -> None:
    """An inbox is busy from an event on until its reader waits again."""
    server = Server()
    spawned: list[Callable[[], Any]] = []

    class Host:
        def spawn(self, function: Callable[[], Any]) -> None:
            spawned.append(function)

    async with server.inbox() as (inbox, _):
        watchdog = Watchdog()
        watchdog.watch(inbox, Host())
        assert inbox.is_idle()
        server.sends(message("a"), GONE)

        await following(inbox)
        assert not inbox.is_idle()
        assert len(spawned) == 1
        event = await inbox.next()
        assert inbox.is_idle()
        inbox.took(event)
        assert inbox.is_idle()


async def test_who_reads_ahead_leaves_it_to_who_waits() -> None:
    """A task that begins when a reader waits already takes no event from it."""
    server = Server()

    class Host:
        def spawn(self, function: Callable[[], Any]) -> None:
            pass

    async with server.inbox() as (inbox, _):
        Watchdog().watch(inbox, Host())
        server.sends(message("a"), message("b"))
        await following(inbox)
        waiting = inbox.next()

        await inbox.read_beside()

        assert inbox.took(await waiting) == message("b")
