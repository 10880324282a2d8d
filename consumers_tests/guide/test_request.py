"""What a connection knows of the request that opened it."""

from typing import Any

import pytest
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware

from consumers import App, StateError, WebSocket, WebSocketConsumer
from consumers.testing import TestClient

from . import both_styles, route_both


def telling(*expressions: str, **settings: Any) -> App:
    """Return an application whose endpoints send the values of some attributes."""
    app = App(**settings)

    async def tell(ws: WebSocket) -> None:
        values = {}
        for expression in expressions:
            value: Any = ws
            for name in expression.split("."):
                value = getattr(value, name)
            values[expression] = value
        await ws.send_json(values)

    route_both(app, tell)

    return app


@both_styles
async def test_s22_the_url_is_known(path: str) -> None:
    """`url` has its parts as attributes."""
    app = telling("url.path", "url.port", "url.scheme", "url.hostname", "url.query")
    async with TestClient(app) as client, client.connect(path) as ws:
        assert await ws.receive(dict[str, Any]) == {
            "url.path": path,
            "url.port": None,
            "url.scheme": "ws",
            "url.hostname": "testserver",
            "url.query": "",
        }


async def test_s22_the_url_compares_with_text() -> None:
    """`url` equals its text, and tells whether the connection is secure."""
    app = App()

    @app.websocket_route("/test")
    async def view(ws: WebSocket) -> None:
        assert ws.url == str(ws.url)
        await ws.send_json([str(ws.url), ws.url.is_secure])

    async with TestClient(app) as client, client.connect("/test") as ws:
        assert await ws.receive(list[Any]) == ["ws://testserver/test", False]
    async with (
        TestClient(app, base_url="wss://example.org") as client,
        client.connect("/test") as ws,
    ):
        assert await ws.receive(list[Any]) == ["wss://example.org/test", True]


@both_styles
async def test_s22_headers_do_not_care_for_case_and_do_not_change(path: str) -> None:
    """`headers` is a mapping without regard to case that can't be written to."""
    app = App()

    async def tell(ws: WebSocket) -> None:
        with pytest.raises(TypeError):
            ws.headers["x-user"] = "eve"  # type: ignore[index]
        await ws.send_json([ws.headers["X-User"], ws.headers.get("x-none")])

    route_both(app, tell)

    async with (
        TestClient(app) as client,
        client.connect(path, headers={"x-user": "ada"}) as ws,
    ):
        assert await ws.receive(list[Any]) == ["ada", None]


@both_styles
async def test_s22_the_query_has_two_names(path: str) -> None:
    """`query_params` is Starlette's name, `query_parameters` the guide's."""
    app = App()

    async def tell(ws: WebSocket) -> None:
        assert ws.query_params == ws.query_parameters
        query = ws.query_parameters
        await ws.send_json([query["a"], query.getlist("b"), query.get("c")])

    route_both(app, tell)

    async with (
        TestClient(app) as client,
        client.connect(f"{path}?a=1&b=2&b=3") as ws,
    ):
        assert await ws.receive(list[Any]) == ["1", ["2", "3"], None]


@both_styles
async def test_s23_everything_of_starlettes_connection_is_there(path: str) -> None:
    """Path parameters, cookies, client, application and state come from Starlette."""
    app = App()
    app.state.name = "the application's"

    async def tell(ws: WebSocket) -> None:
        assert ws.app is app
        assert ws.client is not None
        ws.state.seen = True
        await ws.send_json(
            [ws.path_params, ws.cookies, ws.app.state.name, ws.state.seen]
        )

    app.websocket_route("/function/{room}")(tell)

    @app.websocket_route("/class/{room}")
    class Consumer(WebSocketConsumer):
        async def on_connect(self) -> None:
            await tell(self)

    async with (
        TestClient(app) as client,
        client.connect(f"{path}/lobby", cookies={"a": "b"}) as ws,
    ):
        assert await ws.receive(list[Any]) == [
            {"room": "lobby"},
            {"a": "b"},
            "the application's",
            True,
        ]


@both_styles
async def test_s23_what_it_does_not_know_is_an_error(path: str) -> None:
    """An attribute that nobody has is an `AttributeError`, as anywhere."""
    async with TestClient(telling("message")) as client:
        with pytest.raises(AttributeError, match="message"):
            async with client.connect(path):
                pass


@both_styles
async def test_s24_the_session_is_there_with_its_middleware(path: str) -> None:
    """With Starlette's `SessionMiddleware` a new client has an empty session."""
    app = telling(
        "session", middleware=[Middleware(SessionMiddleware, secret_key="secret")]
    )
    async with TestClient(app) as client, client.connect(path) as ws:
        assert await ws.receive(dict[str, Any]) == {"session": {}}


@both_styles
async def test_s24_without_the_middleware_the_session_explains_itself(
    path: str,
) -> None:
    """The error names what is missing; the client is closed with 1011."""
    async with TestClient(telling("session")) as client:
        with pytest.raises(StateError, match="SessionMiddleware"):
            async with client.connect(path) as ws:
                assert (await ws.receive_close()).code == 1011
