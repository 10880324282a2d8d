"""When the client leaves: which codes are caught, and what becomes of open work."""

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from consumers import App, WebSocket, WebSocketConsumer, WebSocketDisconnect
from consumers.close import WEBSOCKET_CLOSE_CODES
from consumers.testing import ClientConnection, ServerStyle, TestClient

from . import both_styles, noting

CODES = [1000, 1001, 1003, 1006, 1011, 1012, 1013, 1014, 3000, 4000, 4999]


async def leave(ws: ClientConnection, code: int) -> None:
    """Leave with a code; 1006 is a network that fails."""
    if code == 1006:
        await ws.drop()
    else:
        await ws.close(code)


@pytest.mark.parametrize(
    ("caught", "silenced"),
    [
        (None, {1000, 1001}),
        ((1000, 1001, 1006), {1000, 1001, 1006}),
        ((4000,), {4000}),
        ((), set()),
        (all, set(CODES)),
    ],
    ids=["default", "and 1006", "one", "none", "all"],
)
async def test_s45_s46_s47_the_codes_that_are_caught(
    caught: Any, silenced: set[int]
) -> None:
    """A view's disconnect is silenced if its code is caught, else raised."""
    raised: list[int] = []
    app = App()

    @app.websocket_route("/", caught_close_codes=caught)
    async def view(ws: WebSocket) -> None:
        await ws.receive()

    for code in CODES:
        async with TestClient(app) as client:
            try:
                async with client.connect("/") as ws:
                    await leave(ws, code)
            except WebSocketDisconnect as error:
                raised.append(error.code)
    assert raised == [code for code in CODES if code not in silenced]


@pytest.mark.parametrize("code", [1000, 4000])
async def test_s46_the_context_catches_as_the_route_says(code: int) -> None:
    """`async with` in a view that accepts by hand silences the same codes."""
    notes: list[str] = []
    app = App()

    @app.websocket_route("/", auto_accept=False, caught_close_codes=(4000,))
    async def view(ws: WebSocket) -> None:
        async with ws:
            await ws.receive()
        notes.append("after")

    async with TestClient(app) as client:
        try:
            async with client.connect("/") as ws:
                await ws.close(code)
        except WebSocketDisconnect as error:
            notes.append(f"raised {error.code}")
    assert notes == (["after"] if code == 4000 else ["raised 1000"])


def test_s46_other_values_are_refused() -> None:
    """`caught_close_codes` takes a tuple, `all` or `None`, and says so."""
    with pytest.raises(TypeError, match="caught_close_codes must be a tuple"):
        App().websocket_route("/", caught_close_codes=1006)(view_of_nothing)


async def view_of_nothing(ws: WebSocket) -> None:
    """Does nothing."""


async def test_s47_all_is_every_code() -> None:
    """The built-in `all` leaves out none of the codes that a server may report."""
    app = App()

    @app.websocket_route("/", caught_close_codes=all)
    async def view(ws: WebSocket) -> None:
        await ws.receive()

    async with TestClient(app) as client:
        for code in (*WEBSOCKET_CLOSE_CODES, 3000, 4999):
            async with client.connect("/") as ws:
                await ws.send_event({"type": "websocket.disconnect", "code": code})


@both_styles
@pytest.mark.parametrize("code", [1000, 1006])
async def test_s45_s48_nothing_is_sent_to_a_client_that_left(
    path: str, code: int
) -> None:
    """Caught or not, a disconnect is not answered with a close."""
    notes: list[str] = []
    app = App(middleware=[noting(notes)])

    @app.websocket_route("/function")
    async def view(ws: WebSocket) -> None:
        await ws.receive()

    @app.websocket_route("/class")
    class Consumer(WebSocketConsumer):
        async def on_receive(self, message: str) -> None:
            """Is never called."""

    async with (
        TestClient(app, raise_server_exceptions=False) as client,
        client.connect(path) as ws,
    ):
        await leave(ws, code)
    assert notes == ["accept"]


async def test_s48_a_class_is_not_disturbed_by_any_code() -> None:
    """In hook style nothing is raised: `on_disconnect` gets the code."""
    got: list[int] = []
    app = App()

    @app.websocket_route("/")
    class Consumer(WebSocketConsumer):
        async def on_receive(self, message: str) -> None:
            """Is never called."""

        async def on_disconnect(self, code: int) -> None:
            got.append(code)

    async with TestClient(app) as client:
        for code in CODES:
            async with client.connect("/") as ws:
                await leave(ws, code)
    assert got == CODES


@pytest.mark.parametrize("server", ServerStyle)
@both_styles
async def test_s49_who_only_sends_learns_it_too(path: str, server: ServerStyle) -> None:
    """On every server a loop that only sends ends when the client has left."""
    app = App()

    @app.websocket_route("/function")
    async def view(ws: WebSocket) -> None:
        while True:
            await ws.send("tick")

    @app.websocket_route("/class")
    class Consumer(WebSocketConsumer):
        async def on_connect(self) -> None:
            while True:
                await self.send("tick")

    async with (
        TestClient(app, raise_server_exceptions=False) as client,
        client.connect(path, server=server) as ws,
    ):
        assert await ws.receive() == "tick"


async def test_s49_messages_that_came_before_are_handled() -> None:
    """A save is not lost because the tab was closed; nothing new is begun after it."""
    saved: list[str] = []
    app = App()
    proceed = anyio.Event()

    @app.websocket_route("/")
    class Consumer(WebSocketConsumer):
        async def on_receive(self, message: str) -> None:
            await proceed.wait()
            saved.append(message)

        async def on_disconnect(self, code: int) -> None:
            saved.append("end")

    async with TestClient(app) as client, client.connect("/") as ws:
        await ws.send("one")
        await ws.send("two")
        await client.settle()
        await ws.close()
        await client.settle()
        assert saved == []
        proceed.set()
    assert saved == ["one", "two", "end"]


async def test_s49_what_takes_too_long_is_cancelled() -> None:
    """`finish_timeout` seconds after the client left, a hook is cancelled."""
    notes: list[str] = []
    app = App()

    @app.websocket_route("/", finish_timeout=10)
    class Consumer(WebSocketConsumer):
        async def on_receive(self, message: str) -> None:
            try:
                await anyio.sleep_forever()
            finally:
                notes.append("cancelled")

        async def on_disconnect(self, code: int) -> None:
            notes.append("end")

    async with TestClient(app) as client, client.connect("/") as ws:
        await ws.send("save")
        await client.settle()
        await ws.close()
        await client.settle()
        await client.advance(9)
        assert notes == []
        await client.advance(1)
        assert notes == ["cancelled", "end"]


def started_by_view(app: App, work: Callable[[], Any]) -> None:
    """Add a view that starts work beside it."""

    @app.websocket_route("/function")
    async def view(ws: WebSocketConsumer) -> None:
        ws.start_soon(work)
        await ws.receive()


def started_by_class(app: App, work: Callable[[], Any]) -> None:
    """Add a class that starts work beside its hooks."""

    @app.websocket_route("/class")
    class Consumer(WebSocketConsumer):
        async def on_connect(self) -> None:
            self.start_soon(work)

        async def on_receive(self, message: str) -> None:
            """Is never called."""


@both_styles
async def test_s49_work_beside_the_hooks_ends_with_the_connection(path: str) -> None:
    """What `start_soon` began is cancelled when the client leaves."""
    notes: list[str] = []

    async def work() -> None:
        notes.append("begun")
        try:
            await anyio.sleep_forever()
        finally:
            notes.append("cancelled")

    app = App()
    started_by_view(app, work)
    started_by_class(app, work)
    async with TestClient(app) as client, client.connect(path) as ws:
        await client.settle()
        assert notes == ["begun"]
        await ws.close()
        await client.settle()
        assert notes == ["begun", "cancelled"]
