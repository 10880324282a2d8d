"""The drain: who is asked to come back when, and what of theirs is finished first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from consumers import App, WebSocket, WebSocketConsumer, WebSocketRoute
from consumers.clock import current_clock
from consumers.handshake.refusals import refused
from consumers.runtime.drain import FEW, announce, batches, drain, serving
from consumers.runtime.registry import current_registry
from consumers.testing import Refused, TestClient
from consumers_tests.doubles import PATIENCE, Journal, wait_for
from consumers_tests.framed import talking


class Echo(WebSocketConsumer):
    async def on_receive(self, message: str) -> None:
        await self.send(message)


class Slow(WebSocketConsumer):
    """Works for as many seconds as it is asked to, then answers."""

    finish_timeout = 3.0
    value_type = "json"

    async def on_receive(self, message: float) -> None:
        await current_clock.get().sleep(message)
        await self.send("done")


journal = Journal()
app = App([WebSocketRoute("/echo", Echo), WebSocketRoute("/slow", Slow)])


@app.websocket_route("/view")
async def view(ws: WebSocket) -> None:
    """Go on after its client has left, as one that saves does."""
    try:
        async for message in ws:
            await ws.send(message)
    finally:
        await checkpoint()
        journal.add("saved")


@asynccontextmanager
async def tried() -> AsyncIterator[TestClient]:
    """Serve the application, with the client's clock for the drain too."""
    async with TestClient(app) as client:
        token = current_clock.set(client.clock)
        try:
            with serving():
                yield client
        finally:
            current_clock.reset(token)


class Draining:
    """A drain that runs beside the test."""

    def __init__(self, **arguments: Any) -> None:
        self.arguments = {"over": 10.0, "graceful": 10.0, **arguments}
        self.hurried = anyio.Event()
        self.over = anyio.Event()
        self.left = -1.0

    async def __call__(self) -> None:
        random = Random(1)
        self.left = await drain(**self.arguments, hurried=self.hurried, random=random)
        self.over.set()


async def drained(client: TestClient) -> None:
    """Drain, and let the time pass that this takes."""
    draining = Draining()
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(draining)
            while not draining.over.is_set():
                await client.settle()
                await client.advance(0.05)


@pytest.mark.parametrize(
    ("count", "over", "expected"),
    [
        (0, 5.0, []),
        (FEW, 5.0, [FEW]),
        (FEW + 1, 5.0, [11, 10]),
        (1000, 5.0, [20] * 50),
        (1000, 0.0, [1000]),
        (100, 0.1, [50, 50]),
    ],
)
def test_batches_are_even(count: int, over: float, expected: list[int]) -> None:
    """Each is in one batch; with more connections batches are more, or larger."""
    lives: list[Any] = [*range(count)]

    found = list(batches(lives, over, Random(2)))

    assert [len(batch) for _, batch, _ in found] == expected
    assert {one for _, batch, _ in found for one in batch} == {*lives}


def test_batches_are_jittered_within_the_time() -> None:
    """The first goes at once, the others at random, each in its part of the time."""
    lives: list[Any] = [*range(200)]

    one, other = (list(batches(lives, 10.0, Random(seed))) for seed in (1, 2))

    assert one[0][0] == other[0][0] == 0.0
    assert [int(at) for at, _, _ in one] == [*range(10)]
    assert [at for at, _, _ in one[1:]] != [at for at, _, _ in other[1:]]
    assert {spread for _, _, spread in one} == {1.0}


async def test_a_few_go_at_once_and_are_told_when_to_return() -> None:
    """A plain client gets 1012 alone, one of `consumers.v1` a goodbye with a time."""
    async with (
        tried() as client,
        client.connect("/echo") as ws,
        talking(client, "/echo") as peer,
    ):
        await drained(client)

        assert (await ws.receive_close()).code == 1012
        goodbye, code = await peer.end()

    assert code == goodbye["code"] == 1012
    assert goodbye["reconnect"] is True
    assert 0 <= goodbye["after"] <= 1


async def test_many_go_in_batches() -> None:
    """Nobody who waits is closed before the time of the batch, and nobody after all."""
    async with tried() as client, AsyncExitStack() as stack:
        for _ in range(3 * FEW):
            ws = await stack.enter_async_context(client.connect("/echo"))
            await ws.send("here")
            await ws.receive()
        lives, draining = current_registry().lives, Draining(over=9.0)
        left = []
        async with anyio.create_task_group() as group:
            group.start_soon(draining)
            for _ in range(3):
                await client.settle()
                left.append(len(lives))
                await client.advance(3.0)
            await wait_for(draining.over)

    assert left[0] == 40
    assert left[-1] in (0, 20)
    assert not lives


async def test_a_message_that_is_handled_is_answered_first() -> None:
    """Who works answers, then the connection is closed; not who takes too long."""
    async with (
        tried() as client,
        client.connect("/slow") as quick,
        client.connect("/slow") as never,
    ):
        await quick.send_json(2)
        await never.send_json(1000)
        await client.settle()
        draining = Draining()
        async with anyio.create_task_group() as group:
            group.start_soon(draining)
            await client.settle()
            await quick.receive_nothing()
            await client.advance(2.1)
            assert await quick.receive_json() == "done"
            assert (await quick.receive_close()).code == 1012
            assert not draining.over.is_set()
            await client.advance(1.0)
            assert (await never.receive_close()).code == 1012
            await wait_for(draining.over)
        assert draining.left == pytest.approx(7.0, abs=0.2)


async def test_a_view_learns_of_it_and_goes_on() -> None:
    """A view is not cancelled: what it waits for raises, and it may save."""
    journal.clear()
    async with tried() as client, client.connect("/view") as ws:
        await ws.send("here")
        assert await ws.receive() == "here"
        await drained(client)

        assert (await ws.receive_close()).code == 1012
        await journal.wait_for("saved")


async def test_who_comes_is_refused() -> None:
    """While a server drains a handshake gets 503, and is counted; not before."""
    async with tried() as client:
        async with client.connect("/echo"):
            pass
        before = refused["draining"]
        await drained(client)

        with pytest.raises(Refused) as caught:
            async with client.connect("/echo"):
                pass

    assert caught.value.status == 503
    assert refused["draining"] == before + 1
    assert not current_registry().closed


async def test_with_two_servers_in_one_loop_none_is_drained() -> None:
    """Nobody knows whose connections these are; of the last one it is known."""
    async with tried() as client, client.connect("/echo") as ws:
        with serving():
            await announce(5.0, anyio.Event())
            await drained(client)
            await ws.send("here")
            assert await ws.receive() == "here"
            assert not current_registry().draining
        await drained(client)
        assert (await ws.receive_close()).code == 1012


async def test_a_delay_is_announced() -> None:
    """Readiness fails while connections are accepted on; a hurry ends the delay."""
    async with tried() as client:
        hurried, ready = anyio.Event(), current_registry()
        async with anyio.create_task_group() as group:
            group.start_soon(announce, 5.0, hurried)
            await client.settle()
            assert ready.draining
            async with client.connect("/echo") as ws:
                await ws.send("here")
                assert await ws.receive() == "here"
            await client.advance(5.0)
            group.start_soon(announce, 500.0, hurried)
            await client.settle()
            hurried.set()

    assert not ready.draining


async def test_a_hurry_ends_all_waiting() -> None:
    """Those whose turn has not come are left to the server, at once."""
    async with tried() as client, AsyncExitStack() as stack:
        for _ in range(FEW + 1):
            await stack.enter_async_context(client.connect("/echo"))
        draining = Draining()
        async with anyio.create_task_group() as group:
            group.start_soon(draining)
            await client.settle()
            draining.hurried.set()
            await wait_for(draining.over)

        assert len(current_registry().lives) == FEW // 2
