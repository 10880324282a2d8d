"""Defects measured in Starlette and Channels, and how it goes here.

Where the peer is installed it runs beside as the control, on the same server in
process. A control that fails says that the peer has got better.
"""

from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from starlette.applications import Starlette
from starlette.endpoints import WebSocketEndpoint
from starlette.routing import WebSocketRoute as StarletteRoute
from starlette.websockets import WebSocket

from consumers import App, WebSocketConsumer, WebSocketRoute
from consumers.testing import TestClient
from consumers_tests.doubles import Journal, serving


def starlette(endpoint: Any) -> Starlette:
    """Return a Starlette that serves an endpoint at ``/``."""
    return Starlette(routes=[StarletteRoute("/", endpoint)])


# Starlette's WebSocketEndpoint


async def test_an_empty_text_is_a_text() -> None:
    """The message "" arrives as "", with a server that sends no `bytes` key."""

    class Echo(WebSocketConsumer):
        async def on_receive(self, message: str) -> None:
            await self.send(f"<{message}>")

    async with serving(Echo) as client, client.connect("/") as ws:
        await ws.send_event({"type": "websocket.receive", "text": ""})

        assert await ws.receive() == "<>"


async def test_on_disconnect_runs_though_on_connect_raised() -> None:
    """An exception in on_connect, after the accept, closes with 1011 and is no leak."""
    journal = Journal()

    class Broken(WebSocketConsumer):
        async def on_connect(self) -> None:
            raise ValueError("a bug")

        async def on_disconnect(self, code: int) -> None:
            journal.add(code)

    async with serving(Broken, quiet=True) as client, client.connect("/") as ws:
        assert (await ws.receive_close()).code == 1011

    assert journal == [1011]


async def test_starlette_s_on_disconnect_does_not() -> None:
    """Control: Starlette neither closes nor runs on_disconnect."""
    journal = Journal()

    class Broken(WebSocketEndpoint):
        async def on_connect(self, websocket: WebSocket) -> None:
            await websocket.accept()
            raise ValueError("a bug")

        async def on_disconnect(self, websocket: WebSocket, close_code: int) -> None:
            journal.add(close_code)

    async with (
        TestClient(starlette(Broken), raise_server_exceptions=False) as client,
        client.connect("/") as ws,
    ):
        assert (await ws.receive_close()).code == 1006

    assert journal == []


async def test_malformed_json_has_one_code_for_client_and_consumer() -> None:
    """The client sees the code that on_disconnect gets, and nothing is raised."""
    journal = Journal()

    class Reading(WebSocketConsumer):
        async def on_receive(self, message: dict[str, int]) -> None: ...

        async def on_disconnect(self, code: int) -> None:
            journal.add(code)

    async with serving(Reading) as client, client.connect("/") as ws:
        await ws.send("{")
        closed = await ws.receive_close()

    assert (closed.code, journal) == (1007, [1007])


async def test_starlette_s_has_two() -> None:
    """Control: Starlette closes with 1003 and tells on_disconnect 1011."""
    journal = Journal()

    class Reading(WebSocketEndpoint):
        encoding = "json"  # type: ignore[mutable-override]

        async def on_disconnect(self, websocket: WebSocket, close_code: int) -> None:
            journal.add(close_code)

    async with (
        TestClient(starlette(Reading), raise_server_exceptions=False) as client,
        client.connect("/") as ws,
    ):
        await ws.send("{")
        closed = await ws.receive_close()

    assert (closed.code, journal) == (1003, [1011])


async def _cancelled(app: Any) -> None:
    """Connect to an application and cancel it, as a server does that stops."""
    async with (
        TestClient(app, raise_server_exceptions=False) as client,
        client.connect("/"),
    ):
        await client.settle()
        for call in client._calls:
            call.cancel()
        await client.settle()


async def test_cancelled_on_disconnect_runs_to_its_end_and_knows_why() -> None:
    """At shutdown on_disconnect gets 1012 and finishes, though it awaits."""
    journal = Journal()

    class Saving(WebSocketConsumer):
        async def on_receive(self, message: str) -> None: ...

        async def on_disconnect(self, code: int) -> None:
            journal.add(code)
            await checkpoint()
            journal.add("saved")

    await _cancelled(App([WebSocketRoute("/", Saving)]))

    assert journal == [1012, "saved"]


async def test_starlette_s_dies_at_its_first_await() -> None:
    """Control: Starlette tells on_disconnect 1000, and it is cut short."""
    journal = Journal()

    class Saving(WebSocketEndpoint):
        async def on_disconnect(self, websocket: WebSocket, close_code: int) -> None:
            journal.add(close_code)
            await checkpoint()
            journal.add("saved")

    await _cancelled(starlette(Saving))

    assert journal == [1000]


# Channels


async def test_a_handler_that_raises_leaves_no_dead_member() -> None:
    """on_disconnect runs, and the group has no member that is gone."""
    journal = Journal()

    class Member(WebSocketConsumer):
        async def on_connect(self) -> None:
            await self.join("room")

        async def on_receive(self, message: str) -> None:
            raise ValueError("a bug")

        async def on_disconnect(self, code: int) -> None:
            journal.add(code)

    app = App([WebSocketRoute("/", Member)])
    async with TestClient(app, raise_server_exceptions=False) as client:
        async with client.connect("/") as ws:
            await ws.send("")
            await ws.receive_close()
        assert await app.groups.count("room") == 0

    assert journal == [1011]


async def test_neither_pushes_nor_the_departure_wait_behind_a_handler() -> None:
    """While a handler works a publication arrives, and a departure leaves the group."""
    go_on = anyio.Event()

    class Member(WebSocketConsumer):
        async def on_connect(self) -> None:
            await self.join("room")

        async def on_receive(self, message: str) -> None:
            await go_on.wait()

    app = App([WebSocketRoute("/", Member)])
    async with TestClient(app) as client, client.connect("/") as ws:
        await ws.send("work")
        await client.settle()
        await app.groups.publish("room", "push")
        assert await ws.receive() == "push"
        await ws.drop()
        await client.settle()
        assert await app.groups.count("room") == 0
        go_on.set()


async def test_three_hundred_publications_during_a_busy_handler_all_arrive() -> None:
    """Nothing is dropped without a sign: the outbox holds what a busy member gets."""
    go_on = anyio.Event()

    class Member(WebSocketConsumer):
        async def on_connect(self) -> None:
            await self.join("room")

        async def on_receive(self, message: str) -> None:
            await go_on.wait()

    app = App([WebSocketRoute("/", Member)])
    async with TestClient(app) as client, client.connect("/") as ws:
        await ws.send("work")
        await client.settle()
        await ws.stall(0)
        for number in range(300):
            await app.groups.publish("room", str(number))
        await ws.resume()

        assert [await ws.receive() for _ in range(300)] == [*map(str, range(300))]
        go_on.set()


async def test_the_client_for_tests_lives_on_after_a_timeout() -> None:
    """A receive that timed out takes nothing with it: the next one gets its message."""

    class Echo(WebSocketConsumer):
        async def on_receive(self, message: str) -> None:
            await self.send(message)

    async with serving(Echo) as client, client.connect("/") as ws:
        client.deadline = 0.01
        with pytest.raises(TimeoutError):
            await ws.receive()
        client.deadline = 5
        await ws.send("alive")

        assert await ws.receive() == "alive"


@pytest.fixture
def channels(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return Channels' consumer class, with a layer in memory and no database."""
    generic = pytest.importorskip("channels.generic.websocket")
    layers = pytest.importorskip("channels.layers")

    async def no_database() -> None: ...

    monkeypatch.setattr("channels.consumer.aclose_old_connections", no_database)
    monkeypatch.setitem(
        layers.channel_layers.backends, "default", layers.InMemoryChannelLayer()
    )
    return generic.AsyncWebsocketConsumer


@pytest.mark.may_skip
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_channels_keeps_a_dead_member_and_delays_what_comes(
    channels: Any,
) -> None:
    """Control: no disconnect() after an exception; pushes wait, and some are lost."""
    journal = Journal()
    go_on = anyio.Event()

    class Member(channels):  # type: ignore[misc]
        async def connect(self) -> None:
            await self.channel_layer.group_add("room", self.channel_name)
            self.layer_of.append(self.channel_layer)
            await self.accept()

        layer_of: list[Any] = []  # noqa: RUF012

        async def receive(
            self, text_data: str | None = None, bytes_data: bytes | None = None
        ) -> None:
            if text_data == "raise":
                raise ValueError("a bug")
            await go_on.wait()

        async def said(self, event: dict[str, str]) -> None:
            await self.send(text_data=event["text"])

        async def disconnect(self, code: int) -> None:
            journal.add("disconnected")

    async with TestClient(Member.as_asgi(), raise_server_exceptions=False) as client:
        async with client.connect("/") as ws:
            await ws.send("raise")
            await ws.receive_close()
        layer = Member.layer_of[0]
        assert journal == []
        assert len(layer.groups["room"]) == 1
        layer.groups.clear()

        async with client.connect("/") as ws:
            await ws.send("work")
            await client.settle()
            for number in range(300):
                event = {"type": "said", "text": str(number)}
                await layer.group_send("room", event)
            await ws.receive_nothing()
            go_on.set()
            await client.settle()
            assert len(ws._transport.unread) < 300
