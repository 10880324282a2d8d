"""`Answering`: the server asks, functions of the client answer."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import msgspec
import pytest

from consumers.client import Client, Reconnect
from consumers.clock import VirtualClock
from consumers.errors import ConfigurationError, MessageError
from consumers_tests.client.scripted import Peer, Server, pass_time


class Sum(msgspec.Struct, tag="sum"):
    numbers: list[int]


class Name(msgspec.Struct, tag="name"):
    pass


class Total(msgspec.Struct, tag="total"):
    value: int


async def add(question: Sum) -> Total:
    """Answer, or refuse, or fail."""
    await anyio.lowlevel.checkpoint()
    if not question.numbers:
        raise MessageError("nothing", "no numbers")
    if question.numbers[0] < 0:
        raise MessageError("negative")
    if question.numbers[0] == 0:
        raise ZeroDivisionError
    return Total(sum(question.numbers))


def question(number: int, *numbers: Any) -> dict[str, Any]:
    """Return the frame that asks for a sum."""
    message = {"type": "sum", "numbers": numbers}
    return {"type": "request", "id": number, "message": message}


async def answers(peer: Peer, *frames: Any) -> list[Any]:
    """Ask one after the other; return the answers."""
    found = []
    for frame in frames:
        peer.say(frame)
        found.append(await peer.hear())
    return found


@pytest.mark.parametrize("codec", ["json", "msgpack"])
async def test_answers(
    server: Server, caplog: pytest.LogCaptureFixture, codec: Any
) -> None:
    """Each question gets its answer, an error of the function's, or a fixed one."""
    async with server.client(codec=codec) as client:
        peer = await server.accept()
        assert await answers(peer, question(1, 1)) == [
            {"type": "error", "code": "unknown_type", "id": 1}
        ]
        client.answer(Sum | Name, add)
        with caplog.at_level(logging.CRITICAL, "consumers.client"):
            found = await answers(
                peer,
                question(2, 1, 2),
                question(3),
                question(4, -1),
                question(5, 0),
                question(6, "x"),
                {"type": "request", "id": 7, "message": {"type": "other"}},
                {"type": "request", "id": 8, "message": 5},
            )
    assert found[0] == {
        "type": "reply",
        "id": 2,
        "message": {"type": "total", "value": 3},
    }
    assert [(frame["id"], frame["code"]) for frame in found[1:]] == [
        (3, "nothing"),
        (4, "negative"),
        (5, "internal"),
        (6, "invalid_message"),
        (7, "unknown_type"),
        (8, "unknown_type"),
    ]
    assert found[1]["detail"] == "no numbers"
    assert "detail" not in found[2]
    assert "detail" not in found[3]


async def test_questions_are_answered_at_the_same_time(server: Server) -> None:
    """A slow answer holds up no other one, and the server may stop it."""
    async with server.client() as client:
        stopped: list[str] = []
        go = anyio.Event()

        async def slow(asked: Name) -> None:
            try:
                await go.wait()
            finally:
                stopped.append("stopped")

        client.answer(Name, slow)
        client.answer(Sum, add)
        peer = await server.accept()
        peer.say({"type": "request", "id": 1, "message": {"type": "name"}})
        peer.say({"type": "request", "id": 2, "message": {"type": "name"}})
        assert (await answers(peer, question(3, 1)))[0]["id"] == 3
        peer.say({"type": "cancel", "id": 1}, {"type": "cancel", "id": 99})
        assert await peer.hear() == {"type": "error", "id": 1, "code": "cancelled"}
        assert stopped == ["stopped"]
        go.set()
        assert await peer.hear() == {"type": "reply", "id": 2, "message": None}


async def test_a_lost_connection_stops_answers(
    server: Server, clock: VirtualClock
) -> None:
    """An answer that nobody can get is cancelled, and not sent to the next one."""
    ended = anyio.Event()

    async def slow(asked: Name) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    async with server.client(reconnect=Reconnect(min=1.0)) as client:
        client.answer(Name, slow)
        peer = await server.accept()
        peer.say({"type": "request", "id": 1, "message": {"type": "name"}})
        await anyio.wait_all_tasks_blocked()
        peer.drop()
        await ended.wait()
        await pass_time(clock, 1.0)
        await (await server.accept()).hear_nothing()


async def test_what_is_answered_is_a_tagged_struct(server: Server) -> None:
    """Types that can't be told apart are refused where they are given."""

    class Untagged(msgspec.Struct):
        pass

    class Again(msgspec.Struct, tag="sum"):
        pass

    client: Client = server.client()
    with pytest.raises(ConfigurationError, match=r"must be a msgspec\.Struct"):
        client.answer(int, add)
    client.answer(Sum, add)
    for kind in (Untagged, Again):
        with pytest.raises(ConfigurationError, match="told apart by their tags"):
            client.answer(kind, add)
    client.answer(Sum, add)
