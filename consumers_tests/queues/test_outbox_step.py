"""Sends that are begun in one task and finished in another, where that works."""

from functools import partial
from typing import Any

import anyio
import pytest
from anyio import create_task_group, fail_after, wait_all_tasks_blocked
from anyio.lowlevel import checkpoint
from starlette.types import Message

from consumers.codecs import Event
from consumers.queues.outbox import Suspended, can_step, step
from consumers_tests.outboxes import Server, Waiting, text

# No server on trio is stepped: trio knows which task waits for what.
asyncio_only = pytest.mark.parametrize(
    "anyio_backend",
    [("asyncio", {"use_uvloop": False}), ("asyncio", {"use_uvloop": True})],
    ids=["asyncio", "uvloop"],
)


@asyncio_only
async def test_a_send_that_need_not_wait_is_done_in_one_step() -> None:
    """Nothing is left of it."""
    server = Server()

    async def send() -> None:
        server.sent.append("one")

    assert step(send()) is None
    assert server.sent == ["one"]


@asyncio_only
async def test_a_send_that_waits_goes_on_in_another_task() -> None:
    """What is left of it may be awaited by any task, once."""
    server = Server()
    server.stall()
    with fail_after(5):
        async with create_task_group() as group:
            rest = step(server.send(text("one")))
            assert isinstance(rest, Suspended)
            assert server.begun == ["one"]
            group.start_soon(_finish, rest)
            await checkpoint()
            assert server.sent == []
            server.flow()

    assert server.sent == ["one"]


async def _finish(rest: Suspended) -> None:
    await rest


@asyncio_only
async def test_a_begun_send_takes_its_turn() -> None:
    """In the outbox a begun send is first, and what came later goes out behind it."""
    server, outbox = Server(), Waiting()
    server.stall()
    with fail_after(5):
        async with create_task_group() as group:
            rest = step(server.send(text("one")))
            assert rest is not None
            outbox.put_suspended(rest, 3, outbox.publication("one"))
            outbox.publish("two")
            group.start_soon(outbox.run, server.send)
            await wait_all_tasks_blocked()
            assert server.begun == ["one"]
            server.flow()

    assert server.sent == ["one", "two"]


@asyncio_only
@pytest.mark.parametrize("waits", [1, 3])
async def test_what_a_begun_send_raises_arrives(waits: int) -> None:
    """An exception after any number of waits comes out where it is awaited."""

    async def send() -> None:
        for _ in range(waits):
            await checkpoint()
        raise OSError("gone")

    rest = step(send())
    assert rest is not None
    with pytest.raises(OSError, match="gone"):
        await rest


@asyncio_only
async def test_a_begun_send_can_be_cancelled() -> None:
    """Cancellation reaches the send where it waits, so that it can clean up."""
    server = Server()
    server.stall()
    cleaned: list[bool] = []

    async def send() -> None:
        try:
            await server.send(text("one"))
        finally:
            cleaned.append(True)

    with fail_after(5):
        async with create_task_group() as group:
            rest = step(send())
            assert rest is not None
            group.start_soon(_finish, rest)
            await wait_all_tasks_blocked()
            group.cancel_scope.cancel()

    assert cleaned == [True]
    assert server.sent == []


@asyncio_only
async def test_a_begun_send_that_swallows_its_cancellation_goes_on() -> None:
    """A send that catches the cancellation to finish is let finish."""
    server = Server()

    async def send() -> None:
        try:
            await anyio.sleep_forever()
        except BaseException:
            with anyio.CancelScope(shield=True):
                await checkpoint()
            server.sent.append("one")
            raise

    with fail_after(5):
        async with create_task_group() as group:
            rest = step(send())
            assert rest is not None
            group.start_soon(_finish, rest)
            await wait_all_tasks_blocked()
            group.cancel_scope.cancel()

    assert server.sent == ["one"]


@asyncio_only
async def test_a_begun_send_that_is_given_up_is_closed() -> None:
    """Where the writer ends before its turn, a begun send ends by GeneratorExit."""
    server, outbox = Server(), Waiting()
    server.stall()
    ended: list[str] = []

    async def send() -> None:
        try:
            await server.send(text("one"))
        except GeneratorExit:
            ended.append("closed")
            raise

    async def late() -> Event:
        raise KeyError

    outbox.publish_late(late)
    rest = step(send())
    assert rest is not None
    outbox.put_suspended(rest, 3, outbox.publication("one"))
    with pytest.raises(KeyError), fail_after(5):
        await outbox.run(server.send)

    assert ended == ["closed"]


def test_an_awaitable_that_is_dropped_closes_its_send() -> None:
    """A wait for a begun send that is closed from outside closes the send."""
    ended: list[str] = []

    class Wait:
        def __await__(self) -> Any:
            yield "something"

    async def send() -> None:
        try:
            await Wait()
        except GeneratorExit:
            ended.append("closed")
            raise

    rest = step(send())
    assert rest is not None
    waiting = rest.__await__()
    assert next(waiting) == "something"
    waiting.close()

    assert ended == ["closed"]


# -- where a send can be begun elsewhere -----------------------------------------------


async def _send(message: Message) -> None:
    """Stand for a middleware's own `send`."""


def test_only_listed_servers_are_stepped() -> None:
    """A function, a wrapper, or another server's method is never stepped."""
    assert not can_step(_send)  # type: ignore[arg-type]
    assert not can_step(partial(_send))
    assert not can_step(Server().send)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("websockets_sansio_impl", "WebSocketsSansIOProtocol"),
        ("wsproto_impl", "WSProtocol"),
    ],
)
def test_the_listed_servers_are_there(module: str, name: str) -> None:
    """The names on the list are those of uvicorn's classes, and their sends methods."""
    impl = pytest.importorskip(f"uvicorn.protocols.websockets.{module}")
    protocol = object.__new__(getattr(impl, name))

    assert can_step(protocol.send)
