"""One call of the application: its error, its stack, its cancellation."""

from collections.abc import AsyncIterator, Generator
from typing import Any

import anyio
import pytest
from starlette.types import Receive, Scope, Send

from consumers.testing import TestClient
from consumers.testing.calls import Call

from .apps import accepting, echo, silent


async def no_receive() -> dict[str, Any]:
    return {}


async def no_send(event: Any) -> None:
    pass


def call_of(app: Any) -> Call:
    return Call(app, {}, no_receive, no_send, prepare=lambda: None)


class InnerTask:
    """An application whose instances are awaited, as endpoints in Starlette are."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        pass

    def __await__(self) -> Generator[Any, None, None]:
        return self.dispatch().__await__()

    async def dispatch(self) -> None:
        async for _ in self.numbers():
            await anyio.sleep_forever()

    async def numbers(self) -> AsyncIterator[int]:
        await self.deepest()
        yield 1

    async def deepest(self) -> None:
        await anyio.sleep_forever()


async def test_the_stack_goes_through_awaitables_and_generators() -> None:
    """It shows all of the application's frames, down to the one that waits."""
    call = call_of(InnerTask)
    assert call.where() == "the application has not started"
    async with anyio.create_task_group() as group:
        group.start_soon(call.run)
        await anyio.wait_all_tasks_blocked()
        where = call.where()
        assert await call.stop(5)

    names = [
        line.rpartition(" in ")[2]
        for line in where.splitlines()
        if line.startswith("  File")
    ]
    assert names == ["dispatch", "numbers", "deepest"]
    assert call.where() == "the application has returned"


async def test_the_stacks_of_inner_tasks_are_shown() -> None:
    """Tasks of the application's groups are found, whatever their depth."""

    async def leaf() -> None:
        await anyio.sleep_forever()

    async def branch() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(leaf, name="the leaf")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(branch, name="the branch")

    call = call_of(app)
    async with anyio.create_task_group() as group:
        group.start_soon(call.run)
        await anyio.wait_all_tasks_blocked()
        where = call.where()
        await call.stop(5)

    assert "and in its task the branch at\n" in where
    assert "and in its task the leaf at\n" in where
    assert "in leaf\n    await anyio.sleep_forever()" in where


async def test_an_error_is_given_once() -> None:
    """`take_error` returns what the application raised, the first time."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ZeroDivisionError

    call = call_of(app)
    await call.run()

    assert isinstance(call.take_error(), ZeroDivisionError)
    assert call.take_error() is None


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_native_cancellation_hits_one_connection_alone(
    anyio_backend: str,
) -> None:
    """An application that cancels its own task leaves all others running."""
    import asyncio

    async def cancelling(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await anyio.sleep_forever()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "websocket"
        chosen = accepting(cancelling) if scope["path"] == "/cancel" else echo
        await chosen(scope, receive, send)

    async with TestClient(app) as client, client.connect("/") as bystander:
        async with client.connect("/cancel") as ws:
            await ws.send("go")
            assert (await ws.receive_close()).code == 1006
        await bystander.send("alive")
        assert await bystander.receive() == "alive"


async def test_a_cancelled_call_has_no_error() -> None:
    """To be cancelled by the test is no failure of the application's."""
    async with TestClient(silent) as client:
        with pytest.raises(LookupError) as caught:
            async with client.connect("/"):
                raise LookupError

    assert not hasattr(caught.value, "__notes__")
