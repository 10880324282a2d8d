"""Dispatch: several messages at once, by method, by class and by key; timeouts."""

import gc
import threading
import weakref
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from consumers import Limits, WebSocketConsumer, receives
from consumers.testing import ServerStyle
from consumers_tests.doubles import PATIENCE, Journal, both_servers, serving
from consumers_tests.gated import Ask, ask, gated, open_all

# -- how many -------------------------------------------------------------------------


@both_servers
async def test_so_many_of_one_method_run_at_once(server: ServerStyle) -> None:
    """They begin in order, and the others are handled beside them, one by one."""
    consumer = gated(concurrency=2)

    async with serving(consumer) as client, client.connect("/", server=server) as ws:
        for text in ("a", "b", "c"):
            await ask(ws, text)
        for text in ("x", "y"):
            await ws.send({"type": "say", "text": text, "id": text})
        await client.settle()
        assert consumer.journal == ["begin a", "begin b", "begin x"]
        consumer.gates["b"].set()
        assert await ws.receive_json() == {"id": "b", "reply": "b"}
        await client.settle()
        assert consumer.journal[3:] == ["end b", "begin c"]
        consumer.gates["x"].set()
        assert await ws.receive_json() == {"id": "x", "reply": "x"}
        await client.settle()
        assert consumer.journal[5:] == ["end x", "begin y"]
        open_all(consumer)


@both_servers
async def test_the_class_s_concurrency_is_of_all_others(server: ServerStyle) -> None:
    """Methods with a number of their own do not take from it."""
    consumer = gated(concurrency=1)
    consumer.concurrency = 2

    async with serving(consumer) as client, client.connect("/", server=server) as ws:
        for text in "ab":
            await ask(ws, text)
        for text in "xyz":
            await ws.send({"type": "say", "text": text})
        await client.settle()
        assert consumer.journal == ["begin a", "begin x", "begin y"]
        for text in "axy":
            consumer.gates[text].set()
        await client.settle()
        assert sorted(consumer.journal.started("begin")) == [
            f"begin {text}" for text in "abxyz"
        ]
        open_all(consumer)


@both_servers
@pytest.mark.parametrize(
    "key",
    ["room", lambda message: message.room.lower(), lambda message: [message.room]],
    ids=["field", "function", "what has no hash"],
)
async def test_one_by_one_for_each_key(key: Any, server: ServerStyle) -> None:
    """Within a key messages keep their order, and other keys do not wait for it."""
    consumer = gated(concurrency=8, key=key)

    async with serving(consumer) as client, client.connect("/", server=server) as ws:
        for text in ("red 1", "red 2", "blue 1", "red 3", "blue 2"):
            await ask(ws, text, text.split()[0])
        await client.settle()
        assert consumer.journal == ["begin red 1", "begin blue 1"]
        consumer.gates["red 1"].set()
        assert (await ws.receive_json())["id"] == "red 1"
        await client.settle()
        assert consumer.journal[2:] == ["end red 1", "begin red 2"]
        while "end red 3" not in consumer.journal:
            open_all(consumer)
            await client.settle()

    order = [entry for entry in consumer.journal if str(entry).startswith("begin red")]
    assert order == ["begin red 1", "begin red 2", "begin red 3"]


async def test_streams_side_by_side() -> None:
    """Their items come as they are made, each with its id."""
    gates = {name: anyio.Event() for name in "ab"}

    class Streaming(WebSocketConsumer):
        @receives(concurrency=4)
        async def ask(self, message: Ask) -> AsyncIterator[str]:
            yield f"{message.text} 1"
            await gates[message.text].wait()
            yield f"{message.text} 2"

    async with serving(Streaming) as client, client.connect("/") as ws:
        for text in "ab":
            await ask(ws, text)
        assert [await ws.receive_json() for _ in range(2)] == [
            {"id": "a", "item": "a 1"},
            {"id": "b", "item": "b 1"},
        ]
        gates["b"].set()
        assert [await ws.receive_json() for _ in range(2)] == [
            {"id": "b", "item": "b 2"},
            {"id": "b", "done": True},
        ]
        gates["a"].set()
        assert (await ws.receive_json())["item"] == "a 2"


# -- bounds ---------------------------------------------------------------------------


@both_servers
async def test_so_many_wait_and_then_nothing_more_is_read(server: ServerStyle) -> None:
    """`limits.inbox` messages wait in lanes, and as many may be read ahead."""
    consumer = gated(concurrency=1)
    consumer.limits = Limits(inbox=3)

    async with serving(consumer) as client, client.connect("/", server=server) as ws:
        texts = [f"{number:02}" for number in range(20)]
        for text in texts:
            await ask(ws, text)
        inbox = consumer.instances[0]._inbox
        with anyio.fail_after(PATIENCE):
            while len(inbox) < 3:  # until the watchdog has them read ahead
                await checkpoint()
        await client.settle()
        unread = len(ws._transport._to_app)
        # One is worked on, 3 wait for it, the main task has one in hand, 3 are read.
        assert unread == 20 - 1 - 3 - 1 - 3
        answers: list[str] = []
        while len(answers) < 20:
            open_all(consumer)
            await client.settle()
            while ws._transport.unread:
                answers.append((await ws.receive_json())["id"])

    assert answers == texts


async def test_a_full_lane_holds_up_no_cancel() -> None:
    """What would free a place gets through, though nothing more is read."""
    consumer = gated(concurrency=1)
    consumer.limits = Limits(inbox=2)

    async with serving(consumer) as client, client.connect("/") as ws:
        for text in "abcd":
            await ask(ws, text)
        await client.settle()
        await ws.send({"cancel": "a"})
        assert await ws.receive_json() == {"id": "a", "error": {"code": "cancelled"}}
        while len(consumer.journal.started("end")) < 4:
            open_all(consumer)
            await client.settle()
        assert [(await ws.receive_json())["id"] for _ in range(3)] == ["b", "c", "d"]


async def test_nothing_is_kept_of_what_was_answered() -> None:
    """Neither the messages nor their calls outlive their answers."""
    kept: list[weakref.ref[Ask]] = []

    class Keeping(gated()):  # type: ignore[misc]
        @receives(concurrency=2, key="room")
        async def ask(self, message: Ask) -> str:
            kept.append(weakref.ref(message))
            if message.text == "wait":
                await anyio.sleep_forever()
            return message.text

    async with serving(Keeping) as client, client.connect("/") as ws:
        for number in range(50):
            await ask(ws, f"{number}", f"{number % 3}")
            assert (await ws.receive_json())["reply"] == f"{number}"
        for _ in range(10):
            await ask(ws, "wait")
            await client.settle()
            await ws.send({"cancel": "wait"})
            assert (await ws.receive_json())["error"]["code"] == "cancelled"
        await client.settle()
        dispatch: Any = Keeping.instances[0]._runtime._dispatch
        assert not dispatch._calls
        assert not dispatch._streams
        assert not dispatch._ready
        assert dispatch._waiting == 0
        assert len(Keeping.instances[0]._runtime.tasks.of("handler")) == 0
        gc.collect()
        assert [each for each in kept if each() is not None] == []


# -- timeouts -------------------------------------------------------------------------


@both_servers
@pytest.mark.parametrize("concurrency", [None, 2])
async def test_a_call_that_takes_too_long(
    concurrency: int | None, server: ServerStyle
) -> None:
    """It is cancelled, its sender is told `timeout`, and the connection goes on."""
    consumer = gated(timeout=5.0, concurrency=concurrency)

    async with serving(consumer) as client, client.connect("/", server=server) as ws:
        await ask(ws, "a")
        await client.advance(4.9)
        assert consumer.journal == ["begin a"]
        await client.advance(0.2)
        assert await ws.receive_json() == {"id": "a", "error": {"code": "timeout"}}
        await ws.send({"type": "ask", "text": "b"})
        await client.advance(5.1)
        assert await ws.receive_json() == {"error": {"code": "timeout"}}
        await ask(ws, "c")
        await client.settle()
        consumer.gates["c"].set()
        assert await ws.receive_json() == {"id": "c", "reply": "c"}


async def test_the_time_of_a_stream_is_that_of_all_of_it() -> None:
    """Items that were sent stay sent; its clean-up runs."""
    journal = Journal()

    class Slow(WebSocketConsumer):
        @receives("count", timeout=2)
        async def count(self) -> AsyncIterator[int]:
            try:
                yield 1
                await anyio.sleep_forever()
            finally:
                journal.add("cleaned up")

    async with serving(Slow) as client, client.connect("/") as ws:
        await ws.send({"type": "count", "id": 1})
        assert await ws.receive_json() == {"id": 1, "item": 1}
        await client.advance(2.1)
        assert await ws.receive_json() == {"id": 1, "error": {"code": "timeout"}}

    assert journal == ["cleaned up"]


async def test_a_thread_s_late_answer_counts() -> None:
    """A thread can't be cancelled: what it returns after its time is sent."""
    began, go_on = anyio.Event(), threading.Event()

    class Threaded(WebSocketConsumer):
        @receives(timeout=1, thread=True)
        def ask(self, message: Ask) -> str:
            anyio.from_thread.run_sync(began.set)
            assert go_on.wait(5)
            return "late"

    async with serving(Threaded) as client, client.connect("/") as ws:
        await ask(ws, "a")
        with anyio.fail_after(5):
            await began.wait()
        client.clock.advance(2)
        go_on.set()
        assert await ws.receive_json() == {"id": "a", "reply": "late"}
