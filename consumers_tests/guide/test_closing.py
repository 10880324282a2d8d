"""Closing from the server's side: codes, contexts, and exceptions."""

import pytest
from starlette import status
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from consumers import App, StateError, WebSocket, WebSocketConsumer
from consumers.close import CLOSE_CODES, WEBSOCKET_CLOSE_CODES
from consumers.testing import Refused, TestClient

from . import both_styles, noting, route_both


class Mistake(Exception):
    """What an application raises by mistake."""


class Fatal(BaseException):
    """What is not even an `Exception`."""


@both_styles
async def test_s38_a_second_close_is_a_runtime_error(path: str) -> None:
    """`close` closes once; `ensure_closed` does not mind."""
    notes: list[str] = []
    app = App(middleware=[noting(notes)])

    async def talk(ws: WebSocket) -> None:
        await ws.close()
        with pytest.raises(RuntimeError, match="closed with 1000"):
            await ws.close()
        await ws.ensure_closed(4000)
        notes.append("done")

    route_both(app, talk)

    async with TestClient(app) as client, client.connect(path) as ws:
        assert (await ws.receive_close()).code == 1000
    assert notes == ["accept", "close 1000", "done"]


@both_styles
async def test_s38_ensure_closed_closes_what_is_open(path: str) -> None:
    """An open connection is closed by it, with its code and reason."""
    app = App()

    @app.websocket_route("/function")
    async def view(ws: WebSocket) -> None:
        await ws.ensure_closed(4000, "enough")

    @app.websocket_route("/class")
    class Consumer(WebSocketConsumer):
        async def on_connect(self) -> None:
            await self.ensure_closed(4000, "enough")

    async with TestClient(app) as client, client.connect(path) as ws:
        event = await ws.receive_close()
        assert (event.code, event.reason) == (4000, "enough")


@both_styles
@pytest.mark.parametrize("auto_accept", [True, False])
async def test_s39_closing_inside_the_context_is_safe(
    path: str, auto_accept: bool
) -> None:
    """The client gets the code of that close, and no other."""
    notes: list[str] = []
    app = App(middleware=[noting(notes)])

    async def talk(ws: WebSocket) -> None:
        async with ws:
            await ws.close(4242)

    route_both(app, talk, auto_accept=auto_accept)

    async with TestClient(app) as client, client.connect(path) as ws:
        assert (await ws.receive_close()).code == 4242
    assert notes == ["accept", "close 4242"]


@both_styles
async def test_s42_an_exception_leaves_the_context_with_1011(path: str) -> None:
    """It closes with 1011, is never silenced, and the code after does not run."""
    notes: list[str] = []
    app = App(middleware=[noting(notes)])

    async def talk(ws: WebSocket) -> None:
        async with ws:
            raise Mistake
        notes.append("after")

    route_both(app, talk, auto_accept=False)

    async with TestClient(app) as client:
        with pytest.raises(Mistake):
            async with client.connect(path) as ws:
                assert (await ws.receive_close()).code == 1011
    assert notes == ["accept", "close 1011"]


@both_styles
async def test_s42_an_exception_after_a_close_does_not_close_again(path: str) -> None:
    """The client got its code before; the exception is raised all the same."""
    notes: list[str] = []
    app = App(middleware=[noting(notes)])

    async def talk(ws: WebSocket) -> None:
        async with ws:
            await ws.close(4000)
            raise Mistake

    route_both(app, talk)

    async with TestClient(app) as client:
        with pytest.raises(Mistake):
            async with client.connect(path) as ws:
                assert (await ws.receive_close()).code == 4000
    assert notes == ["accept", "close 4000"]


@both_styles
@pytest.mark.parametrize("error", [Mistake, Fatal, KeyboardInterrupt])
@pytest.mark.parametrize("auto_accept", [True, False])
async def test_s43_an_unhandled_exception_goes_to_the_server(
    path: str, error: type[BaseException], auto_accept: bool
) -> None:
    """The client is closed with 1011, and the exception itself is raised."""
    app = App()

    async def fail(ws: WebSocket) -> None:
        if not auto_accept:
            await ws.accept()
        raise error

    route_both(app, fail, auto_accept=auto_accept)

    async with TestClient(app) as client:
        with pytest.raises(error):
            async with client.connect(path) as ws:
                assert (await ws.receive_close()).code == 1011


@both_styles
async def test_s43_an_exception_before_accept_refuses(path: str) -> None:
    """A handshake that fails is answered with 500, and the exception raised."""
    app = App()

    @app.websocket_route("/function", auto_accept=False)
    async def view(ws: WebSocket) -> None:
        raise Mistake

    @app.websocket_route("/class")
    class Consumer(WebSocketConsumer):
        async def on_handshake(self) -> None:
            raise Mistake

    async with TestClient(app) as client:
        with pytest.raises(Mistake):
            async with client.connect(path):
                pass
    async with TestClient(app, raise_server_exceptions=False) as client:
        with pytest.raises(Refused) as outcome:
            async with client.connect(path):
                pass
    assert outcome.value.status == 500


@both_styles
async def test_s44_http_error_handlers_are_not_for_sockets(path: str) -> None:
    """A handler for an exception answers requests, and no connection."""
    handled: list[str] = []

    async def handler(request: Request, error: Exception) -> PlainTextResponse:
        handled.append(request.scope["type"])
        return PlainTextResponse("handled", 418)

    async def page(request: Request) -> PlainTextResponse:
        raise Mistake

    app = App(exception_handlers={Mistake: handler})
    app.routes.append(Route("/page", page))

    @app.websocket_route("/function")
    async def view(ws: WebSocket) -> None:
        raise Mistake

    @app.websocket_route("/class")
    class Consumer(WebSocketConsumer):
        async def on_connect(self) -> None:
            raise Mistake

    async with TestClient(app) as client:
        assert (await client.request("GET", "/page")).status == 418
        with pytest.raises(Mistake):
            async with client.connect(path) as ws:
                assert (await ws.receive_close()).code == 1011
    assert handled == ["http"]


async def test_s50_codes_that_may_travel_do() -> None:
    """Standard codes and those of applications, 3000-4999, reach the client."""
    app = App()

    @app.websocket_route("/{code}")
    async def view(ws: WebSocket, code: int) -> None:
        await ws.close(code)

    async with TestClient(app) as client:
        for code in (1000, 1001, 1003, 1011, 1012, 1014, 3000, 4999):
            async with client.connect(f"/{code}") as ws:
                assert (await ws.receive_close()).code == code


async def test_s50_codes_that_may_not_travel_are_refused() -> None:
    """A code that no close frame may have is a `ValueError`."""
    app = App()

    @app.websocket_route("/")
    async def view(ws: WebSocket) -> None:
        for code in (0, 403, 999, 1004, 1005, 1006, 1015, 2999, 5000):
            with pytest.raises(ValueError, match="a close code must be"):
                await ws.close(code)

    async with TestClient(app) as client, client.connect("/") as ws:
        assert (await ws.receive_close()).code == 1000


def test_s50_the_standard_codes_are_listed() -> None:
    """`WEBSOCKET_CLOSE_CODES` has the registry; Starlette's constants are among it."""
    constants = {
        value for name, value in vars(status).items() if name.startswith("WS_1")
    }
    assert constants <= set(WEBSOCKET_CLOSE_CODES)
    assert (
        set(WEBSOCKET_CLOSE_CODES) == set(CLOSE_CODES) == {*range(1000, 1016)} - {1004}
    )


@both_styles
async def test_s51_an_error_is_told_by_a_close_code(path: str) -> None:
    """The guide's example works with `receive`: the `message` it calls is nowhere."""
    app = App()
    boom = 4003

    @app.websocket_route("/function")
    async def dangerous(ws: WebSocket) -> None:
        async for message in ws:
            if message == "boom":
                await ws.close(boom)
                return
            await ws.send("OK")

    @app.websocket_route("/class")
    class Dangerous(WebSocketConsumer):
        async def on_receive(self, message: str) -> None:
            if message == "boom":
                await self.close(boom)
            else:
                await self.send("OK")

    assert not hasattr(WebSocket, "message")
    async with TestClient(app) as client, client.connect(path) as ws:
        await ws.send("fine")
        assert await ws.receive() == "OK"
        await ws.send("boom")
        assert (await ws.receive_close()).code == 4003


@both_styles
async def test_s38_nothing_is_sent_after_a_close(path: str) -> None:
    """A send after our own close is the application's mistake."""
    app = App()

    async def talk(ws: WebSocket) -> None:
        await ws.close()
        with pytest.raises(StateError, match=r"can't send: .* closed with 1000"):
            await ws.send("too late")

    route_both(app, talk)

    async with TestClient(app) as client, client.connect(path) as ws:
        assert (await ws.receive_close()).code == 1000
