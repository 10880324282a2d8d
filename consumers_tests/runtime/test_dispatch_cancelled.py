"""Dispatch: what becomes of a method that is cancelled, and what its sender is told."""

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from consumers import WebSocketConsumer, receives
from consumers.testing import ServerStyle
from consumers_tests.cancelling import Say, Work, cancelled, is_alive, working
from consumers_tests.doubles import both_servers, serving


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
