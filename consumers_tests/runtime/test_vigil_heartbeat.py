"""Signs of life: who is silent is pinged, and who stays silent is closed."""

from __future__ import annotations

from typing import Any

import anyio
import msgspec
import pytest

from consumers import (
    Limits,
    WebSocketConsumer,
    receives,
)
from consumers_tests.doubles import Journal
from consumers_tests.framed import JSON, MSGPACK, framed

HEARTBEAT = Limits(heartbeat=20.0, heartbeat_timeout=5.0)
PING, PONG = {"type": "ping"}, {"type": "pong"}


class Work(msgspec.Struct, tag="work"):
    pass


class Quiet(WebSocketConsumer):
    value_type = "json"
    limits = HEARTBEAT

    async def on_receive(self, message: Any) -> None:
        pass


async def test_a_silent_client_is_pinged_and_then_closed() -> None:
    """After one heartbeat, and `timeout` later; it should come back."""
    async with framed(Quiet) as (client, peer):
        await client.advance(19.9)
        await peer.nothing()
        await client.advance(0.1)
        assert await peer.receive() == PING
        await client.advance(4.9)
        await peer.nothing()
        await client.advance(0.1)
        goodbye, code = await peer.end()

    assert goodbye == {"type": "goodbye", "code": 4408, "reconnect": True}
    assert code == 4408


@pytest.mark.parametrize("protocol", [JSON, MSGPACK])
async def test_who_answers_stays(protocol: str) -> None:
    """However long it says nothing else: one ping a heartbeat."""
    async with framed(Quiet, protocol) as (client, peer):
        for _ in range(5):
            await client.advance(20)
            assert await peer.receive() == PING
            await peer.send("pong")
            await client.settle()


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "message", "message": 1},
        {"type": "cancel", "id": 3},
        {"type": "pong"},
        {"type": "what is this?"},
        ["nothing"],
    ],
    ids=str,
)
@pytest.mark.parametrize("when", ["before the ping", "after it"])
async def test_any_frame_is_a_sign_of_life(frame: Any, when: str) -> None:
    """Also one that is refused. Who is heard of is not pinged."""
    async with framed(Quiet) as (client, peer):
        await client.advance(19)
        if when == "after it":
            await client.advance(1)
            assert await peer.receive() == PING
        await peer.send_raw(frame)
        await client.advance(6)
        assert peer.ws.closed is None
        await peer.send("ping")
        while (await peer.receive()) != PONG:
            pass


async def test_a_ping_of_the_client_is_answered_at_once() -> None:
    """While a handler runs, too."""

    class Busy(WebSocketConsumer):
        @receives
        async def work(self, message: Work) -> None:
            await anyio.sleep_forever()

    async with framed(Busy) as (client, peer):
        await peer.send("ping")
        assert await peer.receive() == PONG
        await peer.send("request", id=1, message={"type": "work"})
        await client.settle()
        await peer.send("ping")
        assert await peer.receive() == PONG
        await peer.send("cancel", id=1)
        assert (await peer.receive())["code"] == "cancelled"


@pytest.mark.parametrize("waiting", [0, 1, 8], ids=["none", "one", "full"])
async def test_a_long_handler_closes_nobody(waiting: int) -> None:
    """However many messages wait behind it, so that its pongs are not read."""
    journal, gate = Journal(), anyio.Event()

    class Busy(WebSocketConsumer):
        limits = Limits(heartbeat=20.0, heartbeat_timeout=5.0, inbox=4)

        @receives
        async def work(self, message: Work) -> None:
            journal.add("begin")
            await gate.wait()

    async with framed(Busy) as (client, peer):
        await peer.send("message", message={"type": "work"})
        await journal.wait_for("begin")
        await peer.send("ping")
        assert await peer.receive() == PONG  # it is read ahead now
        for _ in range(waiting):
            await peer.send("message", message={"type": "work"})
        await client.settle()
        await client.advance(20)  # it has said something in these
        for _ in range(6):
            await client.advance(20)
            assert await peer.receive() == PING  # by which it knows that we are there
            await peer.send("pong")
            await client.settle()
        assert peer.ws.closed is None
        gate.set()
        await client.settle()

    assert journal == ["begin"] * (1 + waiting)


async def test_who_reads_nothing_is_closed() -> None:
    """The ping can't be sent, and nor can the close: neither waits for ever."""
    journal = Journal()

    class Pushing(Quiet):
        async def on_connect(self) -> None:
            self.start_soon(self.push)

        async def push(self) -> None:
            while True:
                await self.send("more")

        async def on_disconnect(self, code: int) -> None:
            journal.add(code)

    async with framed(Pushing) as (client, peer):
        await peer.ws.stall(0)
        await client.advance(40)

    assert journal == [4408]


async def test_without_a_heartbeat_nobody_is_pinged() -> None:
    """And nobody is closed for silence."""

    class Still(Quiet):
        limits = Limits(heartbeat=None)

    async with framed(Still) as (client, peer):
        await client.advance(100_000)
        await peer.nothing()
        await peer.send("ping")
        assert await peer.receive() == PONG
