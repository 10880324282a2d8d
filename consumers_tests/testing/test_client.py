"""Handshakes, HTTP requests, state and overrides, by a client in process."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from consumers.handlers.providers import overrides
from consumers.handshake.identity import Identity
from consumers.testing import Refused, TestClient

from .apps import accepting, echo, waiting


async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send(
        {
            "type": "websocket.http.response.start",
            "status": 401,
            "headers": [(b"x-reason", b"token")],
        }
    )
    await send(
        {"type": "websocket.http.response.body", "body": b'{"a":', "more_body": True}
    )
    await send({"type": "websocket.http.response.body", "body": b"1}"})


async def test_a_refusal_shows_status_and_body() -> None:
    """A denial response raises `Refused` with status, headers and body."""
    async with TestClient(refusing) as client:
        with pytest.raises(Refused) as caught:
            async with client.connect("/"):
                raise AssertionError("not connected")

        assert caught.value.status == 401
        assert caught.value.headers["X-Reason"] == "token"
        assert caught.value.json() == {"a": 1}
        assert caught.value.code == 1006
        assert str(caught.value) == "the handshake was refused with 401: b'{\"a\":1}'"


async def test_a_close_before_the_accept_is_403() -> None:
    """A close instead of an accept is a refusal with 403, without a body."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.close", "code": 4403})

    async with TestClient(app) as client:
        with pytest.raises(
            Refused, match=r"refused with 403 \(by a close with 4403\)$"
        ):
            async with client.connect("/"):
                pass


async def test_a_server_without_denial_responses() -> None:
    """`denial_response=False` neither offers the extension nor takes its events."""
    async with TestClient(refusing) as client:
        with pytest.raises(
            RuntimeError, match=r"websocket.close' while .* 'handshake'"
        ):
            async with client.connect("/", denial_response=False):
                pass


async def test_no_answer_to_the_handshake_ends_by_the_deadline() -> None:
    """An application that never answers is cancelled, and the client can be used on."""
    cancelled = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "websocket"
        if scope["path"] == "/stuck":
            try:
                await anyio.sleep_forever()
            finally:
                cancelled.append(True)
        await echo(scope, receive, send)

    async with TestClient(app) as client:
        client.deadline = 0.02
        with pytest.raises(
            TimeoutError, match=r"answer to the handshake within 0.02 s"
        ):
            async with client.connect("/stuck"):
                pass
        assert cancelled == [True]
        client.deadline = 5
        async with client.connect("/") as ws:
            await ws.send("fine")
            assert await ws.receive() == "fine"


async def test_an_application_that_returns_without_an_answer_is_500() -> None:
    """Returning before accept or close is a refusal with 500, as on servers."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        pass

    async with TestClient(app) as client:
        with pytest.raises(Refused, match="500"):
            async with client.connect("/"):
                pass


async def test_the_scope_is_what_a_server_makes() -> None:
    """Path, query, headers, cookies, subprotocols, state, identity are in the scope."""
    scopes = []

    async def body(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await waiting(scope, receive, send)

    anna = Identity("anna")
    async with (
        TestClient(accepting(body), base_url="wss://example.com") as client,
        client.connect(
            "/a%2Fb/ü?x=1",
            query={"y": ["2", "3"]},
            headers={"Origin": "https://example.com"},
            cookies={"session": "s"},
            subprotocols=["v1"],
            identity=anna,
        ),
    ):
        pass

    scope = scopes[0]
    headers = dict(scope["headers"])
    assert scope["path"] == "/a/b/ü"
    assert scope["raw_path"] == b"/a%2Fb/%C3%BC"
    assert scope["query_string"] == b"x=1&y=2&y=3"
    assert (scope["scheme"], scope["server"]) == ("wss", ("example.com", 443))
    assert headers[b"host"] == b"example.com"
    assert headers[b"origin"] == b"https://example.com"
    assert headers[b"cookie"] == b"session=s"
    assert headers[b"sec-websocket-protocol"] == b"v1"
    assert scope["subprotocols"] == ["v1"]
    assert scope["extensions"] == {"websocket.http.response": {}}
    assert scope["consumers.identity"] is anna
    assert scope["state"] == {}


async def test_http_routes_are_reached_by_request() -> None:
    """`request()` calls the application's HTTP routes; cookies pass to a connection."""

    async def login(request: Request) -> JSONResponse:
        response = JSONResponse({"name": (await request.body()).decode()}, 201)
        response.set_cookie("who", "anna")
        return response

    async def who(ws: WebSocket) -> None:
        await ws.accept()
        await ws.send_text(ws.cookies["who"])
        await ws.close()

    app = Starlette(
        routes=[
            Route("/login", login, methods=["POST"]),
            WebSocketRoute("/who", who),
        ]
    )
    async with TestClient(app) as client:
        response = await client.request("POST", "/login", content="anna")
        assert response.status == 201
        assert response.json() == {"name": "anna"}
        assert response.headers["content-type"] == "application/json"
        async with client.connect("/who", cookies=response.cookies) as ws:
            assert await ws.receive() == "anna"


async def test_an_exception_of_an_http_route_is_raised() -> None:
    """Unless the client is told not to; then it is a response with 500."""

    async def bad(request: Request) -> PlainTextResponse:
        raise ZeroDivisionError

    app = Starlette(routes=[Route("/bad", bad)])
    async with TestClient(app) as client:
        with pytest.raises(ZeroDivisionError):
            await client.request("GET", "/bad")
    async with TestClient(app, raise_server_exceptions=False) as client:
        assert (await client.request("GET", "/bad")).status == 500


async def test_a_request_has_the_deadline_too() -> None:
    """A route that never answers is cancelled."""

    async def slow(request: Request) -> PlainTextResponse:
        await anyio.sleep_forever()
        raise AssertionError

    app = Starlette(routes=[Route("/slow", slow)])
    async with TestClient(app) as client:
        client.deadline = 0.02
        with pytest.raises(TimeoutError, match=r"response to /slow .*\n.*"):
            await client.request("GET", "/slow")


async def test_the_state_of_the_lifespan_is_shared() -> None:
    """What the lifespan yields is in `client.state` and in each scope, as a copy."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, int]]:
        yield {"answer": 42}

    async def show(ws: WebSocket) -> None:
        await ws.accept()
        await ws.send_json(ws.state.answer)
        ws.state.answer = 0
        await ws.close()

    app = Starlette(routes=[WebSocketRoute("/", show)], lifespan=lifespan)
    async with TestClient(app) as client:
        assert client.state == {"answer": 42}
        for _ in range(2):
            async with client.connect("/") as ws:
                assert await ws.receive(int) == 42


async def test_overrides_are_in_the_application_s_context() -> None:
    """Overrides hold for the client, or for connections opened under `override()`."""

    def real() -> str:
        return "real"

    async def body(scope: Scope, receive: Receive, send: Send) -> None:
        made = overrides.get().get(real, real)()
        await send({"type": "websocket.send", "text": made})
        await waiting(scope, receive, send)

    async def made(client: TestClient) -> str | bytes:
        async with client.connect("/") as ws:
            return await ws.receive()

    app = accepting(body)
    async with TestClient(app, overrides={real: lambda: "fake"}) as client:
        assert await made(client) == "fake"
        with client.override(real, lambda: "faker"):
            assert await made(client) == "faker"
        assert await made(client) == "fake"
    async with TestClient(app) as client:
        assert await made(client) == "real"


async def test_many_connections_at_once() -> None:
    """Connections are independent of each other, and of the task that opened them."""
    async with TestClient(echo) as client:

        async def talk(number: int) -> None:
            async with client.connect("/") as ws:
                await ws.send_json(number)
                assert await ws.receive(int) == number

        async with anyio.create_task_group() as group:
            for number in range(50):
                group.start_soon(talk, number)


async def test_misuse_is_told() -> None:
    """Outside of the `async with`, or with a wrong argument, the error says so."""
    with pytest.raises(RuntimeError, match="async with TestClient"):
        async with TestClient(echo).connect("/"):
            pass
    with pytest.raises(ValueError, match="deadline must be a positive number"):
        TestClient(echo, deadline=0)
    async with TestClient(echo) as client:
        with pytest.raises(ValueError, match="must start with '/'"):
            async with client.connect("ws://testserver/"):
                pass


async def test_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The client itself writes nothing to the logs."""
    with caplog.at_level(logging.DEBUG):
        async with TestClient(echo) as client, client.connect("/") as ws:
            await ws.send("x")
            await ws.receive()

    assert [r for r in caplog.records if r.name.startswith("consumers")] == []
