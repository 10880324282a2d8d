"""Dispatch: a sender cancels what it has asked, wherever that is by then."""

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from consumers import receives
from consumers.testing import ServerStyle
from consumers_tests.cancelling import Work, cancelled, is_alive, working
from consumers_tests.doubles import both_servers, serving


@both_servers
@pytest.mark.parametrize("concurrency", [1, 2])
@pytest.mark.parametrize("kind", ["work", "stream"])
async def test_what_runs_is_cancelled(
    kind: str, concurrency: int, server: ServerStyle
) -> None:
    """In the main task or in a lane: the method is cancelled and its sender told."""
    consumer = working(concurrency)

    async with serving(consumer) as client, client.connect("/", server=server) as ws:
        await ws.send({"type": kind, "text": "a", "id": 1})
        if kind == "stream":
            assert await ws.receive_json() == {"id": 1, "item": "a"}
        await client.settle()
        await ws.send({"cancel": 1})
        assert await ws.receive_json() == cancelled(1)
        assert consumer.journal == ["begin a", "cancelled a"]
        await is_alive(ws)


@both_servers
@pytest.mark.parametrize("kind", ["work", "stream"])
async def test_messages_behind_it_are_handled_in_order(
    kind: str, server: ServerStyle
) -> None:
    """What was read ahead while it ran is not lost with it."""
    consumer = working()

    async with serving(consumer) as client, client.connect("/", server=server) as ws:
        await ws.send({"type": kind, "text": "a", "id": 1})
        for text in ("one", "two", "three"):
            await ws.send({"type": "say", "text": text})
        if kind == "stream":
            assert await ws.receive_json() == {"id": 1, "item": "a"}
        await ws.send({"cancel": 1})
        assert await ws.receive_json() == cancelled(1)
        answers = [await ws.receive_json() for _ in range(3)]
        assert answers == ["one", "two", "three"]
        await is_alive(ws)


@both_servers
@pytest.mark.parametrize("kind", ["work", "stream"])
async def test_what_waits_in_a_lane_does_not_begin(
    kind: str, server: ServerStyle
) -> None:
    """Its sender is told at once; those behind it have their turn as before."""

    class Laned(working()):  # type: ignore[misc]
        @receives(concurrency=1)
        async def work(self, message: Work) -> str:
            result: str = await super().work(message)
            return result

        @receives("stream", concurrency=1)
        async def stream(self, text: str) -> AsyncIterator[str]:
            async for each in super().stream(text):
                yield each

    async with serving(Laned) as client, client.connect("/", server=server) as ws:
        for text in "abc":
            await ws.send({"type": kind, "text": text, "id": text})
        if kind == "stream":
            assert await ws.receive_json() == {"id": "a", "item": "a"}
        await client.settle()
        await ws.send({"cancel": "b"})
        assert await ws.receive_json() == cancelled("b")
        # Its id is free, for the same lane too.
        await ws.send({"type": kind, "text": "d", "id": "b"})
        await client.settle()
        for text in "acd":
            Laned.gates.setdefault(text, anyio.Event()).set()
        answers: list[Any] = []
        while len(answers) < (3 if kind == "work" else 5):
            answers.append((await ws.receive_json())["id"])
        assert answers == (["a", "c", "b"] if kind == "work" else [*"accbb"])
        assert Laned.journal == ["begin a", "begin c", "begin d"]


@both_servers
async def test_what_was_not_handled_yet_is_never_begun(server: ServerStyle) -> None:
    """A cancel overtakes the messages that wait behind what is handled."""
    consumer = working()

    async with serving(consumer) as client, client.connect("/", server=server) as ws:
        await ws.send({"type": "stream", "text": "a", "id": 1})
        assert await ws.receive_json() == {"id": 1, "item": "a"}
        await ws.send({"type": "work", "text": "b", "id": 2})
        await ws.send({"type": "say", "text": "c", "id": 3})
        await ws.send({"cancel": 2})
        await client.settle()
        consumer.gates["a"].set()
        assert await ws.receive_json() == {"id": 1, "done": True}
        assert await ws.receive_json() == cancelled(2)
        assert await ws.receive_json() == {"id": 3, "reply": "c"}

    assert consumer.journal == ["begin a", "c"]


@both_servers
@pytest.mark.parametrize("busy", [False, True])
async def test_a_late_cancel_does_nothing(busy: bool, server: ServerStyle) -> None:
    """An id that is answered may be used again, though it was cancelled too late."""
    consumer = working()

    async with serving(consumer) as client, client.connect("/", server=server) as ws:
        await ws.send({"type": "say", "text": "a", "id": 1})
        assert await ws.receive_json() == {"id": 1, "reply": "a"}
        if busy:  # so that it is read ahead
            await ws.send({"type": "stream", "text": "s", "id": 2})
            assert await ws.receive_json() == {"id": 2, "item": "s"}
            await ws.send({"type": "say", "text": "x", "id": 3})  # waits before it
        await ws.send({"cancel": 1})
        await client.settle()
        await ws.send({"type": "say", "text": "b", "id": 1})
        if busy:
            consumer.gates["s"].set()
            assert await ws.receive_json() == {"id": 2, "done": True}
            assert await ws.receive_json() == {"id": 3, "reply": "x"}
        assert await ws.receive_json() == {"id": 1, "reply": "b"}


async def test_ever_so_many_late_cancels_do_not_stop_the_next() -> None:
    """Nothing is remembered of ids that name nothing, and a true one still counts."""
    consumer = working()

    async with serving(consumer) as client, client.connect("/") as ws:
        for turn in range(3):
            await ws.send({"type": "stream", "text": "s", "id": "s"})
            assert await ws.receive_json() == {"id": "s", "item": "s"}
            for name in range(100):
                await ws.send({"cancel": turn * 100 + name})
            await client.settle()
            assert len(consumer.instances[0]._runtime._dispatch._early) <= 32
            await ws.send({"cancel": "s"})
            assert await ws.receive_json() == cancelled("s")
        await ws.send({"type": "stream", "text": "s", "id": "s"})
        assert await ws.receive_json() == {"id": "s", "item": "s"}
        await ws.send({"type": "work", "text": "b", "id": 2})
        await ws.send({"cancel": 2})
        await client.settle()
        consumer.gates["s"].set()
        assert await ws.receive_json() == {"id": "s", "done": True}
        assert await ws.receive_json() == cancelled(2)


@both_servers
async def test_a_cancel_of_nothing(server: ServerStyle) -> None:
    """An id that nobody has used is not answered."""
    async with serving(working()) as client, client.connect("/", server=server) as ws:
        for name in (1, "a", -1, ""):
            await ws.send({"cancel": name})
        await is_alive(ws)


@both_servers
async def test_a_field_named_cancel_cancels_nothing(server: ServerStyle) -> None:
    """A message that has one is a message, though it is read ahead."""

    class Named(working()):  # type: ignore[misc]
        @receives("reserve")
        async def reserve(self, cancel: int) -> int:
            return cancel

    async with serving(Named) as client, client.connect("/", server=server) as ws:
        await ws.send({"type": "stream", "text": "a", "id": 1})
        assert await ws.receive_json() == {"id": 1, "item": "a"}
        await ws.send({"type": "reserve", "cancel": 1})
        await ws.send({"type": "say", "text": "cancel", "id": 2})
        await ws.send('{"cancel"')
        await client.settle()
        Named.gates["a"].set()
        assert await ws.receive_json() == {"id": 1, "done": True}
        assert await ws.receive_json() == 1
        assert await ws.receive_json() == {"id": 2, "reply": "cancel"}
        assert (await ws.receive_close()).code == 1007
