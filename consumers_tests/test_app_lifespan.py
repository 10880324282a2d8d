"""The lifespan of an `App`: state, tasks, groups, and what fails."""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from consumers import (
    App,
    Groups,
    Provide,
    StateError,
    WebSocketConsumer,
    WebSocketRoute,
)
from consumers.testing import TestClient
from consumers_tests.valkey import free_port

log: list[str] = []


@pytest.fixture(autouse=True)
def _empty_log() -> None:
    log.clear()


# -- lifespan -------------------------------------------------------------------------


@asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[Mapping[str, Any]]:
    """Have something while the application runs."""
    app.state.clients = 0
    log.append("up")
    yield {"pool": "a pool"}
    log.append("down")


class Pool(WebSocketConsumer):
    async def on_connect(self) -> None:
        await self.send(self.state.pool)


async def test_a_lifespan_gives_state_to_sockets_and_requests() -> None:
    """What it yields is `self.state` and `request.state`; it gets the application."""

    async def pool(request: Request) -> Response:
        return PlainTextResponse(request.state.pool)

    routes = [WebSocketRoute("/ws", Pool), Route("/pool", pool)]
    app = App(routes, lifespan=lifespan)
    async with TestClient(app) as client:
        assert log == ["up"]
        async with client.connect("/ws") as ws:
            assert await ws.receive() == "a pool"
        assert (await client.request("GET", "/pool")).text == "a pool"
        assert app.state.clients == 0
    assert log == ["up", "down"]


async def test_an_application_may_start_again() -> None:
    """One application serves one test after another, in one loop or many."""
    app = App([WebSocketRoute("/ws", Pool)], lifespan=lifespan, groups=Groups())
    for _ in range(2):
        async with TestClient(app) as client, client.connect("/ws") as ws:
            assert await ws.receive() == "a pool"
    assert log == ["up", "down"] * 2


async def test_a_lifespan_that_fails() -> None:
    """The server is told, and what was set up before is torn down."""

    def number() -> Any:
        log.append("number up")
        yield 42
        log.append("number down")

    class Numbered(WebSocketConsumer):
        async def on_connect(
            self, it: Annotated[int, Provide(number, scope="app")]
        ) -> None: ...

    @asynccontextmanager
    async def broken(app: App) -> AsyncIterator[None]:
        try:
            raise ZeroDivisionError
        finally:
            log.append("broken")
        yield

    app = App([WebSocketRoute("/ws", Numbered)], lifespan=broken)
    with pytest.raises(ZeroDivisionError):
        async with TestClient(app):
            raise AssertionError
    assert log[:2] == ["number up", "broken"]
    assert app.provided == {}


def one() -> int:
    """Give a value."""
    return 1


class Numbered(WebSocketConsumer):
    async def on_connect(self, it: Annotated[int, Provide(one, scope="app")]) -> None:
        await self.send(str(it))


async def test_a_mounted_application_serves_without_a_lifespan() -> None:
    """Connections, groups and parameters need none."""

    class Joining(WebSocketConsumer):
        async def on_connect(self, room: str) -> None:
            await self.join(room)
            await self.publish(room, f"{self.url.path} {self.path_params}")

    inner = App([WebSocketRoute("/x", Joining, mounted_at="/in/{room}")])
    app = Starlette(routes=[Mount("/in/{room}", inner)])
    async with TestClient(app) as client, client.connect("/in/a/x") as ws:
        assert await ws.receive() == "/in/a/x {'room': 'a'}"


async def test_what_a_mounted_application_needs_a_lifespan_for() -> None:
    """The error says how to pass it, and then it works."""
    inner = App([WebSocketRoute("/x", Numbered)])

    async with TestClient(Starlette(routes=[Mount("/in", inner)])) as client:
        with pytest.raises(StateError, match=r"pass lifespan=app\.lifespan to the app"):
            async with client.connect("/in/x"):
                raise AssertionError
        with pytest.raises(StateError) as caught:
            inner.start_soon(anyio.sleep_forever)
    assert str(caught.value) == (
        "app.start_soon needs the application's lifespan, which does not run; "
        "mounted elsewhere, pass lifespan=app.lifespan"
    )

    outer = Starlette(routes=[Mount("/in", inner)], lifespan=inner.lifespan)
    async with TestClient(outer) as client, client.connect("/in/x") as ws:
        assert await ws.receive() == "1"


async def test_an_application_in_an_application() -> None:
    """The inner one has its own groups and lifespan."""
    inner = App([WebSocketRoute("/x", Numbered)])
    outer = App([Mount("/in", inner)], lifespan=inner.lifespan)
    async with TestClient(outer) as client, client.connect("/in/x") as ws:
        assert await ws.receive() == "1"
        assert (outer.provided, inner.provided) == ({}, {one: 1})


async def test_mount_hands_everything_on() -> None:
    """S11: below the prefix another application serves, with its `root_path`."""

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        text = f"{scope['root_path']} {scope['path']}"
        if scope["type"] == "http":
            await PlainTextResponse(text)(scope, receive, send)
            return
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": text})
        await receive()

    app = App()
    app.mount("/inner", inner, name="inner")
    async with TestClient(app) as client:
        async with client.connect("/inner/x") as ws:
            assert await ws.receive() == "/inner /inner/x"
        assert (await client.request("GET", "/inner/y")).text == "/inner /inner/y"
    assert app.url_path_for("inner", path="z") == "/inner/z"


# -- work that outlives a connection --------------------------------------------------


async def test_work_of_the_application_outlives_a_connection() -> None:
    """It ends with the application, and can be cancelled before."""
    app = App()
    done = anyio.Event()

    async def work() -> None:
        try:
            done.set()
            await anyio.sleep_forever()
        finally:
            log.append("ended")

    @app.websocket_route("/ws")
    class Starting(WebSocketConsumer):
        async def on_connect(self) -> None:
            app.start_soon(work)

    async with TestClient(app) as client:
        async with client.connect("/ws"):
            with anyio.fail_after(5):
                await done.wait()
        assert log == []
        handle = app.start_soon(work)
        await client.settle()
        handle.cancel()
        await client.settle()
        assert log == ["ended"]
    assert log == ["ended"] * 2


async def test_work_of_the_application_fails_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An exception is logged, and nothing else ends."""

    async def failing_work(number: int) -> None:
        raise ValueError(number)

    app = App([WebSocketRoute("/ws", Numbered)])
    async with TestClient(app) as client:
        app.start_soon(failing_work, 7)
        await client.settle()
        async with client.connect("/ws") as ws:
            assert await ws.receive() == "1"

    (record,) = (each for each in caplog.records if each.levelno == logging.ERROR)
    assert "failing_work of the application failed" in record.getMessage()
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ValueError)


async def test_a_broker_that_cannot_be_reached_is_told_in_one_line() -> None:
    """Servers print what the lifespan says: no traceback, and no password."""
    app = App(groups=Groups(f"redis://:secret@127.0.0.1:{free_port()}"))
    sent: list[Any] = []

    async def receive() -> dict[str, str]:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        sent.append(message)

    await app({"type": "lifespan", "state": {}}, receive, send)

    [message] = sent
    assert message["type"] == "lifespan.startup.failed"
    assert message["message"].startswith("can't reach redis://")
    assert "Connect" in message["message"]
    assert "secret" not in message["message"]
    assert "\n" not in message["message"]
