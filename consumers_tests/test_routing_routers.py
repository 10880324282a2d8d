"""The decorator, and routers with their prefixes."""

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Host, Mount, Route
from starlette.routing import Router as StarletteRouter
from starlette.routing import WebSocketRoute as StarletteWebSocketRoute

from consumers import (
    App,
    ConfigurationError,
    Router,
    WebSocket,
    WebSocketRoute,
)
from consumers.testing import TestClient
from consumers_tests.routed import Params, Shop, Words, first_message, view

# -- the decorator and routers --------------------------------------------------------


async def test_the_decorator_takes_functions_and_classes() -> None:
    """The decorated name becomes the route, which has the class."""
    router = Router()

    @router.websocket_route("/f/{shop}", name="f")
    async def decorated(ws: WebSocket, shop: int) -> None:
        await ws.send(str(shop + 1))

    @router.websocket_route("/c/{shop}", send_type="text")
    class Decorated(Shop):
        pass

    app = App()
    app.include_router(router, prefix="/api")

    assert isinstance(decorated, WebSocketRoute)
    assert isinstance(Decorated, WebSocketRoute)
    assert await first_message(app, "/api/f/1") == "2"
    assert await first_message(app, "/api/c/1?page=3") == "1 3"
    assert app.url_path_for("f", shop="5") == "/api/f/5"


def test_a_router_waits_for_its_prefix() -> None:
    """What the path lacks is told when the router is included."""
    router = Router()
    router.websocket_route("/x")(Shop)
    nested = Router()
    nested.include_router(router, prefix="/nested")

    with pytest.raises(ConfigurationError) as caught:
        App().include_router(nested, prefix="/{city}")
    assert str(caught.value).startswith(
        "route '/{city}/nested/x' to Shop asks for 'shop', which must be in the path, "
        "got '/{city}/nested/x'; add {shop} to it"
    )
    app = App()
    app.include_router(nested, prefix="/{shop}")
    assert app.url_path_for("Shop", shop="1") == "/1/nested/x"


async def page(request: Request) -> Response:
    """Say where it is."""
    return PlainTextResponse(request.url.path)


async def test_other_routes_are_included_too() -> None:
    """HTTP routes, mounts and routes of Starlette's own get the prefix as well."""
    inner = Mount("/static", app=PlainTextResponse("static"), name="static")
    router = Router(
        [
            Route("/page", page, methods=["POST"], name="page"),
            inner,
            StarletteWebSocketRoute("/own", Words, name="own"),
        ]
    )
    app = App()
    app.include_router(router, prefix="/api")
    app.include_router(Router([Route("/top", page)]))

    assert await first_message(app, "/api/own?word=w") == "w"
    async with TestClient(app) as client:
        assert (await client.request("POST", "/api/page")).text == "/api/page"
        assert (await client.request("GET", "/api/page")).status == 405
        assert (await client.request("GET", "/api/static/x")).text == "static"
        assert (await client.request("GET", "/top")).text == "/top"
    assert app.url_path_for("page") == "/api/page"


@pytest.mark.parametrize("prefix", ["/api", "api", "/api/", "api/"])
async def test_slashes_around_a_prefix_do_not_matter(prefix: str) -> None:
    """Every route gets one slash on either side of it."""
    router = Router([Route("/page", page), WebSocketRoute("/words", Words)])
    app = App()
    app.include_router(router, prefix=prefix)
    app.mount(prefix.strip("/") + "/m", PlainTextResponse("mounted"))

    assert await first_message(app, "/api/words?word=w") == "w"
    async with TestClient(app) as client:
        assert (await client.request("GET", "/api/page")).text == "/api/page"
        assert (await client.request("GET", "/api/m/x")).text == "mounted"


async def test_anonymous_parts_below_an_anonymous_prefix() -> None:
    """Any number of them, wherever they stand."""
    router = Router([WebSocketRoute("/x/{}/y/{}", Params)])
    app = App()
    app.include_router(router, prefix="/{}")

    assert await first_message(app, "/a/x/b/y/c/d") == "{}"


def test_the_decorator_without_its_path() -> None:
    """Forgotten parentheses are told at once."""
    with pytest.raises(ConfigurationError) as caught:
        App().websocket_route(view)  # type: ignore[arg-type]

    assert str(caught.value) == (
        f"a path must be a text, got {view!r}; write WebSocketRoute(path, endpoint) or "
        "@app.websocket_route(path)"
    )


def test_what_can_not_have_a_prefix() -> None:
    """A host is not below a path."""
    host = Host("a.org", StarletteRouter())
    App().include_router(Router([host]))

    with pytest.raises(ConfigurationError) as caught:
        App().include_router(Router([host]), prefix="/api")

    assert str(caught.value) == (
        "a prefix goes before a Route, WebSocketRoute or Mount, got "
        f"{host!r}; put it into the application's own table"
    )
