"""What becomes of what waits in an outbox when it ends early."""

from collections.abc import Awaitable, Callable

import pytest
from anyio import create_task_group, fail_after, wait_all_tasks_blocked

from consumers.codecs import Event
from consumers_tests.outboxes import Server, Waiting, text

# -- when it ends early ----------------------------------------------------------------


async def test_a_waiting_message_is_taken_back_when_cancelled() -> None:
    """A direct send that is cancelled before its turn is never sent."""
    server, outbox = Server(), Waiting()
    outbox.publish("one")
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
    server, outbox = Server(), Waiting()
    outbox.publish("one")
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
    server, outbox = Server(), Waiting()
    done: list[bool] = []

    async def direct() -> None:
        done.append(await outbox.put_and_wait(text("two")))

    outbox.publish("one")
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
    assert outbox.ledger.messages == 0


@pytest.mark.parametrize("error", [OSError("gone"), RuntimeError("gone")])
async def test_a_departed_client_ends_the_writer(error: Exception) -> None:
    """Where the server raises because the peer is gone, all is given up in silence."""
    server, outbox = Server(), Waiting()
    server.error = error
    done: list[bool] = []

    async def direct() -> None:
        done.append(await outbox.put_and_wait(text("two")))

    outbox.publish("one")
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
    server, outbox = Server(), Waiting()

    async def late() -> Event:
        raise error

    outbox.publish_late(late)
    outbox.publish("next")
    with pytest.raises(type(error)) as caught, fail_after(5):
        await outbox.run(server.send)

    assert caught.value is error
    assert server.sent == []
    assert len(outbox) == 0
