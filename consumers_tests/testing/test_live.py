"""A server in a thread, over real sockets."""

import threading
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import pytest
import websockets.sync.client
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from consumers.errors import ConfigurationError
from consumers.testing import LiveServer

from .apps import echo

QUIET: dict[str, Any] = {"access_log": False, "log_level": "critical"}


async def hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_live_server_serves_sockets_and_http(backend: str) -> None:
    """A foreign client talks to the application; start and stop span its lifespan."""
    events = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        events.append("start")
        yield
        events.append("stop")

    app = Starlette(
        routes=[Route("/hello", hello), Mount("/", echo)], lifespan=lifespan
    )
    with LiveServer(app, backend=backend, **QUIET) as server:
        assert server.url("/echo").startswith("ws://127.0.0.1:")
        with websockets.sync.client.connect(server.url("/echo"), open_timeout=5) as ws:
            ws.send("over the wire")
            assert ws.recv(timeout=5) == "over the wire"
        with urllib.request.urlopen(server.http_url("/hello"), timeout=5) as response:
            assert response.read() == b"hello"

    assert events == ["start", "stop"]


def test_the_backend_may_come_from_the_fixture(anyio_backend: Any) -> None:
    """A pair of name and options, as anyio's fixture gives it, selects the loop."""
    loops = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            loops.append(type(anyio.lowlevel.current_token().native_token).__module__)
            await echo(scope, receive, send)

    with (
        LiveServer(app, backend=anyio_backend, **QUIET) as server,
        websockets.sync.client.connect(server.url(), open_timeout=5) as ws,
    ):
        ws.send("x")
        assert ws.recv(timeout=5) == "x"

    name, options = anyio_backend
    expected = "uvloop" if options.get("use_uvloop") else name
    assert loops[0].split(".")[0] == expected


@asynccontextmanager
async def until(release: threading.Event) -> AsyncIterator[None]:
    """Hold up what follows until another thread allows it, whoever cancels it."""
    with anyio.CancelScope(shield=True):
        while not release.is_set():  # noqa: ASYNC110 - set by another thread
            await anyio.sleep(0.005)
    yield


def test_a_server_that_does_not_get_ready() -> None:
    """A start-up that hangs is a `TimeoutError`; it can't keep the tests running."""
    release = threading.Event()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with until(release):
            yield

    app = Starlette(lifespan=lifespan)
    with (
        pytest.raises(TimeoutError, match=r"ready within 0\.2 s, got none"),
        LiveServer(app, ready_timeout=0.2, **QUIET),
    ):
        pass
    release.set()


def test_a_server_that_does_not_stop() -> None:
    """A shutdown that hangs is a `TimeoutError`; it can't keep the tests running."""
    release = threading.Event()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        async with until(release):
            pass

    with (
        pytest.raises(TimeoutError, match=r"stop within 0\.2 s, got one that still"),
        LiveServer(Starlette(lifespan=lifespan), stop_timeout=0.2, **QUIET),
    ):
        pass
    release.set()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("when", ["running", "stopping"])
def test_a_server_that_breaks_is_told(when: str, backend: str) -> None:
    """What ends the server, before it is stopped or then, is raised at the exit."""
    breaking = anyio.Event()
    ended = threading.Event()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async def wait_and_break() -> None:
            await breaking.wait()
            ended.set()
            raise SystemExit(3)

        async with anyio.create_task_group() as group:
            group.start_soon(wait_and_break)
            yield
            breaking.set()

    async def trigger(request: Request) -> PlainTextResponse:
        breaking.set()
        return PlainTextResponse("ok")

    app = Starlette(routes=[Route("/trigger", trigger)], lifespan=lifespan)

    def serve() -> None:
        with LiveServer(app, backend=backend, **QUIET) as server:
            if when == "running":
                with suppress(OSError):
                    urllib.request.urlopen(server.http_url("/trigger"), timeout=5)
                assert ended.wait(5)

    with pytest.raises((SystemExit, BaseExceptionGroup)) as caught:
        serve()

    assert isinstance(caught.value, SystemExit) or caught.group_contains(SystemExit)


def test_what_keeps_it_from_starting_is_raised() -> None:
    """A wrong option, and a failed start-up, are raised where the server is entered."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        raise ZeroDivisionError("no database")
        yield

    with pytest.raises(ConfigurationError, match="graceful_timeout"):
        LiveServer(echo, graceful_timeout=-1)
    with (
        pytest.raises(ConfigurationError),
        LiveServer(Starlette(lifespan=lifespan), **QUIET),
    ):
        pass
