"""After the client left: what came before is handled in time, the rest ends."""

import anyio
import pytest
from anyio.lowlevel import checkpoint

from consumers import App, Limits, WebSocketConsumer, WebSocketRoute
from consumers.testing import ServerStyle, TestClient
from consumers_tests.doubles import Journal, both_servers, serving


@both_servers
@pytest.mark.parametrize("concurrency", [1, 3])
async def test_messages_that_came_before_are_handled(
    concurrency: int, server: ServerStyle
) -> None:
    """A save is not lost because the tab was closed, though its answer can't go out."""
    journal = Journal()

    class Saving(WebSocketConsumer):
        async def on_receive(self, message: str) -> None:
            await checkpoint()
            journal.add(message)
            await self.send("saved")

        async def on_disconnect(self, code: int) -> None:
            journal.add("end")

    Saving.concurrency = concurrency
    async with serving(Saving) as client, client.connect("/", server=server) as ws:
        for message in "abcde":
            await ws.send(message)
        await ws.close()

    assert journal == [*"abcde", "end"]


@pytest.mark.parametrize("concurrency", [1, 2])
async def test_what_takes_longer_than_finish_timeout_is_cancelled(
    concurrency: int,
) -> None:
    """After the departure all messages together have `finish_timeout` seconds."""
    journal = Journal()

    class Slow(WebSocketConsumer):
        finish_timeout = 3.0

        async def on_receive(self, message: str) -> None:
            journal.add(message)
            try:
                await anyio.sleep_forever()
            finally:
                journal.add(f"{message} cancelled")

        async def on_disconnect(self, code: int) -> None:
            journal.add("end")

    Slow.concurrency = concurrency
    async with serving(Slow) as client, client.connect("/") as ws:
        for message in "abc":
            await ws.send(message)
        await ws.close()
        await client.settle()
        assert journal == [*"abc"][:concurrency]
        await client.advance(2.9)
        assert journal == [*"abc"][:concurrency]
        await client.advance(0.2)
        assert sorted(journal[concurrency:-1]) == [
            f"{message} cancelled" for message in "abc"[:concurrency]
        ]
        assert journal[-1] == "end"


async def test_the_deadline_is_set_once() -> None:
    """Messages handled after the departure do not renew `finish_timeout`."""
    journal, steps = Journal(), anyio.Semaphore(0)

    class Slow(WebSocketConsumer):
        finish_timeout = 3.0
        concurrency = 2

        async def on_receive(self, message: str) -> None:
            journal.add(message)
            await steps.acquire()

        async def on_disconnect(self, code: int) -> None:
            journal.add("end")

    async with serving(Slow) as client, client.connect("/") as ws:
        for message in "abc":
            await ws.send(message)
        await ws.close()
        await client.settle()
        await client.advance(2)
        steps.release()  # the third is handled, and the departure is read again
        await client.settle()
        assert journal == ["a", "b", "c"]
        await client.advance(1)
        assert journal == ["a", "b", "c", "end"]


async def test_start_soon_work_is_cancelled_at_once_though_a_message_is_handled() -> (
    None
):
    """The departure cancels start_soon work, while a hook may finish."""
    journal, go_on = Journal(), anyio.Event()

    class Working(WebSocketConsumer):
        async def on_connect(self) -> None:
            self.start_soon(self.work)

        async def work(self) -> None:
            try:
                await anyio.sleep_forever()
            finally:
                journal.add("work cancelled")

        async def on_receive(self, message: str) -> None:
            await go_on.wait()
            journal.add("handled")

    async with serving(Working) as client, client.connect("/") as ws:
        await ws.send("")
        await client.settle()
        await ws.drop()
        await journal.wait_for("work cancelled")
        go_on.set()

    assert journal == ["work cancelled", "handled"]


async def test_a_message_that_waits_keeps_on_connect_running() -> None:
    """If a message came before the client left, on_connect may finish for it."""
    journal, go_on = Journal(), anyio.Event()

    class Slow(WebSocketConsumer):
        async def on_connect(self) -> None:
            await go_on.wait()
            journal.add("connected")

        async def on_receive(self, message: str) -> None:
            journal.add(message)

    async with serving(Slow) as client, client.connect("/") as ws:
        await ws.send("save")
        await ws.close()
        await client.settle()
        go_on.set()

    assert journal == ["connected", "save"]


async def test_a_full_inbox_hides_the_departure_until_the_hook_ends() -> None:
    """With `limits.inbox` messages waiting nothing more is read, and none is lost."""
    journal, go_on = Journal(), anyio.Event()

    class Slow(WebSocketConsumer):
        limits = Limits(inbox=3)

        async def on_connect(self) -> None:
            await self.join("room")

        async def on_receive(self, message: str) -> None:
            await go_on.wait()
            journal.add(message)

    app = App([WebSocketRoute("/", Slow)])
    async with TestClient(app) as client, client.connect("/") as ws:
        for message in "abcdef":
            await ws.send(message)
        await ws.close()
        await client.settle()
        assert await app.groups.count("room") == 1
        go_on.set()

    assert journal == [*"abcdef"]


async def test_clean_up_that_awaits_is_cancelled_again_unless_shielded() -> None:
    """After a cancellation each later await raises again; a shield lets one pass."""
    journal = Journal()

    class Cleaning(WebSocketConsumer):
        async def on_connect(self) -> None:
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await checkpoint()
                    journal.add("shielded")
                await checkpoint()
                journal.add("never")

    async with serving(Cleaning) as client, client.connect("/") as ws:
        await client.settle()
        await ws.drop()
        await journal.wait_for("shielded")

    assert journal == ["shielded"]
