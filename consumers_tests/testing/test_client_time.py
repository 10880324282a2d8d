"""Time by the client's clock."""

import anyio
import pytest
from starlette.types import Receive, Scope, Send

from consumers.clock import current_clock, current_time, sleep
from consumers.testing import TestClient

from .apps import accepting, silent, waiting


async def ticking(scope: Scope, receive: Receive, send: Send) -> None:
    """Send the time at each second of the current clock."""
    async with anyio.create_task_group() as group:

        async def tick() -> None:
            while True:
                await sleep(1)
                await send({"type": "websocket.send", "text": f"{current_time():g}"})

        group.start_soon(tick)
        await waiting(scope, receive, send)
        group.cancel_scope.cancel()


async def test_time_stands_still_until_it_is_advanced() -> None:
    """Timers go off by `advance()` alone, each as often as it should, in order."""
    async with TestClient(accepting(ticking)) as client, client.connect("/") as ws:
        await ws.receive_nothing()
        await client.advance(0.5)
        await ws.receive_nothing()
        await client.advance(3)
        assert [await ws.receive() for _ in range(3)] == ["1", "2", "3"]
        await ws.receive_nothing()
        assert client.clock.time() == 3.5


async def test_tenths_add_up() -> None:
    """Ten times 0.1 s makes a second go off, although the sum of floats is less."""
    async with TestClient(accepting(ticking)) as client, client.connect("/") as ws:
        for _ in range(10):
            await client.advance(0.1)
        await client.settle()
        assert await ws.receive() == "1"


async def test_deadlines_of_the_application_go_by_the_client_s_time() -> None:
    """A scope with a deadline by our clock is cancelled by `advance()`."""

    async def body(scope: Scope, receive: Receive, send: Send) -> None:
        with anyio.CancelScope() as limit:
            current_clock.get().cancel_after(limit, 30)
            await waiting(scope, receive, send)
        await send({"type": "websocket.close", "code": 4408})

    async with TestClient(accepting(body)) as client, client.connect("/") as ws:
        await client.advance(29)
        await ws.receive_nothing()
        await client.advance(1)
        assert (await ws.receive_close()).code == 4408


async def test_advance_refuses_what_is_no_time() -> None:
    """Time runs forwards."""
    async with TestClient(silent) as client:
        with pytest.raises(ValueError, match="must not be negative, got -1"):
            await client.advance(-1)


async def test_settle_and_advance_have_the_deadline_too() -> None:
    """An application that never rests is told; it is cancelled at the end."""
    stop = anyio.Event()

    async def body(scope: Scope, receive: Receive, send: Send) -> None:
        while not stop.is_set():
            await anyio.lowlevel.checkpoint()

    async with (
        TestClient(accepting(body)) as client,
        client.connect("/") as ws,
    ):
        client.deadline = 0.02
        with pytest.raises(TimeoutError, match=r"come to rest within 0\.02 s"):
            await client.settle()
        with pytest.raises(TimeoutError, match=r"come to rest within 0\.02 s"):
            await client.advance(1)
        with pytest.raises(TimeoutError, match=r"come to rest within 0\.02 s"):
            await ws.receive_nothing()
        client.deadline = 5
        stop.set()
