"""Expiry: plain clients' connections end with their credentials, as others' do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest

from consumers import (
    App,
    Identity,
    WebSocket,
    WebSocketConsumer,
    WebSocketRoute,
)
from consumers.runtime.expiry import seconds_left
from consumers.runtime.heartbeats import current_heartbeats
from consumers.testing import TestClient


def ending(seconds: float, key: str = "ann") -> Identity:
    return Identity(key, datetime.now(UTC) + timedelta(seconds=seconds))


class Echo(WebSocketConsumer):
    async def on_receive(self, message: str) -> None:
        await self.send(message)


async def view(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


def test_the_seconds_left_are_told() -> None:
    """Never fewer than none; nothing where there is no end."""
    assert seconds_left(ending(100)) == pytest.approx(100, abs=5)
    assert seconds_left(ending(-100)) == 0
    assert seconds_left(Identity("ann")) is None
    assert seconds_left(object()) is None


@pytest.mark.parametrize("endpoint", [Echo, view])
async def test_a_connection_ends_with_its_credential(endpoint: Any) -> None:
    """With 4401, by the framework's clock; one without an end goes on."""
    async with (
        TestClient(App([WebSocketRoute("/", endpoint)])) as client,
        client.connect("/", identity=ending(100)) as ws,
        client.connect("/", identity=ending(10_000, "bob")) as later,
        client.connect("/", identity=Identity("eve")) as other,
    ):
        await client.advance(90)
        await ws.send("still")
        assert await ws.receive() == "still"
        await client.advance(15)
        closed = await ws.receive_close()
        for each in (later, other):
            await each.send("still")
            assert await each.receive() == "still"

    assert (closed.code, closed.reason) == (4401, "the credential has expired")


async def test_one_that_has_ended_is_closed_at_once() -> None:
    """Before `on_connect` runs."""
    entered: list[str] = []

    class Hello(WebSocketConsumer):
        async def on_connect(self) -> None:
            entered.append(self.user.key)

    async with (
        TestClient(Hello) as client,
        client.connect("/", identity=ending(-1)) as ws,
    ):
        closed = await ws.receive_close()

    assert (closed.code, entered) == (4401, [])


async def test_a_message_that_is_handled_may_finish() -> None:
    """As for any close of the framework's."""
    saved: list[str] = []
    gate = anyio.Event()

    class Saving(WebSocketConsumer):
        async def on_receive(self, message: str) -> None:
            await gate.wait()
            saved.append(message)

        async def on_disconnect(self, code: int) -> None:
            saved.append(str(code))

    async with (
        TestClient(Saving) as client,
        client.connect("/", identity=ending(10)) as ws,
    ):
        await ws.send("a")
        await client.settle()
        await client.advance(11)
        gate.set()
        assert (await ws.receive_close()).code == 4401
        await client.settle()

    assert saved == ["a", "4401"]


async def test_nothing_is_kept_for_those_that_do_not_end() -> None:
    """Nor for one that has left."""
    watched: list[int] = []

    class Counting(WebSocketConsumer):
        async def on_connect(self) -> None:
            watched.append(len(current_heartbeats()))

    async with TestClient(Counting) as client:
        for identity in (None, Identity("ann"), ending(100), None):
            async with client.connect("/", identity=identity):
                pass

    assert watched == [0, 0, 1, 0]
