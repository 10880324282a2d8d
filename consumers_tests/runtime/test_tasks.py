"""`start_soon`: work beside the hooks, which ends with its connection."""

import anyio
import pytest
from anyio.lowlevel import checkpoint

from consumers import StateError, WebSocketConsumer
from consumers_tests.doubles import Journal, serving


async def test_work_starts_at_the_next_checkpoint() -> None:
    """It has not begun when start_soon returns, and has after a checkpoint."""
    journal = Journal()

    class Working(WebSocketConsumer):
        async def on_connect(self) -> None:
            self.start_soon(self.work, "argument", name="the name")
            journal.add("started")
            await checkpoint()
            await checkpoint()
            journal.add("after")

        async def work(self, argument: str) -> None:
            journal.add((argument, anyio.get_current_task().name))

    async with serving(Working) as client, client.connect("/"):
        await journal.wait_for("after")

    assert journal == ["started", ("argument", "the name"), "after"]


async def test_work_is_cancelled_when_the_client_leaves() -> None:
    """It ends with the connection, before on_disconnect."""
    journal = Journal()

    class Working(WebSocketConsumer):
        async def on_connect(self) -> None:
            self.start_soon(self.work)

        async def work(self) -> None:
            try:
                await anyio.sleep_forever()
            finally:
                journal.add("cancelled")

        async def on_disconnect(self, code: int) -> None:
            journal.add("on_disconnect")

    async with serving(Working) as client, client.connect("/"):
        await client.settle()

    assert journal == ["cancelled", "on_disconnect"]


async def test_its_handle_cancels_it_alone() -> None:
    """`cancel()` of the handle ends that work; the connection goes on."""
    journal = Journal()

    class Working(WebSocketConsumer):
        async def on_connect(self) -> None:
            self.handle = self.start_soon(self.work)
            self.start_soon(self.work)

        async def work(self) -> None:
            try:
                await anyio.sleep_forever()
            finally:
                journal.add("cancelled")

        async def on_receive(self, message: str) -> None:
            self.handle.cancel()
            await self.handle.wait()
            await self.send(str(len(journal)))

    async with serving(Working) as client, client.connect("/") as ws:
        await ws.send("")
        assert await ws.receive() == "1"


async def test_its_exception_closes_with_1011_and_cancels_the_rest() -> None:
    """A failing task cancels the hook and the other work, and goes to the server."""
    journal = Journal()

    class Working(WebSocketConsumer):
        async def on_connect(self) -> None:
            self.start_soon(self.sleep, "work")
            self.start_soon(self.fail)
            await self.sleep("hook")

        async def sleep(self, name: str) -> None:
            try:
                await anyio.sleep_forever()
            finally:
                journal.add(f"{name} cancelled")

        async def fail(self) -> None:
            await checkpoint()
            raise ValueError("a bug")

        async def on_disconnect(self, code: int) -> None:
            journal.add(code)

    async with serving(Working) as client:
        with pytest.raises(ValueError, match="a bug"):
            async with client.connect("/"):
                await journal.wait_for(1011)

    assert sorted(journal[:-1]) == ["hook cancelled", "work cancelled"]


async def test_work_that_sends_to_a_departed_client_ends_silently() -> None:
    """ConnectionClosed of its own connection is no failure of a task."""
    journal = Journal()

    class Pushing(WebSocketConsumer):
        async def on_connect(self) -> None:
            self.start_soon(self.push)

        async def push(self) -> None:
            try:
                while True:
                    await self.send("tick")
                    await anyio.sleep(0.001)
            finally:
                journal.add("ended")

    async with serving(Pushing) as client, client.connect("/") as ws:
        assert await ws.receive() == "tick"
        await ws.drop()
        await journal.wait_for("ended")


async def test_work_of_an_ending_connection_can_t_start_more() -> None:
    """A task that is cancelled at the end gets StateError from start_soon."""
    journal = Journal()

    class Working(WebSocketConsumer):
        async def on_connect(self) -> None:
            self.start_soon(self.work)

        async def work(self) -> None:
            try:
                await anyio.sleep_forever()
            finally:
                with pytest.raises(StateError, match=r"app\.start_soon"):
                    self.start_soon(self.work)
                journal.add("refused")

    async with serving(Working) as client, client.connect("/") as ws:
        await client.settle()
        await ws.close()
        await journal.wait_for("refused")


async def test_work_that_dies_may_not_send_and_that_is_no_error() -> None:
    """What a task sends in its clean-up is dropped, without a failure."""
    journal = Journal()

    class Working(WebSocketConsumer):
        async def on_connect(self) -> None:
            self.start_soon(self.work)

        async def work(self) -> None:
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    journal.add("cleaning up")
                    await self.send("bye")

        async def on_receive(self, message: str) -> None:
            await self.close()

    async with serving(Working) as client, client.connect("/") as ws:
        await ws.send("")
        await ws.receive_close()

    assert journal == ["cleaning up"]
