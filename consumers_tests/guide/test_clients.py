"""The clients for tests, in process and live; and that no point is left out."""

import re
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from websockets.sync.client import connect

from consumers import App, WebSocket, WebSocketConsumer
from consumers.testing import LiveServer, Refused, TestClient

from . import both_styles


class Mistake(Exception):
    """What an application raises by mistake."""


def application() -> App:
    """Return an application that talks, fails and refuses."""
    app = App()

    async def greet(ws: WebSocket) -> None:
        await ws.send(f"Hello, {ws.headers['x-user']}!")

    @app.websocket_route("/function")
    async def view(ws: WebSocket) -> None:
        await greet(ws)
        async for message in ws:
            if message == "fail":
                raise Mistake
            await ws.send(message)

    @app.websocket_route("/class")
    class Consumer(WebSocketConsumer):
        async def on_connect(self) -> None:
            await greet(self)

        async def on_receive(self, message: str) -> None:
            if message == "fail":
                raise Mistake
            await self.send(message)

    return app


@both_styles
async def test_s58_the_client_sends_headers_and_messages(path: str) -> None:
    """It connects with headers, talks, closes with a code, and knows how it ended."""
    async with (
        TestClient(application()) as client,
        client.connect(path, headers={"x-user": "ada"}) as ws,
    ):
        assert await ws.receive_text() == "Hello, ada!"
        await ws.send_text("text")
        assert await ws.receive_event() == {"type": "websocket.send", "text": "text"}
        await ws.close(1001)
        assert ws.closed is not None
        assert ws.closed.code == 1001


async def test_s58_a_refused_handshake_is_raised() -> None:
    """The exception tells the status."""
    async with TestClient(application()) as client:
        with pytest.raises(Refused) as outcome:
            async with client.connect("/nowhere"):
                pass
    assert outcome.value.status == 403


@both_styles
async def test_s58_an_exception_of_the_server_is_raised_in_the_test(path: str) -> None:
    """What an endpoint raises is what the test fails by."""
    async with TestClient(application()) as client:
        with pytest.raises(Mistake):
            async with client.connect(path, headers={"x-user": "ada"}) as ws:
                await ws.send("fail")


@both_styles
def test_s59_a_live_server_is_on_a_free_port(
    path: str, anyio_backend: tuple[str, dict[str, Any]]
) -> None:
    """Two of them run at once on 127.0.0.1, and `url` tells where."""
    app = application()
    with (
        LiveServer(app, backend=anyio_backend) as one,
        LiveServer(app, backend=anyio_backend) as two,
    ):
        assert re.fullmatch(r"ws://127\.0\.0\.1:\d+/x", one.url("/x"))
        assert one.url() != two.url()
        for server in (one, two):
            with connect(
                server.url(path), additional_headers={"x-user": "ada"}, open_timeout=5
            ) as ws:
                assert ws.recv(timeout=5) == "Hello, ada!"
                ws.send("hello")
                assert ws.recv(timeout=5) == "hello"


def test_s59_a_server_that_is_not_ready_is_a_timeout() -> None:
    """An application whose start-up does not end is told after `ready_timeout`."""

    async def never_ready(scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            await receive()

    server = LiveServer(never_ready, ready_timeout=0.1)
    with pytest.raises(TimeoutError, match="ready within"), server:
        pass


def test_every_point_has_a_test() -> None:
    """Each of the sixty points is in the name of a test."""
    names = [
        name
        for path in Path(__file__).parent.glob("test_*.py")
        for name in re.findall(r"def (test_\w+)", path.read_text())
    ]
    found = {int(number) for name in names for number in re.findall(r"_s(\d\d)", name)}
    assert set(range(1, 61)) - found == set()
