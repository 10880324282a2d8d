"""Timeouts of a connection, in virtual time."""

from typing import Any

import anyio
import pytest

from consumers import App, Limits, WebSocketConsumer, WebSocketRoute
from consumers.testing import Refused, TestClient
from consumers_tests.doubles import Journal, serving


async def _refused(client: TestClient, seconds: float) -> Refused:
    """Connect, let the time pass, and return how it was refused."""
    refusals = []

    async def connect() -> None:
        with pytest.raises(Refused) as refused:
            async with client.connect("/"):
                pass
        refusals.append(refused.value)

    async with anyio.create_task_group() as group:
        group.start_soon(connect)
        await client.settle()
        await client.advance(seconds - 0.1)
        assert refusals == []
        await client.advance(0.1)
    return refusals[0]


@pytest.mark.parametrize("where", ["authenticate", "on_handshake", "on_connect"])
async def test_a_handshake_that_takes_too_long_is_refused_with_408(where: str) -> None:
    """Authenticate and hooks have `handshake_timeout` seconds until the accept."""

    async def sleep(*_: Any) -> None:
        await anyio.sleep_forever()

    class Handshaking(WebSocketConsumer):
        auto_accept = where != "on_connect"

        async def on_handshake(self) -> None:
            if where == "on_handshake":
                await sleep()

        async def on_connect(self) -> None:
            await sleep()

    app = App(
        [WebSocketRoute("/", Handshaking)],
        limits=Limits(handshake_timeout=7),
        authenticate=sleep if where == "authenticate" else None,
    )
    async with TestClient(app) as client:
        assert (await _refused(client, 7)).status == 408


async def test_without_a_time_a_handshake_takes_any() -> None:
    """The control: whoever is asked for long is accepted in the end."""
    go_on = anyio.Event()

    class Handshaking(WebSocketConsumer):
        limits = Limits(handshake_timeout=None)

        async def on_handshake(self) -> None:
            await go_on.wait()

    async with serving(Handshaking) as client, anyio.create_task_group() as group:

        async def let_in() -> None:
            await client.settle()
            await client.advance(100_000)
            go_on.set()

        group.start_soon(let_in)
        async with client.connect("/") as ws:
            assert go_on.is_set()
            assert ws.closed is None


async def test_after_the_accept_the_handshake_s_time_is_over() -> None:
    """A hook that goes on after the accept is not cancelled by handshake_timeout."""
    journal, go_on = Journal(), anyio.Event()

    class Accepting(WebSocketConsumer):
        auto_accept = False
        limits = Limits(handshake_timeout=7)

        async def on_connect(self) -> None:
            await self.accept()
            await go_on.wait()
            journal.add("went on")

    async with serving(Accepting) as client, client.connect("/"):
        await client.advance(60)
        go_on.set()
        await journal.wait_for("went on")


async def test_an_idle_client_is_closed_with_1001() -> None:
    """Without a message for `idle_timeout` seconds it is closed; each renews them."""

    class Echo(WebSocketConsumer):
        limits = Limits(idle_timeout=10)

        async def on_receive(self, message: str) -> None:
            await self.send(message)

    class Both(Echo):
        concurrency = 2

    for consumer in (Echo, Both):
        async with serving(consumer) as client, client.connect("/") as ws:
            await client.advance(9)
            await ws.send("still here")
            assert await ws.receive() == "still here"
            await client.advance(9)
            assert ws.closed is None
            await client.advance(1)

            assert (await ws.receive_close()).code == 1001


@pytest.mark.parametrize("auto_accept", [True, False])
async def test_an_idle_client_of_a_view_is_closed_too(auto_accept: bool) -> None:
    """A view that waits for a message learns of it as of its own close, silently."""
    app = App(limits=Limits(idle_timeout=10))

    @app.websocket_route("/", auto_accept=auto_accept)
    async def view(ws: Any) -> None:
        if not auto_accept:
            await ws.accept()
        async for message in ws:
            await ws.send(message)
        raise AssertionError("the loop ends by ConnectionClosed")

    async with TestClient(app) as client, client.connect("/") as ws:
        await client.advance(9)
        await ws.send("still here")
        assert await ws.receive() == "still here"
        await client.advance(10)

        assert (await ws.receive_close()).code == 1001


async def test_a_working_hook_is_not_idle() -> None:
    """The time that a message is handled for does not count."""
    go_on = anyio.Event()

    class Slow(WebSocketConsumer):
        limits = Limits(idle_timeout=10)

        async def on_receive(self, message: str) -> None:
            await go_on.wait()
            await self.send("done")

    async with serving(Slow) as client, client.connect("/") as ws:
        await ws.send("work")
        await client.advance(60)
        go_on.set()

        assert await ws.receive() == "done"


async def test_by_default_an_idle_client_stays() -> None:
    """Whoever only listens is not closed, for however long."""

    class Listening(WebSocketConsumer):
        async def on_receive(self, message: str) -> None: ...

    async with serving(Listening) as client, client.connect("/") as ws:
        await client.advance(1_000_000)

        assert ws.closed is None


async def test_an_ended_connection_leaves_no_timer() -> None:
    """After the end no timer of the connection is left on the clock."""

    class Timed(WebSocketConsumer):
        limits = Limits(idle_timeout=10, handshake_timeout=10)

        async def on_handshake(self) -> None: ...

        async def on_receive(self, message: str) -> None:
            await self.send(message)

        async def on_disconnect(self, code: int) -> None: ...

    async with serving(Timed) as client:
        async with client.connect("/") as ws:
            await ws.send("x")
            assert await ws.receive() == "x"

        assert client.clock._deadlines == {}
