"""Routes: patterns, convertors, which one matches, routers and mounts."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from starlette.convertors import CONVERTOR_TYPES, Convertor
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from consumers import (
    App,
    ConfigurationError,
    Router,
    WebSocket,
    WebSocketConsumer,
    WebSocketRoute,
)
from consumers.testing import Refused, TestClient

from . import both_styles


def saying(text: str) -> Callable[[WebSocket], Any]:
    """Return a view that says one thing."""

    async def view(ws: WebSocket) -> None:
        await ws.send(text)

    return view


async def said(client: TestClient, path: str) -> str:
    """Return the first message of the endpoint at a path."""
    async with client.connect(path) as ws:
        return await ws.receive(str)


async def refused(client: TestClient, path: str) -> int:
    """Return the status with which a path is refused."""
    with pytest.raises(Refused) as outcome:
        async with client.connect(path):
            pass
    return outcome.value.status


@pytest.mark.parametrize("make", [App, Router])
def test_s01_the_decorator_returns_a_route(make: Callable[[], Router]) -> None:
    """Applications and routers have the decorator, which makes a route of either."""
    router = make()

    @router.websocket_route(
        "/function",
        auto_accept=False,
        value_type=None,
        receive_type="json",
        send_type="bytes",
        caught_close_codes=(1000,),
    )
    async def view(ws: WebSocket) -> None:
        """Does nothing."""

    @router.websocket_route("/class", value_type="json")
    class Consumer(WebSocketConsumer):
        """Does nothing."""

    assert isinstance(view, WebSocketRoute)
    assert isinstance(Consumer, WebSocketRoute)
    assert router.routes == [view, Consumer]


@both_styles
async def test_s01_settings_of_the_route_count(path: str) -> None:
    """A setting given to the decorator comes before that of the class."""
    app = App()

    @app.websocket_route("/function", value_type="json")
    async def view(ws: WebSocket) -> None:
        await ws.send([await ws.receive()])

    @app.websocket_route("/class", value_type="json")
    class Consumer(WebSocketConsumer):
        value_type = "text"

        async def on_receive(self, message: Any) -> None:
            await self.send([message])

    async with TestClient(app) as client, client.connect(path) as ws:
        await ws.send({"a": 1})
        assert await ws.receive_json() == [{"a": 1}]


def test_s01_an_unknown_setting_is_an_error() -> None:
    """A misspelled setting is told when the route is made."""
    with pytest.raises(ConfigurationError, match="did you mean 'value_type'"):
        App().websocket_route("/", valuetype="json")(saying(""))


def test_s02_a_view_must_be_async() -> None:
    """A plain function is refused by the decorator, with a hint."""
    with pytest.raises(
        ConfigurationError,
        match=r"view 'chat' must be asynchronous.*use 'async def' instead of 'def'",
    ):

        @App().websocket_route("/chat")
        def chat(ws: WebSocket) -> None:
            """Not asynchronous."""


def test_s02_a_hook_must_be_async() -> None:
    """A plain method in a hook's place is refused when the class is made."""
    with pytest.raises(
        ConfigurationError, match=r"Chat\.on_connect must be 'async def'"
    ):

        class Chat(WebSocketConsumer):
            def on_connect(self) -> None:  # type: ignore[override]
                """Not asynchronous."""


async def test_s03_a_leading_slash_is_added() -> None:
    """A pattern without one matches as if it had a leading slash."""
    app = App([WebSocketRoute("chat/room", saying("here"))])
    async with TestClient(app) as client:
        assert await said(client, "/chat/room") == "here"


@both_styles
async def test_s04_a_parameter_matches_one_segment(path: str) -> None:
    """`{name}` takes all up to the next slash, and is passed by its name."""
    app = App()

    @app.websocket_route("/function/{channel}/{user}")
    async def view(ws: WebSocket, user: str, channel: str) -> None:
        await ws.send(f"{user} in {channel}")

    @app.websocket_route("/class/{channel}/{user}")
    class Consumer(WebSocketConsumer):
        async def on_connect(self, user: str, channel: str) -> None:
            await self.send(f"{user} in {channel}")

    async with TestClient(app) as client:
        assert await said(client, f"{path}/lobby/ada") == "ada in lobby"
        assert await said(client, f"{path}/a b/é") == "é in a b"
        assert await refused(client, f"{path}/lobby/ada/x") == 403
        assert await refused(client, f"{path}/lobby/") == 403


@both_styles
async def test_s05_convertors_are_starlettes(path: str) -> None:
    """`int`, `float`, `uuid`, `str` and `path` convert and decide what matches."""
    uuid = "12345678-1234-5678-1234-567812345678"
    app = App()
    for kind in ("int", "float", "uuid", "str"):

        @app.websocket_route(f"/function/{kind}/{{value:{kind}}}")
        async def view(ws: WebSocket) -> None:
            await ws.send(repr(ws.path_params["value"]))

        @app.websocket_route(f"/class/{kind}/{{value:{kind}}}")
        class Consumer(WebSocketConsumer):
            async def on_connect(self) -> None:
                await self.send(repr(self.path_params["value"]))

    async with TestClient(app) as client:
        assert await said(client, f"{path}/int/42") == "42"
        assert await said(client, f"{path}/float/4.5") == "4.5"
        assert await said(client, f"{path}/uuid/{uuid}") == f"UUID('{uuid}')"
        assert await said(client, f"{path}/str/42") == "'42'"
        assert await refused(client, f"{path}/int/x") == 403


@both_styles
async def test_s05_path_takes_slashes_and_nothing(path: str) -> None:
    """`{name:path}` matches anything, the empty string too."""
    app = App()

    @app.websocket_route("/function/{rest:path}")
    async def view(ws: WebSocket, rest: str) -> None:
        await ws.send(rest)

    @app.websocket_route("/class/{rest:path}")
    class Consumer(WebSocketConsumer):
        async def on_connect(self, rest: str) -> None:
            await self.send(rest)

    async with TestClient(app) as client:
        assert await said(client, f"{path}/a/b/c") == "a/b/c"
        assert await said(client, f"{path}/") == ""


async def test_s05_convertors_of_the_application_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A convertor registered with Starlette is known, and may make any object."""

    class Color(str):
        __slots__ = ()

    class ColorConvertor(Convertor[Color]):
        regex = "red|green"

        def convert(self, value: str) -> Color:
            return Color(value)

        def to_string(self, value: Color) -> str:
            return value

    monkeypatch.setitem(CONVERTOR_TYPES, "color", ColorConvertor())
    app = App()

    @app.websocket_route("/{color:color}", name="paint")
    async def paint(ws: WebSocket, color: str) -> None:
        await ws.send(f"{color} {type(ws.path_params['color']).__name__}")

    async with TestClient(app) as client:
        assert await said(client, "/red") == "red Color"
        assert await refused(client, "/blue") == 403
    assert app.url_path_for("paint", color="green") == "/green"


def test_s05_an_unknown_convertor_is_an_error() -> None:
    """The error, a `TypeError`, names the parameter and what there is instead."""
    with pytest.raises(
        TypeError,
        match=r"unknown path convertor 'x' on route parameter 'y'; available: .*path",
    ):
        App().websocket_route("/{y:x}")(saying(""))


@both_styles
async def test_s06_a_wildcard_is_passed_to_nobody(path: str) -> None:
    """`{}` matches anything, the empty string too, and has no name."""
    app = App()

    @app.websocket_route("/function/{}/end")
    async def view(ws: WebSocket) -> None:
        await ws.send(str(ws.path_params))

    @app.websocket_route("/class/{}/end")
    class Consumer(WebSocketConsumer):
        async def on_connect(self) -> None:
            await self.send(str(self.path_params))

    async with TestClient(app) as client:
        for anything in ("a", "a/b", ""):
            assert await said(client, f"{path}/{anything}/end") == "{}"
        assert await refused(client, f"{path}/a/start") == 403


async def test_s03_s06_a_bare_wildcard_catches_all() -> None:
    """`{}` alone, or after a slash, is the route for all that no other takes."""
    for pattern in ("{}", "/{}"):
        app = App()
        app.websocket_route("/known")(saying("known"))
        app.websocket_route(pattern)(saying("caught"))
        async with TestClient(app) as client:
            assert await said(client, "/known") == "known"
            for path in ("/", "/any/thing"):
                assert await said(client, path) == "caught"


@both_styles
async def test_s07_the_first_match_wins(path: str) -> None:
    """Of several routes that match, the one registered first serves."""
    app = App()
    app.websocket_route("/function")(saying("first"))
    app.websocket_route("/function")(saying("second"))

    @app.websocket_route("/class")
    class First(WebSocketConsumer):
        async def on_connect(self) -> None:
            await self.send("first")

    @app.websocket_route("/{any}")
    class Second(WebSocketConsumer):
        async def on_connect(self) -> None:
            await self.send("second")

    async with TestClient(app) as client:
        assert await said(client, path) == "first"
        assert await said(client, "/else") == "second"


async def test_s08_sockets_are_not_redirected() -> None:
    """A trailing slash makes another path, although HTTP requests are redirected."""
    app = App([Route("/tacos/menu", lambda request: Response())])
    app.websocket_route("/tacos/chat")(saying("here"))
    async with TestClient(app) as client:
        assert await said(client, "/tacos/chat") == "here"
        assert await refused(client, "/tacos/chat/") == 403
        assert (await client.request("GET", "/tacos/menu/")).status == 307


async def test_s09_no_route_is_403() -> None:
    """An unknown path is refused; an HTTP route at that path is not called."""
    called: list[str] = []

    async def page(request: Request) -> PlainTextResponse:
        called.append(request.scope["type"])
        return PlainTextResponse("page")

    app = App([Route("/page", page), WebSocketRoute("/chat", saying("here"))])
    async with TestClient(app) as client:
        assert await refused(client, "/nowhere") == 403
        assert await refused(client, "/page") == 403
        assert (await client.request("GET", "/page")).text == "page"
        assert (await client.request("GET", "/chat")).status == 404
    assert called == ["http"]


@both_styles
async def test_s10_a_router_is_included_below_a_prefix(path: str) -> None:
    """Its patterns get the prefix in front, and its routes keep their settings."""
    router = Router()

    @router.websocket_route("/function/{name}", value_type="json", auto_accept=False)
    async def view(ws: WebSocket, name: str, city: str) -> None:
        await ws.accept()
        await ws.send({"name": name, "city": city})

    @router.websocket_route("/class/{name}", value_type="json", auto_accept=False)
    class Consumer(WebSocketConsumer):
        async def on_connect(self, name: str, city: str) -> None:
            await self.accept()
            await self.send({"name": name, "city": city})

    app = App()
    app.include_router(router, prefix="/tacos/{city}")
    async with TestClient(app) as client:
        async with client.connect(f"/tacos/oslo{path}/ada") as ws:
            assert await ws.receive_json() == {"name": "ada", "city": "oslo"}
        assert await refused(client, f"{path}/ada") == 403


def test_s10_a_router_may_lack_parameters_that_its_prefix_has() -> None:
    """What a view asks for has to be in the path by when the router is included."""
    router = Router()

    @router.websocket_route("/menu")
    async def menu(ws: WebSocket, city: str) -> None:
        """Asks for what its own pattern does not have."""

    App().include_router(router, prefix="/{city}")
    with pytest.raises(ConfigurationError, match="asks for 'city'"):
        App().include_router(router, prefix="/oslo")


async def test_s11_a_mounted_application_gets_its_sockets() -> None:
    """Below a mount, `root_path` has grown by the prefix, as ASGI has it."""
    seen: list[Scope] = []

    async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await send({"type": "websocket.close"})

    inner = App()

    @inner.websocket_route("/chat/{room}")
    async def chat(ws: WebSocket, room: str) -> None:
        await ws.send(f"{room} below {ws.scope['root_path']}")

    app = App()
    app.mount("/asgi", asgi)
    app.mount("/inner", inner)
    async with TestClient(app) as client:
        assert await said(client, "/inner/chat/lobby") == "lobby below /inner"
        assert await refused(client, "/asgi/any/thing") == 403
        assert await refused(client, "/inner/nowhere") == 403
    assert [scope["root_path"] for scope in seen] == ["/asgi"]
    assert [scope["path"] for scope in seen] == ["/asgi/any/thing"]


async def test_s12_literal_parts_are_literal() -> None:
    """A dot in a pattern is a dot, whatever it means in a regular expression."""
    app = App([WebSocketRoute("/p.q", saying("dot"))])
    async with TestClient(app) as client:
        assert await said(client, "/p.q") == "dot"
        assert await refused(client, "/pxq") == 403


@pytest.mark.parametrize("pattern", ["/chat", "/n/{number:int}"])
async def test_s12_a_newline_at_the_end_is_no_match(pattern: str) -> None:
    """A path that ends in a newline is another path."""
    app = App([WebSocketRoute(pattern, saying("here"))])
    path = re.sub(r"\{.*\}", "42", pattern)
    async with TestClient(app) as client:
        assert await said(client, path) == "here"
        assert await refused(client, f"{path}%0A") == 403
