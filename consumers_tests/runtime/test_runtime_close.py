"""`close()` lets its hook run on and cancels other work, whoever calls it."""

from collections.abc import Callable
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from consumers import (
    App,
    ConnectionClosed,
    Identity,
    Limits,
    StateError,
    WebSocketConsumer,
    WebSocketRoute,
    intercepts,
)
from consumers.testing import ServerStyle, TestClient
from consumers_tests.doubles import Journal, both_servers, serving, wait_for


class Closable(WebSocketConsumer):
    """Closes from where the client says, and notes what becomes of its work."""

    finish_timeout = 3.0
    journal: Journal

    async def on_connect(self) -> None:
        await self.join("room")
        self.start_soon(self.work, "work")

    async def work(self, name: str) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            self.journal.add(f"{name} cancelled")

    async def on_receive(self, message: str) -> None:
        match message:
            case "hook":
                await self.close_and_run_on()
            case "nested":
                async with anyio.create_task_group() as group:
                    group.start_soon(self.close_and_run_on)
            case "task":
                self.start_soon(self.close_and_run_on)
            case _:
                self.journal.add(message)

    async def close_and_run_on(self) -> None:
        await self.close(4000, "enough")
        for _ in range(10):
            await checkpoint()
        self.journal.add("ran on")

    async def on_disconnect(self, code: int) -> None:
        self.journal.add(code)


@both_servers
@pytest.mark.parametrize("caller", ["hook", "nested", "task"])
async def test_who_closes_runs_on_and_other_work_is_cancelled(
    caller: str, server: ServerStyle
) -> None:
    """From a hook, its nested task or start_soon: it runs on, no message follows."""

    class Closing(Closable):
        journal = Journal()

    app = App([WebSocketRoute("/", Closing)])
    async with TestClient(app) as client, client.connect("/", server=server) as ws:
        late = ["never handled"] * (caller != "task")  # which starts after it
        for text in (caller, *late):
            ws._transport.client_sends({"type": "websocket.receive", "text": text})
        closed = await ws.receive_close()
        await Closing.journal.wait_for(4000)
        assert await app.groups.count("room") == 0

    assert (closed.code, closed.reason) == (4000, "enough")
    assert Closing.journal == ["work cancelled", "ran on", 4000]


@both_servers
async def test_a_hook_that_closed_is_never_cancelled_for_it(
    server: ServerStyle,
) -> None:
    """The server's answer to our close, read while the hook runs on, is no news."""
    journal, go_on = Journal(), anyio.Event()

    class Closing(WebSocketConsumer):
        async def on_connect(self) -> None:
            await self.close()
            await go_on.wait()
            journal.add("saved")

    async with serving(Closing) as client, client.connect("/", server=server) as ws:
        await ws.receive_close()
        # Long enough for the watchdog to look, and for every timer of ours.
        await anyio.sleep(0.1)
        await client.advance(60)
        go_on.set()

    assert journal == ["saved"]


@both_servers
async def test_another_connection_s_hook_and_a_request_may_close(
    server: ServerStyle,
) -> None:
    """Closed by a task that is not its own, a connection ends as by its own close."""

    class Closing(Closable):
        journal = Journal()
        open: list[WebSocketConsumer] = []  # noqa: RUF012

        async def on_connect(self) -> None:
            self.open.append(self)
            await super().on_connect()

        async def on_receive(self, message: str) -> None:
            await self.open[0].close(4000, "out")
            self.journal.add("closed the other")

    for by in ("a hook", "a request"):
        Closing.journal.clear()
        Closing.open.clear()
        async with (
            serving(Closing) as client,
            client.connect("/", server=server) as ws,
            client.connect("/", server=server) as other,
        ):
            if by == "a hook":
                await other.send("")
            else:
                await client.settle()
                await Closing.open[0].close(4000, "out")
            assert (await ws.receive_close()).code == 4000
            await client.settle()
            by_hook = ["closed the other"] if by == "a hook" else []
            assert sorted(Closing.journal, key=str) == [
                4000,
                *by_hook,
                "work cancelled",
            ]


@both_servers
async def test_closed_by_another_task_a_hook_may_finish_and_learns_of_it(
    server: ServerStyle,
) -> None:
    """A hook that runs while another task closes has `finish_timeout`; `send` tells."""
    journal = Journal()
    instances: list[WebSocketConsumer] = []

    class Busy(WebSocketConsumer):
        finish_timeout = 3.0

        async def on_connect(self) -> None:
            instances.append(self)

        async def on_receive(self, message: str) -> None:
            await wait_for(go_on)
            if message == "send":
                try:
                    await self.send("x")
                except ConnectionClosed as closed:
                    journal.add(closed.code)
                    raise
            else:
                try:
                    await anyio.sleep_forever()
                finally:
                    journal.add("cancelled")

    for message in ("send", "sleep"):
        go_on = anyio.Event()
        async with serving(Busy) as client, client.connect("/", server=server) as ws:
            await ws.send(message)
            await client.settle()
            await instances[-1].close(4000)
            go_on.set()
            await client.settle()
            await client.advance(3)

    assert journal == [4000, "cancelled"]


async def test_a_kicked_push_loop_ends_silently() -> None:
    """A hook that pushes while `groups.disconnect` comes ends at its next send."""
    journal = Journal()

    class Clock(WebSocketConsumer):
        async def on_connect(self) -> None:
            while True:
                await self.send("tick")
                await anyio.sleep(0.001)

        async def on_disconnect(self, code: int) -> None:
            journal.add(code)

    app = App([WebSocketRoute("/", Clock)])
    async with (
        TestClient(app) as client,
        client.connect("/", identity=Identity("42")) as ws,
    ):
        assert await ws.receive() == "tick"
        await app.groups.disconnect(user="42", code=4001)
        await journal.wait_for(4001)
        while ws.closed is None:
            await checkpoint()
        assert ws.closed.code == 4001


async def test_no_message_that_crossed_our_close_is_handled() -> None:
    """A message that comes in the same step as another task's close is not handled."""
    journal = Journal()
    instances: list[WebSocketConsumer] = []

    class Noting(WebSocketConsumer):
        async def on_connect(self) -> None:
            instances.append(self)

        async def on_receive(self, message: str) -> None:
            journal.add(message)

    class Pulling(Noting):
        concurrency = 2

    for consumer in (Noting, Pulling):
        async with serving(consumer) as client, client.connect("/") as ws:
            await client.settle()
            ws._transport.client_sends({"type": "websocket.receive", "text": "late"})
            await instances[-1].close()

    assert journal == []


async def test_a_view_that_is_closed_elsewhere_gets_no_further_message() -> None:
    """A view learns of another task's close from `receive`, and ends silently."""
    journal = Journal()
    app = App()
    instances: list[Any] = []

    @app.websocket_route("/")
    async def view(ws: Any) -> None:
        instances.append(ws)
        async for message in ws:
            journal.add(message)

    async with TestClient(app) as client, client.connect("/") as ws:
        await client.settle()
        ws._transport.client_sends({"type": "websocket.receive", "text": "late"})
        await instances[0].close(4000)
        assert (await ws.receive_close()).code == 4000

    assert journal == []


async def test_a_second_close_is_a_mistake_of_the_same_task() -> None:
    """The task that closed gets StateError from close and send."""
    journal = Journal()

    class Twice(WebSocketConsumer):
        async def on_connect(self) -> None:
            await self.close()
            calls: list[Callable[[], Any]] = [self.close, lambda: self.send("x")]
            for call in calls:
                with pytest.raises(StateError, match="was closed with 1000"):
                    await call()
            await self.ensure_closed()
            journal.add("done")

    async with serving(Twice) as client, client.connect("/") as ws:
        await ws.receive_close()

    assert journal == ["done"]


async def test_what_was_sent_and_published_before_goes_out_before_the_close() -> None:
    """A close waits for what is on its way to this client."""

    class Publishing(WebSocketConsumer):
        async def on_connect(self) -> None:
            await self.join("room")
            for message in "abc":
                await self.publish("room", message)
            await self.close()

    async with serving(Publishing) as client, client.connect("/") as ws:
        received = [await ws.receive() for _ in range(3)]
        assert (await ws.receive_close()).code == 1000

    assert received == [*"abc"]


@both_servers
async def test_a_close_waits_for_a_stalled_client_for_close_timeout(
    server: ServerStyle,
) -> None:
    """A client that does not read holds `close()` up, and the end, for that long."""
    journal = Journal()

    class Closing(WebSocketConsumer):
        limits = Limits(close_timeout=2)

        async def on_receive(self, message: str) -> None:
            await self.join("room")
            await self.publish("room", "waits")
            await self.close()
            journal.add("closed")

        async def on_disconnect(self, code: int) -> None:
            journal.add(code)

    async with serving(Closing) as client, client.connect("/", server=server) as ws:
        await ws.stall(0)
        await ws.send("")
        await client.settle()
        assert journal == []
        await client.advance(2)
        assert journal[:1] == ["closed"]
        await client.advance(2)
        assert journal == ["closed", 1000]


async def test_an_interceptor_may_close() -> None:
    """A close from an @intercepts method does not wait for its own publication."""

    class Censor(WebSocketConsumer):
        async def on_connect(self) -> None:
            await self.join("room")

        @intercepts
        async def censor(self, publication: str) -> str | None:
            await self.close(4000)
            return None

    app = App([WebSocketRoute("/", Censor)])
    async with TestClient(app) as client, client.connect("/") as ws:
        await client.settle()
        await app.groups.publish("room", "x")

        assert (await ws.receive_close()).code == 4000


async def test_a_task_that_a_hook_left_behind_closes_like_any_other_s() -> None:
    """Work of the application that a hook started may close the idle connection."""
    journal, go_on = Journal(), anyio.Event()
    app = App()

    @app.websocket_route("/")
    class Leaving(WebSocketConsumer):
        async def on_connect(self) -> None:
            app.start_soon(self.close_later)

        async def close_later(self) -> None:
            await go_on.wait()
            await self.close(4000)

        async def on_receive(self, message: str) -> None: ...

        async def on_disconnect(self, code: int) -> None:
            journal.add(code)

    async with TestClient(app) as client, client.connect("/") as ws:
        await client.settle()
        go_on.set()

        assert (await ws.receive_close()).code == 4000
        await journal.wait_for(4000)
