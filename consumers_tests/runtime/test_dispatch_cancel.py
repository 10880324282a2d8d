"""Dispatch: a sender cancels what it has asked, wherever that is by then."""

from collections.abc import AsyncIterator
from typing import Any

import anyio
import msgspec
import pytest
from anyio.lowlevel import checkpoint

from consumers import WebSocketConsumer, receives
from consumers.testing import ClientConnection, ServerStyle
from consumers_tests.doubles import Journal, both_servers, serving


class Work(msgspec.Struct, tag="work"):
    text: str


class Say(msgspec.Struct, tag="say"):
    text: str


class Working(WebSocketConsumer):
    """Works until it is cancelled, or until the test opens its gate."""

    journal: Journal
    gates: dict[str, anyio.Event]
    instances: list[Any]

    async def on_connect(self) -> None:
        self.instances.append(self)

    @receives
    async def work(self, message: Work) -> str:
        self.journal.add(f"begin {message.text}")
        try:
            await self.gates.setdefault(message.text, anyio.Event()).wait()
        except anyio.get_cancelled_exc_class():
            self.journal.add(f"cancelled {message.text}")
            raise
        return message.text

    @receives("stream")
    async def stream(self, text: str) -> AsyncIterator[str]:
        self.journal.add(f"begin {text}")
        try:
            yield text
            await self.gates.setdefault(text, anyio.Event()).wait()
        except anyio.get_cancelled_exc_class():
            self.journal.add(f"cancelled {text}")
            raise

    @receives
    async def say(self, message: Say) -> str:
        self.journal.add(message.text)
        return message.text


def working(concurrency: int = 1) -> type[Working]:
    """Return a class with a journal and gates of its own."""
    own = {"journal": Journal(), "gates": {}, "instances": []}
    return type("Working", (Working,), {**own, "concurrency": concurrency})


def cancelled(name: Any) -> Any:
    """Return the answer to what was cancelled."""
    return {"id": name, "error": {"code": "cancelled"}}


async def is_alive(ws: ClientConnection) -> None:
    """Check that the connection handles messages, and nothing else came before."""
    await ws.send({"type": "say", "text": "alive", "id": "alive"})
    assert await ws.receive_json() == {"id": "alive", "reply": "alive"}


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
@pytest.mark.parametrize("concurrency", [1, 2])
async def test_a_second_cancel_does_nothing(
    concurrency: int, server: ServerStyle
) -> None:
    """While it cleans up it is not cancelled again, and answered once."""
    go_on = anyio.Event()

    class Cleaning(working(concurrency)):  # type: ignore[misc]
        @receives("clean")
        async def clean(self) -> AsyncIterator[str]:
            try:
                yield "began"
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await go_on.wait()
                    await self.send("cleaned up")

    async with serving(Cleaning) as client, client.connect("/", server=server) as ws:
        await ws.send({"type": "clean", "id": 1})
        assert await ws.receive_json() == {"id": 1, "item": "began"}
        for _ in range(2):
            await ws.send({"cancel": 1})
            await client.settle()
        go_on.set()
        assert await ws.receive_json() == "cleaned up"
        assert await ws.receive_json() == cancelled(1)
        await is_alive(ws)


async def test_a_method_may_finish_what_it_was_cancelled_in() -> None:
    """One that swallows its cancellation has answered all the same."""

    class Stubborn(WebSocketConsumer):
        @receives("ask")
        async def ask(self) -> AsyncIterator[str]:
            try:
                yield "one"
                await anyio.sleep_forever()
            except anyio.get_cancelled_exc_class():
                pass  # as nobody should

        @receives
        async def say(self, message: Say) -> str:
            return message.text

    async with serving(Stubborn) as client, client.connect("/") as ws:
        await ws.send({"type": "ask", "id": 1})
        await ws.receive_json()
        await ws.send({"type": "say", "text": "behind", "id": 2})
        await ws.send({"cancel": 1})
        assert (await ws.receive_json())["id"] == 1
        assert await ws.receive_json() == {"id": 2, "reply": "behind"}
        await is_alive(ws)


async def test_an_exception_while_it_is_cancelled_is_not_lost() -> None:
    """Clean-up code that fails ends the connection, as any failure does."""

    class Failing(WebSocketConsumer):
        @receives("ask")
        async def ask(self) -> AsyncIterator[str]:
            try:
                yield "one"
                await anyio.sleep_forever()
            finally:
                raise ValueError("a bug")

    async def talk() -> None:
        async with serving(Failing) as client, client.connect("/") as ws:
            await ws.send({"type": "ask", "id": 1})
            await ws.receive_json()
            await ws.send({"cancel": 1})
            error = {"code": "internal"}
            assert await ws.receive_json() == {"id": 1, "error": error}
            assert (await ws.receive_close()).code == 1011

    for concurrency in (1, 2):
        Failing.concurrency = concurrency
        with pytest.raises(ValueError, match="a bug"):
            await talk()


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


async def test_a_thread_is_waited_for() -> None:
    """What runs in a thread can't be cancelled: one answer comes when it is done."""
    began, go_on = anyio.Event(), anyio.Event()

    class Threaded(WebSocketConsumer):
        @receives(thread=True)
        def work(self, message: Work) -> str:
            anyio.from_thread.run_sync(began.set)
            anyio.from_thread.run(go_on.wait)
            return "done"

        @receives
        async def say(self, message: Say) -> str:
            return message.text

    for concurrency in (1, 2):
        began, go_on = anyio.Event(), anyio.Event()
        Threaded.concurrency = concurrency
        async with serving(Threaded) as client, client.connect("/") as ws:
            await ws.send({"type": "work", "text": "", "id": 1})
            with anyio.fail_after(5):
                await began.wait()
            await ws.send({"cancel": 1})
            await anyio.wait_all_tasks_blocked()
            go_on.set()
            assert (await ws.receive_json())["id"] == 1
            await is_alive(ws)


@pytest.mark.parametrize("ticks", range(8))
@pytest.mark.parametrize("kind", ["work", "stream"])
async def test_a_cancel_that_meets_the_end(kind: str, ticks: int) -> None:
    """Wherever the two cross, one answer comes, and the next message gets its own."""

    class Crossing(working()):  # type: ignore[misc]
        @receives
        async def say(self, message: Say) -> str:
            await checkpoint()
            return message.text

    async with serving(Crossing) as client, client.connect("/") as ws:
        await ws.send({"type": "stream", "text": "first", "id": 0})
        await ws.receive_json()
        await ws.send({"type": kind, "text": "a", "id": 1})
        for name in (2, 3):
            await ws.send({"type": "say", "text": "next", "id": name})
        Crossing.gates.setdefault("a", anyio.Event())
        await client.settle()
        Crossing.gates["first"].set()
        await Crossing.journal.wait_for("begin a")
        await client.settle()
        [instance] = Crossing.instances
        Crossing.gates["a"].set()
        for _ in range(ticks):
            await checkpoint()
        instance._runtime._dispatch.cancel(1)
        answers: list[Any] = []
        while len(answers) < 9:
            answers.append(await ws.receive_json())
            if answers[-1]["id"] == 3:
                break
        ends = [each for each in answers if "item" not in each]
        assert [each["id"] for each in ends] == [0, 1, 2, 3]
        assert [each.get("reply") for each in ends[2:]] == ["next", "next"]
