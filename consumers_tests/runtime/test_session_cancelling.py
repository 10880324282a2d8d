"""Cancelling what a session works on: it overtakes, and is answered once."""

from __future__ import annotations

from typing import Any

import anyio
import msgspec
import pytest

from consumers import WebSocketConsumer, receives
from consumers_tests.doubles import Journal
from consumers_tests.framed import framed


class Add(msgspec.Struct, tag="add"):
    a: int


class Work(msgspec.Struct, tag="work"):
    name: str


def working(**options: Any) -> tuple[type[WebSocketConsumer], Journal]:
    """Return a class with a method that waits for ever, and what it noted."""
    journal = Journal()

    class Working(WebSocketConsumer):
        @receives(**options)
        async def work(self, message: Work) -> None:
            journal.add(f"begin {message.name}")
            try:
                await anyio.sleep_forever()
            finally:
                journal.add(f"cancelled {message.name}")

        @receives
        async def add(self, message: Add) -> int:
            return message.a

    return Working, journal


@pytest.mark.parametrize("options", [{}, {"concurrency": 2}], ids=["main", "lane"])
async def test_cancel_overtakes_what_is_worked_on(options: dict[str, Any]) -> None:
    """In the main task and in a lane; answered once, and the connection goes on."""
    consumer, journal = working(**options)

    async with framed(consumer) as (_, peer):
        await peer.send("request", id=1, message={"type": "work", "name": "a"})
        await journal.wait_for("begin a")
        await peer.send("cancel", id=1)
        assert await peer.receive() == {"type": "error", "id": 1, "code": "cancelled"}
        await peer.send("cancel", id=1)
        assert (await peer.ask(1, {"type": "add", "a": 4}))["message"] == 4
        await peer.nothing()

    assert journal == ["begin a", "cancelled a"]


@pytest.mark.parametrize("options", [{}, {"concurrency": 1}], ids=["main", "lane"])
async def test_what_waits_can_be_cancelled(options: dict[str, Any]) -> None:
    """It never begins, and its id can be used again."""
    consumer, journal = working(**options)

    async with framed(consumer) as (_, peer):
        await peer.send("request", id=1, message={"type": "work", "name": "a"})
        await peer.send("request", id=2, message={"type": "work", "name": "b"})
        await journal.wait_for("begin a")
        await peer.ws.receive_nothing()
        for number in (2, 1):
            await peer.send("cancel", id=number)
        answers = {frame["id"]: frame["code"] for frame in await peer.take(2)}
        assert (await peer.ask(2, {"type": "add", "a": 2}))["message"] == 2

    assert answers == {1: "cancelled", 2: "cancelled"}
    assert journal == ["begin a", "cancelled a"]


async def test_a_late_cancel_does_not_hit_a_later_request() -> None:
    """Its id was answered: whoever uses it again means another request.

    The cancel is read while something else is worked on, and the request after it.
    """
    consumer, journal = working()

    async with framed(consumer) as (_, peer):
        assert (await peer.ask(7, {"type": "add", "a": 1}))["message"] == 1
        await peer.send("request", id=1, message={"type": "work", "name": "a"})
        await journal.wait_for("begin a")
        await peer.send("cancel", id=7)
        await peer.send("request", id=7, message={"type": "add", "a": 2})
        await peer.ws.receive_nothing()
        await peer.send("cancel", id=1)
        answers = {frame["id"]: frame for frame in await peer.take(2)}

    assert answers[1]["code"] == "cancelled"
    assert answers[7] == {"type": "reply", "id": 7, "message": 2}
