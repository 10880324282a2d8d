"""`App`: sockets and HTTP, middleware, lifespan and state in one application."""

from contextlib import AsyncExitStack
from typing import Any

import pytest
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from consumers import (
    App,
    ConfigurationError,
    Limits,
    StateError,
    WebSocketConsumer,
    WebSocketRoute,
)
from consumers import app as application
from consumers.seldom import Seldom
from consumers.testing import Refused, TestClient

log: list[str] = []


@pytest.fixture(autouse=True)
def _empty_log() -> None:
    log.clear()


class Count(WebSocketConsumer):
    """Counts who is here, where HTTP can see it."""

    async def on_connect(self) -> None:
        self.scope["app"].state.clients += 1
        await self.send("counted")

    async def on_disconnect(self, code: int) -> None:
        self.scope["app"].state.clients -= 1


async def clients(request: Request) -> Response:
    """Tell how many are here."""
    return JSONResponse(request.app.state.clients)


async def test_sockets_and_http_share_state() -> None:
    """S54: `request.app` is the application that the sockets see."""
    app = App([WebSocketRoute("/ws", Count), Route("/clients", clients)])
    app.state.clients = 0
    async with TestClient(app) as client:
        async with client.connect("/ws") as ws:
            assert await ws.receive() == "counted"
            assert (await client.request("GET", "/clients")).json() == 1
        assert (await client.request("GET", "/clients")).json() == 0


async def test_what_no_route_takes_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The client is told nothing but 403: whoever wrote its URL finds it in the log."""
    monkeypatch.setattr(application, "_UNROUTED", Seldom(application.log))
    async with TestClient(App([WebSocketRoute("/ws", Count)])) as client:
        for _ in range(2):
            with pytest.raises(Refused):
                async with client.connect("/ws/?token=secret"):
                    raise AssertionError

    [line] = [record.getMessage() for record in caplog.records]
    assert line == (
        "no route takes the WebSocket '/ws/'; 'consumers routes MODULE:APP' prints the "
        "table"
    )


async def test_http_reaches_the_groups() -> None:
    """An HTTP endpoint publishes to those who are connected."""

    class Listener(WebSocketConsumer):
        async def on_connect(self) -> None:
            await self.join("news")
            await self.send("joined")

    async def publish(request: Request) -> Response:
        await request.app.groups.publish("news", "extra")
        return Response(status_code=204)

    app = App([WebSocketRoute("/ws", Listener), Route("/publish", publish)])
    async with TestClient(app) as client, client.connect("/ws") as ws:
        assert await ws.receive() == "joined"
        assert (await client.request("GET", "/publish")).status == 204
        assert await ws.receive() == "extra"


async def test_a_mistake_of_the_table_is_told_at_once() -> None:
    """What is not a group, or not limits, is refused with what to write."""
    with pytest.raises(ConfigurationError) as caught:
        App(groups="memory://")  # type: ignore[arg-type]
    assert str(caught.value) == (
        "groups must be an instance of Groups, got 'memory://'; "
        "write groups=Groups(url)"
    )

    with pytest.raises(ConfigurationError) as caught:
        App(limits={"inbox": 1})  # type: ignore[arg-type]
    assert str(caught.value) == (
        "limits must be an instance of Limits, got {'inbox': 1}; "
        "write limits=Limits(idle_timeout=60)"
    )


async def test_limits_are_the_application_s_unless_something_has_its_own() -> None:
    """A class's own limits win, and over these those of a route."""

    class Idle(WebSocketConsumer):
        async def on_receive(self, message: str) -> None: ...

    class Longer(Idle):
        limits = Limits(idle_timeout=40)

    own: Any = {"limits": Limits(idle_timeout=60)}
    times = {"/app": 20, "/class": 40, "/route": 60, "/over-class": 60}
    routes = [
        WebSocketRoute("/app", Idle),
        WebSocketRoute("/class", Longer),
        WebSocketRoute("/route", Idle, **own),
        WebSocketRoute("/over-class", Longer, **own),
    ]
    app = App(routes, limits=Limits(idle_timeout=20))
    async with TestClient(app) as client, AsyncExitStack() as stack:
        due = [
            (seconds, await stack.enter_async_context(client.connect(path)))
            for path, seconds in times.items()
        ]
        for now in (20, 40, 60):
            await client.advance(19.9)
            assert not any(ws.closed for seconds, ws in due if seconds >= now)
            await client.advance(0.1)
            for seconds, ws in due:
                if seconds == now:
                    assert (await ws.receive_close()).code == 1001


# -- HTTP -----------------------------------------------------------------------------


async def failing(request: Request) -> Response:
    """Fail."""
    raise ZeroDivisionError


async def apologise(request: Request, error: Exception) -> Response:
    """Say sorry."""
    return PlainTextResponse("sorry", 503)


async def test_http_errors_are_handled_as_in_starlette() -> None:
    """Exception handlers are for HTTP, and sockets pass none of them."""

    class Failing(WebSocketConsumer):
        async def on_connect(self) -> None:
            raise ZeroDivisionError

    app = App(
        [Route("/fail", failing), WebSocketRoute("/ws", Failing)],
        exception_handlers={ZeroDivisionError: apologise},
    )
    async with TestClient(app, raise_server_exceptions=False) as client:
        assert (await client.request("GET", "/fail")).text == "sorry"
        assert (await client.request("GET", "/nothing")).status == 404
        async with client.connect("/ws") as ws:
            assert (await ws.receive_close()).code == 1011


async def test_a_socket_does_not_find_an_http_route() -> None:
    """S09: a handshake for a path that only HTTP has is refused with 403."""
    app = App([Route("/clients", clients)])
    async with TestClient(app) as client:
        with pytest.raises(Refused) as caught:
            async with client.connect("/clients"):
                raise AssertionError
    assert caught.value.status == 403


async def other(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve what the table does not have."""
    await PlainTextResponse(f"other {scope['path']}")(scope, receive, send)


async def test_another_application_for_http() -> None:
    """What no route takes goes to `http`, slashes and all; sockets don't."""
    app = App([Route("/clients", clients), WebSocketRoute("/ws", Count)], http=other)
    app.state.clients = 0
    async with TestClient(app) as client:
        assert (await client.request("GET", "/clients")).json() == 0
        assert (await client.request("GET", "/clients/")).text == "other /clients/"
        assert (await client.request("GET", "/ws")).text == "other /ws"
        with pytest.raises(Refused) as caught:
            async with client.connect("/other"):
                raise AssertionError
    assert caught.value.status == 403


# -- middleware -----------------------------------------------------------------------


class Seeing:
    """Middleware that sees everything, and stops those with a word."""

    def __init__(self, app: ASGIApp, name: str) -> None:
        self.app, self.name = app, name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        log.append(f"{self.name} {scope['type']}")
        if scope["type"] == "websocket" and scope["path"] == "/stopped":
            await send({"type": "websocket.close", "code": 1000})
            return
        await self.app(scope, receive, send)


async def test_middleware_is_around_everything() -> None:
    """S56: sockets, requests and the lifespan pass it, the first outermost."""
    app = App(
        [WebSocketRoute("/ws", Count), Route("/clients", clients)],
        middleware=[Middleware(Seeing, name="a"), Middleware(Seeing, name="b")],
    )
    app.state.clients = 0
    async with TestClient(app) as client:
        async with client.connect("/ws") as ws:
            assert await ws.receive() == "counted"
        await client.request("GET", "/clients")
        with pytest.raises(Refused):
            async with client.connect("/stopped"):
                raise AssertionError

    assert log == [
        *("a lifespan", "b lifespan"),
        *("a websocket", "b websocket"),
        *("a http", "b http"),
        "a websocket",
    ]


class Visits(WebSocketConsumer):
    async def on_connect(self) -> None:
        await self.send(str(self.session.get("visits")))


async def visit(request: Request) -> Response:
    """Count a visit in the session."""
    request.session["visits"] = request.session.get("visits", 0) + 1
    return Response()


async def test_a_socket_reads_the_session() -> None:
    """S57: what HTTP put into the signed cookie, the socket finds."""
    app = App(
        [WebSocketRoute("/ws", Visits), Route("/visit", visit)],
        middleware=[Middleware(SessionMiddleware, secret_key="secret")],
    )
    async with TestClient(app) as client:
        cookies = (await client.request("GET", "/visit")).cookies
        async with client.connect("/ws", cookies=cookies) as ws:
            assert await ws.receive() == "1"
        async with client.connect("/ws", cookies={"session": "forged"}) as ws:
            assert await ws.receive() == "None"


async def test_without_its_middleware_the_session_explains_itself() -> None:
    """The error says what to write."""
    async with TestClient(Visits) as client:
        with pytest.raises(StateError) as caught:
            async with client.connect("/ws") as ws:
                await ws.receive()

    assert str(caught.value) == (
        "a session needs Starlette's SessionMiddleware around the application; write "
        "App([...], middleware=[Middleware(SessionMiddleware, secret_key=...)])"
    )
