"""The outbox: order, bounds, and what is left when it ends early."""

from collections.abc import Awaitable, Callable

import anyio
import pytest
from anyio import create_task_group, fail_after, wait_all_tasks_blocked
from anyio.lowlevel import checkpoint

from consumers.codecs import Event
from consumers.limits import Limits
from consumers.outbox import Outbox


def text(data: str) -> Event:
    return {"type": "websocket.send", "text": data}


class Server:
    """A server's side of `send`: keeps what it gets, and waits while it is stalled."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.begun: list[str] = []
        self.error: Exception | None = None
        self._flows = anyio.Event()
        self._flows.set()

    def stall(self) -> None:
        self._flows = anyio.Event()

    def flow(self) -> None:
        self._flows.set()

    async def send(self, event: Event) -> None:
        self.begun.append(event["text"])
        await self._flows.wait()
        if self.error is not None:
            raise self.error
        self.sent.append(event["text"])


# -- the order -------------------------------------------------------------------------


async def test_all_leaves_in_order() -> None:
    """Publications, late ones and direct messages go out as they were put in."""
    server, outbox = Server(), Outbox()
    done: list[bool] = []

    async def late() -> Event:
        await checkpoint()
        return text("late")

    async def direct() -> None:
        done.append(await outbox.put_and_wait(text("direct")))

    server.stall()
    with fail_after(5):
        async with create_task_group() as group:
            outbox.put(text("one"), 3)
            group.start_soon(outbox.run, server.send)
            await wait_all_tasks_blocked()
            outbox.put_late(late, 10)
            group.start_soon(direct)
            await wait_all_tasks_blocked()
            outbox.put(text("two"), 3)
            assert len(outbox) == 4
            assert server.begun == ["one"]
            assert done == []
            server.flow()

    assert server.sent == ["one", "late", "direct", "two"]
    assert done == [True]
    assert len(outbox) == 0


async def test_a_late_publication_may_come_to_nothing() -> None:
    """A maker that returns `None` sends nothing, and what follows goes out."""
    server, outbox = Server(), Outbox()

    async def nothing() -> None:
        return None

    outbox.put_late(nothing, 1)
    outbox.put(text("next"), 4)
    with fail_after(5):
        await outbox.run(server.send)

    assert server.sent == ["next"]


async def test_waiting_for_what_is_there() -> None:
    """`put_and_wait(None)` sends nothing and waits for what was put in before."""
    server, outbox = Server(), Outbox()
    outbox.put(text("one"), 3)
    server.stall()
    with fail_after(5):
        async with create_task_group() as group:
            group.start_soon(outbox.run, server.send)
            await wait_all_tasks_blocked()
            group.start_soon(outbox.put_and_wait, None)
            await wait_all_tasks_blocked()
            assert server.sent == []
            server.flow()

    assert server.sent == ["one"]


async def test_a_maker_knows_that_it_is_its_turn() -> None:
    """What it calls, and its child tasks, can tell; others, and later ones, can't."""
    outbox = Outbox()
    mine: list[tuple[str, bool]] = []
    asked = anyio.Event()

    def ask(who: str) -> None:
        mine.append((who, outbox.is_mine()))

    async def child() -> None:
        ask("child")

    async def survivor() -> None:
        ask("survivor")
        asked.set()
        await wait_all_tasks_blocked()
        ask("survivor, later")

    async def late() -> None:
        ask("maker")
        async with create_task_group() as group:
            group.start_soon(child)
        outside.start_soon(survivor)
        await asked.wait()
        ask("maker, later")

    with fail_after(5):
        async with create_task_group() as outside:
            outbox.put_late(late, 1)
            ask("publisher")
            outside.start_soon(outbox.run, Server().send)
            await checkpoint()
            ask("another task")

    assert sorted(mine) == [
        ("another task", False),
        ("child", True),
        ("maker", True),
        ("maker, later", True),
        ("publisher", False),
        ("survivor", True),
        ("survivor, later", False),
    ]


# -- bounds ----------------------------------------------------------------------------


async def test_publications_are_counted() -> None:
    """So many publications may wait as the limits say; direct messages don't count."""
    server, outbox = Server(), Outbox()
    limits = Limits(outbox_messages=2, outbox_bytes=100)
    server.stall()
    with fail_after(5):
        async with create_task_group() as group:
            outbox.put(text("one"), 3)
            group.start_soon(outbox.run, server.send)
            group.start_soon(outbox.put_and_wait, text("direct"))
            await wait_all_tasks_blocked()
            assert outbox.fits(3, limits)
            outbox.put(text("two"), 3)
            assert not outbox.fits(3, limits)
            server.flow()
            await wait_all_tasks_blocked()

    assert outbox.fits(3, limits)


def test_their_bytes_are_counted() -> None:
    """So many bytes may wait as the limits say."""
    outbox = Outbox()
    limits = Limits(outbox_messages=10, outbox_bytes=10)
    outbox.put(text("12345"), 5)

    assert outbox.fits(5, limits)
    assert not outbox.fits(6, limits)


async def test_what_was_sent_counts_no_longer() -> None:
    """There is room as soon as one publication is out, while others still wait."""
    server, outbox = Server(), Outbox()
    limits = Limits(outbox_messages=2, outbox_bytes=10)

    async def first() -> Event:
        return text("first")

    async def second() -> None:
        assert outbox.fits(4, limits)
        assert not outbox.fits(5, limits)

    outbox.put_late(first, 4)
    outbox.put_late(second, 6)
    assert not outbox.fits(0, limits)
    with fail_after(5):
        await outbox.run(server.send)

    assert server.sent == ["first"]


# -- when it ends early ----------------------------------------------------------------


async def test_a_waiting_message_is_taken_back_when_cancelled() -> None:
    """A direct send that is cancelled before its turn is never sent."""
    server, outbox = Server(), Outbox()
    outbox.put(text("one"), 3)
    server.stall()
    with fail_after(5):
        async with create_task_group() as group:
            group.start_soon(outbox.run, server.send)
            await wait_all_tasks_blocked()
            async with create_task_group() as sending:
                sending.start_soon(outbox.put_and_wait, text("two"))
                await wait_all_tasks_blocked()
                assert len(outbox) == 2
                sending.cancel_scope.cancel()
            assert len(outbox) == 1
            server.flow()

    assert server.sent == ["one"]


async def test_a_message_on_its_way_is_sent_all_the_same() -> None:
    """A direct send that is cancelled while the server has it goes out once."""
    server, outbox = Server(), Outbox()
    outbox.put(text("one"), 3)
    with fail_after(5):
        async with create_task_group() as group:
            async with create_task_group() as sending:
                sending.start_soon(outbox.put_and_wait, text("two"))
                await wait_all_tasks_blocked()
                server.stall()
                group.start_soon(outbox.run, _flowing_first(server))
                await wait_all_tasks_blocked()
                assert server.begun == ["two"]
                sending.cancel_scope.cancel()
            server.flow()

    assert server.sent == ["one", "two"]


def _flowing_first(server: Server) -> Callable[[Event], Awaitable[None]]:
    """Return a `send` whose first message is taken at once, even while it stalls."""
    first = True

    async def send(event: Event) -> None:
        nonlocal first
        if first:
            first = False
            server.sent.append(event["text"])
        else:
            await server.send(event)

    return send


async def test_a_cancelled_writer_wakes_those_who_wait() -> None:
    """When the writer is cancelled, who waits learns that nothing was sent."""
    server, outbox = Server(), Outbox()
    done: list[bool] = []

    async def direct() -> None:
        done.append(await outbox.put_and_wait(text("two")))

    outbox.put(text("one"), 3)
    server.stall()
    with fail_after(5):
        async with create_task_group() as group, create_task_group() as writing:
            writing.start_soon(outbox.run, server.send)
            await wait_all_tasks_blocked()
            group.start_soon(direct)
            await wait_all_tasks_blocked()
            writing.cancel_scope.cancel()

    assert done == [False]
    assert server.sent == []
    assert len(outbox) == 0
    assert outbox.fits(1, Limits(outbox_messages=1, outbox_bytes=1))


@pytest.mark.parametrize("error", [OSError("gone"), RuntimeError("gone")])
async def test_a_departed_client_ends_the_writer(error: Exception) -> None:
    """Where the server raises because the peer is gone, all is given up in silence."""
    server, outbox = Server(), Outbox()
    server.error = error
    done: list[bool] = []

    async def direct() -> None:
        done.append(await outbox.put_and_wait(text("two")))

    outbox.put(text("one"), 3)
    with fail_after(5):
        async with create_task_group() as group:
            group.start_soon(direct)
            await wait_all_tasks_blocked()
            group.start_soon(outbox.run, server.send)

    assert done == [False]
    assert server.begun == ["one"]


@pytest.mark.parametrize("error", [OSError("mine"), RuntimeError("mine"), KeyError()])
async def test_a_makers_error_is_no_departed_client(error: Exception) -> None:
    """What a late publication's maker raises goes to the connection, whatever it is."""
    server, outbox = Server(), Outbox()

    async def late() -> Event:
        raise error

    outbox.put_late(late, 1)
    outbox.put(text("next"), 4)
    with pytest.raises(type(error)) as caught, fail_after(5):
        await outbox.run(server.send)

    assert caught.value is error
    assert server.sent == []
    assert len(outbox) == 0
