"""The application around the endpoints: shared state, middleware, sessions, hooks."""

from typing import Annotated, Any

import pytest
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from consumers import App, Provide, WebSocket, WebSocketConsumer
from consumers.testing import TestClient

from . import both_styles


@both_styles
async def test_s54_sockets_and_requests_share_the_state(path: str) -> None:
    """`/clients` answers 1 while somebody is connected, and 0 before and after."""

    async def count(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(len(request.app.state.clients)))

    app = App([Route("/clients", count)])
    app.state.clients = set()

    @app.websocket_route("/function")
    async def view(ws: WebSocket) -> None:
        ws.app.state.clients.add(ws)
        try:
            async for message in ws:
                await ws.send(message)
        finally:
            ws.app.state.clients.remove(ws)

    @app.websocket_route("/class")
    class Consumer(WebSocketConsumer):
        async def on_connect(self) -> None:
            self.app.state.clients.add(self)

        async def on_receive(self, message: str) -> None:
            await self.send(message)

        async def on_disconnect(self, code: int) -> None:
            self.app.state.clients.remove(self)

    async with TestClient(app) as client:
        assert (await client.request("GET", "/clients")).text == "0"
        async with client.connect(path) as ws:
            await ws.send("hello")
            assert await ws.receive() == "hello"
            assert (await client.request("GET", "/clients")).text == "1"
        assert (await client.request("GET", "/clients")).text == "0"


def history() -> list[Any]:
    """Return what was said, for the whole application."""
    return []


def clients() -> set[WebSocket]:
    """Return who is here, for the whole application."""
    return set()


History = Annotated[list[Any], Provide(history, scope="app")]
Clients = Annotated[set[WebSocket], Provide(clients, scope="app")]


async def join(ws: WebSocket, history: list[Any], clients: set[WebSocket]) -> None:
    """Count somebody in, and tell what was said before."""
    clients.add(ws)
    for message in history:
        await ws.send(message)


async def say(message: Any, history: list[Any], clients: set[WebSocket]) -> None:
    """Keep a message, and pass it on to everybody."""
    if message["type"] == "message":
        history.append(message)
        for client in tuple(clients):
            await client.send(message)


def chat() -> App:
    """Return the guide's chat room, in both styles."""
    app = App()

    @app.websocket_route("/function", value_type="json")
    async def room(ws: WebSocket, history: History, clients: Clients) -> None:
        await join(ws, history, clients)
        try:
            async for message in ws:
                await say(message, history, clients)
        finally:
            clients.remove(ws)

    @app.websocket_route("/class", value_type="json")
    class Room(WebSocketConsumer):
        async def on_connect(self, history: History, clients: Clients) -> None:
            await join(self, history, clients)

        async def on_receive(
            self, message: Any, history: History, clients: Clients
        ) -> None:
            await say(message, history, clients)

        async def on_disconnect(self, code: int, clients: Clients) -> None:
            clients.remove(self)

    return app


@both_styles
async def test_s55_the_chat_room(path: str) -> None:
    """Who joins gets what was said before, and all get what is said then."""
    hello = {"type": "message", "user": "ada", "text": "hello"}
    hi = {"type": "message", "user": "bob", "text": "hi"}
    async with TestClient(chat()) as client, client.connect(path) as ada:
        await ada.send_json({"type": "typing"})
        await ada.send_json(hello)
        assert await ada.receive_json() == hello
        async with client.connect(path) as bob:
            assert await bob.receive_json() == hello
            await bob.send_json(hi)
            for member in (ada, bob):
                assert await member.receive_json() == hi
        await ada.send_json(hello)  # to herself alone: the other one is counted out
        assert await ada.receive_json() == hello


@both_styles
async def test_s56_middleware_is_around_sockets_too(path: str) -> None:
    """An ASGI middleware sees a socket's scope, and may change it."""

    def naming(app: ASGIApp) -> ASGIApp:
        async def named(scope: Scope, receive: Receive, send: Send) -> None:
            scope["name"] = f"a {scope['type']}"
            await app(scope, receive, send)

        return named

    app = App(middleware=[Middleware(naming)])

    @app.websocket_route("/function")
    async def view(ws: WebSocket) -> None:
        await ws.send(ws.scope["name"])

    @app.websocket_route("/class")
    class Consumer(WebSocketConsumer):
        async def on_connect(self) -> None:
            await self.send(self.scope["name"])

    async with TestClient(app) as client, client.connect(path) as ws:
        assert await ws.receive() == "a websocket"


@both_styles
async def test_s56_middleware_for_requests_breaks_no_socket(path: str) -> None:
    """One that is for HTTP alone lets sockets pass."""

    class Stamp(BaseHTTPMiddleware):
        async def dispatch(
            self, request: Request, call_next: RequestResponseEndpoint
        ) -> Response:
            response = await call_next(request)
            response.headers["x-stamp"] = "here"
            return response

    app = App(
        [Route("/page", lambda request: PlainTextResponse("page"))],
        middleware=[Middleware(Stamp)],
    )

    @app.websocket_route("/function")
    async def view(ws: WebSocket) -> None:
        await ws.send("passed")

    @app.websocket_route("/class")
    class Consumer(WebSocketConsumer):
        async def on_connect(self) -> None:
            await self.send("passed")

    async with TestClient(app) as client:
        response = await client.request("GET", "/page")
        assert response.headers["x-stamp"] == "here"
        async with client.connect(path) as ws:
            assert await ws.receive() == "passed"


def with_session(secret: str) -> App:
    """Return an application that signs in by a request and greets by a socket."""

    async def sign_in(request: Request) -> JSONResponse:
        request.session["user"] = request.query_params["user"]
        return JSONResponse(request.session)

    app = App(
        [Route("/sign-in", sign_in)],
        middleware=[Middleware(SessionMiddleware, secret_key=secret)],
    )

    @app.websocket_route("/function")
    async def view(ws: WebSocket) -> None:
        user = ws.session.get("user", "nobody")
        ws.session["user"] = "eve"
        await ws.send(user)

    @app.websocket_route("/class")
    class Consumer(WebSocketConsumer):
        async def on_connect(self) -> None:
            user = self.session.get("user", "nobody")
            self.session["user"] = "eve"
            await self.send(user)

    return app


@both_styles
async def test_s57_a_session_is_a_signed_cookie(path: str) -> None:
    """A socket reads the session of requests; a cookie signed by others is none."""
    async with TestClient(with_session("secret")) as client:
        response = await client.request("GET", "/sign-in?user=ada")
        async with client.connect(path, cookies=response.cookies) as ws:
            assert await ws.receive() == "ada"
            assert "set-cookie" not in ws.response_headers  # so it can't write it
        async with client.connect(path) as ws:
            assert await ws.receive() == "nobody"
    async with (
        TestClient(with_session("another")) as client,
        client.connect(path, cookies=response.cookies) as ws,
    ):
        assert await ws.receive() == "nobody"


def test_s57_sessions_need_a_key() -> None:
    """Leaving the secret out is an error when the application is made."""
    with pytest.raises(TypeError, match="secret_key"):
        App(middleware=[Middleware(SessionMiddleware)])  # type: ignore[call-arg]


async def test_s60_classes_have_the_hooks_that_were_asked_for() -> None:
    """Before the connection, at its beginning, for each message, and at its end."""
    called: list[str] = []

    class Consumer(WebSocketConsumer):
        async def on_handshake(self, name: str) -> None:
            called.append(f"before {name} connects")

        async def on_connect(self) -> None:
            called.append("connected")

        async def on_receive(self, message: str) -> None:
            called.append(f"got {message}")
            await self.send(message)

        async def on_disconnect(self, code: int) -> None:
            called.append(f"disconnected with {code}")

    app = App()
    app.websocket_route("/{name}")(Consumer)
    async with TestClient(app) as client, client.connect("/ada") as ws:
        await ws.send("hello")
        assert await ws.receive() == "hello"
        await ws.close(1001)
    assert called == [
        "before ada connects",
        "connected",
        "got hello",
        "disconnected with 1001",
    ]
