"""The outbox: order, bounds, and what is left when it ends early."""

import anyio
from anyio import create_task_group, fail_after, wait_all_tasks_blocked
from anyio.lowlevel import checkpoint

from consumers.codecs import Event
from consumers.limits import Limits
from consumers.queues.policies import Coalesce, DropOldest
from consumers_tests.outboxes import Server, Waiting, text

# -- the order -------------------------------------------------------------------------


async def test_all_leaves_in_order() -> None:
    """Publications, late ones and direct messages go out as they were put in."""
    server, outbox = Server(), Waiting()
    done: list[bool] = []

    async def late() -> Event:
        await checkpoint()
        return text("late")

    async def direct() -> None:
        done.append(await outbox.put_and_wait(text("direct")))

    server.stall()
    with fail_after(5):
        async with create_task_group() as group:
            outbox.publish("one")
            group.start_soon(outbox.run, server.send)
            await wait_all_tasks_blocked()
            outbox.publish_late(late)
            group.start_soon(direct)
            await wait_all_tasks_blocked()
            outbox.publish("two")
            assert len(outbox) == 4
            assert server.begun == ["one"]
            assert done == []
            server.flow()

    assert server.sent == ["one", "late", "direct", "two"]
    assert done == [True]
    assert len(outbox) == 0


async def test_a_late_publication_may_come_to_nothing() -> None:
    """A maker that returns `None` sends nothing, and what follows goes out."""
    server, outbox = Server(), Waiting()

    async def nothing() -> None:
        return None

    outbox.publish_late(nothing)
    outbox.publish("next")
    with fail_after(5):
        await outbox.run(server.send)

    assert server.sent == ["next"]


async def test_waiting_for_what_is_there() -> None:
    """`put_and_wait(None)` sends nothing and waits for what was put in before."""
    server, outbox = Server(), Waiting()
    outbox.publish("one")
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
    outbox = Waiting()
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
            outbox.publish_late(late)
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


async def test_direct_messages_are_not_counted() -> None:
    """So many publications may wait as the limits say, whatever else does."""
    server, outbox = Server(), Waiting()
    limits = Limits(outbox_messages=2, outbox_bytes=100)
    server.stall()
    with fail_after(5):
        async with create_task_group() as group:
            assert outbox.publish("one", limits=limits)
            group.start_soon(outbox.run, server.send)
            group.start_soon(outbox.put_and_wait, text("direct"))
            await wait_all_tasks_blocked()
            assert outbox.publish("two", limits=limits)
            assert not outbox.publish("three", limits=limits)
            server.flow()
            await wait_all_tasks_blocked()

    assert outbox.publish("four", limits=limits)
    assert server.sent == ["one", "direct", "two"]


def test_their_bytes_are_counted() -> None:
    """So many bytes may wait as the limits say."""
    outbox = Waiting()
    limits = Limits(outbox_messages=10, outbox_bytes=10)

    assert outbox.publish("12345", limits=limits)
    assert not outbox.publish("123456", limits=limits)
    assert outbox.publish("12345", limits=limits)


async def test_what_was_sent_counts_no_longer() -> None:
    """There is room as soon as one publication is out, while others still wait."""
    server, outbox = Server(), Waiting()
    limits = Limits(outbox_messages=2, outbox_bytes=10)

    async def first() -> Event:
        return text("first")

    async def second() -> None:
        assert not outbox.publish("12345", limits=limits)
        assert outbox.publish("1234", limits=limits)

    outbox.publish_late(first, 4)
    outbox.publish_late(second, 6)
    assert not outbox.publish("", limits=limits)
    with fail_after(5):
        await outbox.run(server.send)

    assert server.sent == ["first", "1234"]
    assert (outbox.ledger.messages, outbox.ledger.bytes) == (0, 0)


async def test_what_is_being_sent_is_neither_dropped_nor_replaced() -> None:
    """A policy may only touch what waits, and no direct message."""
    server, outbox = Server(), Waiting()
    drop, coalesce = DropOldest(messages=1), Coalesce()
    server.stall()
    with fail_after(5):
        async with create_task_group() as group:
            outbox.publish("one", drop)
            group.start_soon(outbox.run, server.send)
            await wait_all_tasks_blocked()
            group.start_soon(outbox.put_and_wait, text("direct"))
            await wait_all_tasks_blocked()
            for message in ("two", "three"):
                outbox.publish(message, drop)
            server.flow()
            await wait_all_tasks_blocked()
            assert server.sent == ["one", "direct", "three"]

            server.stall()
            outbox.publish("four", coalesce)
            group.start_soon(outbox.run, server.send)
            await wait_all_tasks_blocked()
            for message in ("five", "six"):
                outbox.publish(message, coalesce)
            server.flow()

    assert server.sent[3:] == ["four", "six"]
    assert outbox.losses == {"dropped_oldest": 1, "superseded": 1}


async def test_giving_up_lets_out_what_is_on_its_way() -> None:
    """What waits is counted and taken out at once, and who waits for it learns so."""
    server, outbox = Server(), Waiting()
    done: list[bool] = []

    async def direct() -> None:
        done.append(await outbox.put_and_wait(text("direct")))

    server.stall()
    with fail_after(5):
        async with create_task_group() as group:
            outbox.publish("one")
            group.start_soon(outbox.run, server.send)
            await wait_all_tasks_blocked()
            group.start_soon(direct)
            await wait_all_tasks_blocked()
            outbox.publish("two")
            outbox.give_up()
            assert outbox.ledger.messages == 1
            await wait_all_tasks_blocked()
            assert done == [False]
            server.flow()

    assert server.sent == ["one"]
    assert outbox.losses == {"given_up": 1}
