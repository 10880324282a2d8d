"""The client leaves: it is noticed soon, by hooks, groups, views and others."""

from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from consumers import App, ConnectionClosed, WebSocketConsumer, WebSocketRoute
from consumers.runtime.watchdog import Watchdog
from consumers.testing import ServerStyle, TestClient
from consumers_tests.doubles import PATIENCE, Journal, both_servers, serving

ENOUGH = 100
"""Turns of a millisecond or more: together no less than the 0.1 s that are promised.

They are counted and not timed, since on a busy machine they take what they take.
"""


def _hooked(hook: str, journal: Journal, **attributes: Any) -> type[WebSocketConsumer]:
    """Return a consumer one of whose hooks sleeps for ever."""

    async def sleep(self: WebSocketConsumer, *_: Any) -> None:
        journal.add("began")
        try:
            await anyio.sleep_forever()
        finally:
            journal.add("cancelled")

    async def on_disconnect(self: WebSocketConsumer, code: int) -> None:
        journal.add(code)

    hooks = {hook: sleep, "on_disconnect": on_disconnect}
    return type("Sleeping", (WebSocketConsumer,), {**attributes, **hooks})


@both_servers
@pytest.mark.parametrize("hook", ["on_connect", "on_connect, accepting itself"])
async def test_a_hook_that_begins_is_cancelled_at_once(
    hook: str, server: ServerStyle
) -> None:
    """In on_connect the departure is noticed within 100 ms, and cancels it."""
    journal = Journal()

    class Sleeping(WebSocketConsumer):
        auto_accept = "," not in hook

        async def on_connect(self) -> None:
            if not self.auto_accept:
                await self.accept()
            try:
                await anyio.sleep_forever()
            finally:
                journal.add("cancelled")

        async def on_disconnect(self, code: int) -> None:
            journal.add(code)

    async with serving(Sleeping) as client, client.connect("/", server=server) as ws:
        await client.settle()
        await ws.drop()
        turns = 0
        while 1006 not in journal and turns < ENOUGH:
            await anyio.sleep(0.001)
            turns += 1

        assert turns < ENOUGH
    assert journal == ["cancelled", 1006]


@pytest.mark.parametrize("hook", ["on_handshake", "authenticate"])
async def test_a_departure_before_accept_is_noticed(hook: str) -> None:
    """While on_handshake or authenticate runs, a client that leaves cancels it."""
    journal, left = Journal(), anyio.Event()
    events = iter([{"type": "websocket.connect"}])

    async def sleep(*_: Any) -> None:
        journal.add("began")
        try:
            await anyio.sleep_forever()
        finally:
            journal.add("cancelled")

    class Patient(WebSocketConsumer):
        pass

    class Sleeping(WebSocketConsumer):
        async def on_handshake(self) -> None:
            await sleep()

    async def receive() -> Any:
        for event in events:
            return event
        await left.wait()
        return {"type": "websocket.disconnect", "code": 1006}

    async def send(event: Any) -> None:
        journal.add(event["type"])

    if hook == "authenticate":
        app = App([WebSocketRoute("/", Patient)], authenticate=sleep)
    else:
        app = App([WebSocketRoute("/", Sleeping)])
    scope = {"type": "websocket", "path": "/", "query_string": b"", "headers": []}
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(app, scope, receive, send)
            await journal.wait_for("began")
            left.set()

    assert journal == ["began", "cancelled"]


@both_servers
async def test_a_push_loop_in_on_connect_ends_with_its_client(
    server: ServerStyle,
) -> None:
    """A loop that pushes and sleeps is cancelled, and learns nothing else."""
    journal = Journal()

    class Clock(WebSocketConsumer):
        async def on_connect(self) -> None:
            try:
                while True:
                    await self.send("tick")
                    await anyio.sleep(0.001)
            except ConnectionClosed:
                journal.add("closed")
                raise
            except anyio.get_cancelled_exc_class():
                journal.add("cancelled")
                raise

        async def on_disconnect(self, code: int) -> None:
            journal.add(code)

    async with serving(Clock) as client, client.connect("/", server=server) as ws:
        assert await ws.receive() == "tick"
        await ws.drop()
        await journal.wait_for(1006)

    assert len(journal) == 2


@both_servers
async def test_groups_are_left_at_once_while_a_hook_goes_on(
    server: ServerStyle,
) -> None:
    """A client that left is no member any more, though its message is still handled."""
    go_on, journal = anyio.Event(), Journal()

    class Member(WebSocketConsumer):
        async def on_connect(self) -> None:
            await self.join("room")

        async def on_receive(self, message: str) -> None:
            await go_on.wait()
            journal.add("saved")

    app = App([WebSocketRoute("/", Member)])
    async with TestClient(app) as client, client.connect("/", server=server) as ws:
        await ws.send("save")
        await client.settle()
        assert await app.groups.count("room") == 1
        await ws.drop()
        await client.settle()
        assert await app.groups.count("room") == 0
        assert journal == []
        go_on.set()

    assert journal == ["saved"]


async def test_a_failed_send_knows_the_code_of_the_client() -> None:
    """Where `send` fails first, it has read on and knows why the client left."""
    journal, go_on = Journal(), anyio.Event()

    class Answering(WebSocketConsumer):
        async def on_receive(self, message: str) -> None:
            if message == "first":
                await go_on.wait()
            try:
                await self.send("answer")
            except ConnectionClosed as closed:
                journal.add((message, closed.code, closed.reason))
                raise

    async with serving(Answering) as client, client.connect("/") as ws:
        await ws.send("first")
        await ws.send("second")
        await ws.close(4123, "bye")
        await checkpoint()
        go_on.set()

    assert journal == [("first", 4123, "bye"), ("second", 4123, "bye")]


@both_servers
async def test_another_s_departure_is_an_error(server: ServerStyle) -> None:
    """ConnectionClosed of another connection is no silent end of a hook."""
    others: list[WebSocketConsumer] = []
    raised: list[BaseException] = []

    class Sending(WebSocketConsumer):
        async def on_connect(self) -> None:
            others.append(self)

        async def on_receive(self, message: str) -> None:
            try:
                await others[0].send(message)
            except ConnectionClosed as closed:
                raised.append(closed)
                raise

    async with serving(Sending, quiet=True) as client:
        async with client.connect("/", server=server):
            await client.settle()
        async with client.connect("/", server=server) as ws:
            await ws.send("")
            assert (await ws.receive_close()).code == 1011

    [closed] = raised
    assert isinstance(closed, ConnectionClosed)
    assert closed.connection is others[0]


async def test_a_view_is_not_cancelled_and_learns_from_what_it_calls() -> None:
    """A pull-style view runs on after the departure until it sends or receives."""
    journal, go_on = Journal(), anyio.Event()
    app = App()

    @app.websocket_route("/")
    async def view(ws: Any) -> None:
        await go_on.wait()
        journal.add("not cancelled")
        await ws.receive()

    async with TestClient(app) as client, client.connect("/") as ws:
        await ws.close()
        await client.settle()
        assert journal == []
        go_on.set()

    assert journal == ["not cancelled"]


async def test_hooks_are_watched_though_the_host_of_the_watchdog_leaves() -> None:
    """Departures are noticed after the connection of the watchdog has ended."""
    journal = Journal()
    consumer = _hooked("on_receive", journal, finish_timeout=0.001)

    async with serving(consumer) as client:
        for _ in range(3):
            async with client.connect("/") as first, client.connect("/") as second:
                await first.send("")
                await client.settle()
                await second.send("")
                await client.settle()
                await first.drop()
                await client.settle()
                await client.advance(1)
                await second.drop()
                await client.settle()
                await client.advance(1)

    assert journal == ["began", "began", "cancelled", 1006, "cancelled", 1006] * 3


async def test_the_watchdog_does_not_spin_in_cancelled_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While all hooks that run are cancelled and clean up, it is not started again."""
    looks = 0
    look = Watchdog._look
    go_on = anyio.Event()

    async def count(self: Watchdog, host: Any) -> None:
        nonlocal looks
        looks += 1
        await look(self, host)

    class Cleaning(WebSocketConsumer):
        async def on_connect(self) -> None:
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await go_on.wait()

    monkeypatch.setattr(Watchdog, "_look", count)
    async with serving(Cleaning) as client, client.connect("/"), client.connect("/"):
        await client.settle()
        before = looks
        for call in client._calls:
            call.cancel()
        for _ in range(100):
            await checkpoint()
        assert looks - before <= 2
        go_on.set()


async def test_two_tasks_may_receive_at_once() -> None:
    """Two receivers of a view get a message each, also after reading ahead."""
    journal = Journal()
    app = App()

    @app.websocket_route("/")
    async def view(ws: Any) -> None:
        await anyio.sleep(0.1)  # the watchdog has it read ahead
        async with anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(receive, ws)

    async def receive(ws: Any) -> None:
        journal.add("receiving")
        journal.add(await ws.receive())

    async with TestClient(app) as client, client.connect("/") as ws:
        await journal.wait_for("receiving")
        await client.settle()
        await ws.send("one")
        await ws.send("two")
        await journal.wait_for("one")
        await journal.wait_for("two")
