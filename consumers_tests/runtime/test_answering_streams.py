"""Answering: answers that are streams, from their first item to their last."""

from collections.abc import AsyncIterator
from typing import Any

import anyio
import msgspec
import pytest

from consumers import MessageError, NotAllowed, WebSocketConsumer, receives
from consumers.testing import ServerStyle
from consumers_tests.doubles import PATIENCE, Journal, both_servers, serving


class Count(msgspec.Struct, tag="count"):
    to: int
    then: str = ""


class Number(msgspec.Struct, tag="number"):
    value: int


class Say(msgspec.Struct, tag="say"):
    text: str


class Counting(WebSocketConsumer):
    """Answers with numbers, and ends as the client says."""

    journal: Journal
    go_on: anyio.Event

    @receives
    async def count(self, message: Count) -> AsyncIterator[Number]:
        try:
            for value in range(message.to):
                yield Number(value)
                if message.then == "return":
                    return
            if message.then == "wait":
                await self.go_on.wait()
            elif message.then == "error":
                raise MessageError("enough", message.to)
            elif message.then == "not allowed":
                raise NotAllowed
            elif message.then == "bug":
                raise ValueError("a secret")
        finally:
            self.journal.add("cleaned up")

    @receives
    async def say(self, message: Say) -> str:
        self.journal.add(message.text)
        return message.text


def counting(concurrency: int = 1) -> type[Counting]:
    """Return a class with a journal and a gate of its own."""
    own = {"journal": Journal(), "go_on": anyio.Event(), "concurrency": concurrency}
    return type("Counting", (Counting,), own)


in_main_and_lane = pytest.mark.parametrize("concurrency", [1, 2])


@both_servers
@in_main_and_lane
async def test_items_come_one_by_one_and_then_the_end(
    server: ServerStyle, concurrency: int
) -> None:
    """By themselves without an id; with one each is marked, and so is the end."""
    consumer = counting(concurrency)
    items = [{"type": "number", "value": value} for value in range(3)]

    async with serving(consumer) as client, client.connect("/", server=server) as ws:
        await ws.send({"type": "count", "to": 3})
        assert [await ws.receive_json() for _ in range(3)] == items
        await ws.receive_nothing()
        await ws.send({"type": "count", "to": 3, "id": "a"})
        assert [await ws.receive_json() for _ in range(4)] == [
            *({"id": "a", "item": item} for item in items),
            {"id": "a", "done": True},
        ]

    assert consumer.journal == ["cleaned up"] * 2


@in_main_and_lane
@pytest.mark.parametrize(
    ("message", "end"),
    [
        ({"to": 0}, {"done": True}),
        ({"to": 3, "then": "return"}, {"done": True}),
        ({"to": 1, "then": "error"}, {"error": {"code": "enough", "detail": 1}}),
        ({"to": 1, "then": "not allowed"}, {"error": {"code": "not_allowed"}}),
    ],
)
async def test_how_a_stream_ends(message: Any, end: Any, concurrency: int) -> None:
    """It may be empty, end early, or by an error that keeps the connection."""
    async with serving(counting(concurrency)) as client, client.connect("/") as ws:
        await ws.send({"type": "count", "id": 1, **message})
        answers: list[Any] = []
        while len(answers) < 9:
            answers.append(await ws.receive_json())
            if "item" not in answers[-1]:
                break
        assert answers[-1] == {"id": 1, **end}
        assert len(answers) == (2 if message["to"] else 1)
        await ws.send({"type": "say", "text": "on"})
        assert await ws.receive_json() == "on"


@in_main_and_lane
async def test_an_exception_in_mid_stream(concurrency: int) -> None:
    """Who asked gets `internal`, and the connection ends with 1011."""
    consumer = counting(concurrency)

    async def talk() -> None:
        async with serving(consumer) as client, client.connect("/") as ws:
            await ws.send({"type": "count", "to": 1, "then": "bug", "id": 1})
            assert "item" in await ws.receive_json()
            assert await ws.receive_json() == {"id": 1, "error": {"code": "internal"}}
            assert (await ws.receive_close()).code == 1011

    with pytest.raises(ValueError, match="a secret"):
        await talk()

    assert consumer.journal == ["cleaned up"]


@both_servers
async def test_messages_behind_a_stream_wait_for_its_end(server: ServerStyle) -> None:
    """One by one means that a stream is handled to its end before the next message."""
    consumer = counting()

    async with serving(consumer) as client, client.connect("/", server=server) as ws:
        await ws.send({"type": "count", "to": 1, "then": "wait", "id": 1})
        await ws.send({"type": "say", "text": "one"})
        await ws.send({"type": "say", "text": "two"})
        assert "item" in await ws.receive_json()
        await ws.receive_nothing()
        consumer.go_on.set()
        assert await ws.receive_json() == {"id": 1, "done": True}
        assert [await ws.receive_json() for _ in range(2)] == ["one", "two"]

    assert consumer.journal == ["cleaned up", "one", "two"]


async def test_a_stream_waits_for_a_client_that_reads_slowly() -> None:
    """Items are not made faster than the client takes them."""
    made = 0

    class Fast(WebSocketConsumer):
        @receives("count")
        async def count(self) -> AsyncIterator[int]:
            nonlocal made
            for value in range(1000):
                made += 1
                yield value

    async with serving(Fast) as client, client.connect("/") as ws:
        await ws.stall(4)
        await ws.send({"type": "count", "id": 1})
        await client.settle()
        assert made == 5
        await ws.resume()
        answers = [await ws.receive_json() for _ in range(1001)]

    assert answers[-2:] == [{"id": 1, "item": 999}, {"id": 1, "done": True}]


# -- the client leaves ----------------------------------------------------------------


@both_servers
@in_main_and_lane
async def test_a_stream_ends_at_once_with_its_client(
    server: ServerStyle, concurrency: int
) -> None:
    """It is cancelled, its clean-up runs, and messages behind it are still handled."""
    consumer = counting(concurrency)

    async with serving(consumer) as client, client.connect("/", server=server) as ws:
        await ws.send({"type": "count", "to": 1, "then": "wait", "id": 1})
        assert "item" in await ws.receive_json()
        for text in ("one", "two"):
            await ws.send({"type": "say", "text": text, "id": text})
        await ws.drop()
        await client.settle()
        # In lanes they did not wait for it.
        assert sorted(consumer.journal) == ["cleaned up", "one", "two"]
        assert consumer.journal.index("one") < consumer.journal.index("two")


@both_servers
async def test_each_stream_in_lanes_ends_with_the_client(server: ServerStyle) -> None:
    """All that run are cancelled, and nothing is kept of them."""
    consumer = counting(3)
    instances: list[Any] = []

    class Kept(consumer):  # type: ignore[valid-type, misc]
        async def on_connect(self) -> None:
            instances.append(self)

    async with serving(Kept) as client, client.connect("/", server=server) as ws:
        for name in (1, 2, 3):
            await ws.send({"type": "count", "to": 0, "then": "wait", "id": name})
        await client.settle()
        dispatch = instances[0]._runtime._dispatch
        assert len(dispatch._streams) == len(dispatch._calls) == 3
        await ws.drop()
        await client.settle()
        assert consumer.journal == ["cleaned up"] * 3
        assert len(dispatch._streams) == len(dispatch._calls) == 0


@both_servers
@in_main_and_lane
async def test_a_method_goes_on_after_its_client(
    server: ServerStyle, concurrency: int
) -> None:
    """What is no stream has `finish_timeout`, and so has what came behind it."""
    journal = Journal()

    class Saving(WebSocketConsumer):
        finish_timeout = 3.0

        async def on_connect(self) -> None:
            connected.append(self)

        @receives
        async def say(self, message: Say) -> str:
            try:
                await anyio.sleep_forever()
            finally:
                journal.add(message.text)
            return ""

        async def on_disconnect(self, code: int) -> None:
            journal.add(code)

    connected: list[WebSocketConsumer] = []
    Saving.concurrency = concurrency
    async with serving(Saving) as client, client.connect("/", server=server) as ws:
        await ws.send({"type": "say", "text": "cut short", "id": 1})
        await client.settle()
        await ws.drop()
        with anyio.fail_after(PATIENCE):  # the watchdog notices it in real time
            while connected[0].close_event is None:  # noqa: ASYNC110
                await anyio.sleep(0.005)
        await client.advance(2.9)
        assert journal == []
        await client.advance(0.2)
        assert journal == ["cut short", 1006]


@both_servers
async def test_in_lanes_too_an_answer_without_a_client_ends_only_its_call(
    server: ServerStyle,
) -> None:
    """A reply that can't be sent any more does not stop the other messages."""
    journal, gates = Journal(), {name: anyio.Event() for name in "ab"}

    class Saving(WebSocketConsumer):
        @receives(concurrency=1)
        async def say(self, message: Say) -> str:
            await gates[message.text].wait()
            journal.add(message.text)
            return ""

    async with serving(Saving) as client, client.connect("/", server=server) as ws:
        for name in "ab":
            await ws.send({"type": "say", "text": name, "id": name})
        await client.settle()
        await ws.drop()
        await client.settle()
        for gate in gates.values():
            gate.set()

    assert journal == ["a", "b"]


@both_servers
async def test_a_cancelled_stream_whose_client_then_leaves(server: ServerStyle) -> None:
    """That the sender can't be told `cancelled` any more loses no message behind it."""
    journal, go_on = Journal(), anyio.Event()

    class Cleaning(WebSocketConsumer):
        @receives("count")
        async def count(self) -> AsyncIterator[int]:
            try:
                yield 0
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await go_on.wait()

        @receives
        async def say(self, message: Say) -> str:
            journal.add(message.text)
            return ""

    async with serving(Cleaning) as client, client.connect("/", server=server) as ws:
        await ws.send({"type": "count", "id": 1})
        await ws.receive_json()
        await ws.send({"type": "say", "text": "saved"})
        await ws.send({"cancel": 1})
        await client.settle()
        await ws.drop()
        await client.settle()
        go_on.set()

    assert journal == ["saved"]
