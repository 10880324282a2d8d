"""Whole tables: names, hosts, and the consumers in them."""

from typing import Annotated, Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Host, Mount, NoMatchFound, Route
from starlette.routing import Router as StarletteRouter
from starlette.routing import WebSocketRoute as StarletteWebSocketRoute

from consumers import (
    App,
    ConfigurationError,
    Provide,
    WebSocketConsumer,
    WebSocketRoute,
)
from consumers.routing import check_table, consumers_in
from consumers.testing import TestClient
from consumers_tests.routed import (
    Echo,
    Shop,
    Tag,
    Words,
    first_message,
    status,
    view,
)


async def page(request: Request) -> Response:
    """Say where it is."""
    return PlainTextResponse(request.url.path)


# -- names ----------------------------------------------------------------------------


def test_a_name_is_given_once() -> None:
    """Two routes of one given name are refused, at once and when a second is added."""
    text = "each route must have a name of its own, got 'x' twice; rename one"
    first = WebSocketRoute("/a", Echo, name="x")
    second = WebSocketRoute("/b", Echo, name="x")

    with pytest.raises(ConfigurationError) as caught:
        App([first, second])
    assert str(caught.value) == text

    app = App([first])
    with pytest.raises(ConfigurationError) as caught:
        app.websocket_route("/b", name="x")(Echo)
    assert str(caught.value) == text
    App([first, Mount("/below", routes=[second])])  # of another table


def test_a_name_that_was_not_given_may_be_there_twice() -> None:
    """One class may have two routes."""
    app = App([WebSocketRoute("/a", Echo), WebSocketRoute("/b", Echo)])

    assert app.url_path_for("Echo") == "/a"


async def test_urls_are_made_from_names() -> None:
    """By the application, by a connection and by a request; through mounts too."""
    seen: list[str] = []

    class Urls(WebSocketConsumer):
        async def on_connect(self, id: int) -> None:  # noqa: A002
            seen.append(str(self.url_for("mounted:room", id=id + 1)))
            seen.append(str(self.url_for("page")))

    async def page(request: Request) -> Response:
        return PlainTextResponse(str(request.url_for("mounted:room", id=1)))

    app = App(
        [
            Mount(
                "/m",
                routes=[WebSocketRoute("/{id}", Urls, name="room")],
                name="mounted",
            ),
            Route("/page", page, name="page"),
        ]
    )

    assert app.url_path_for("mounted:room", id="5") == "/m/5"
    with pytest.raises(NoMatchFound):
        app.url_path_for("room", id="5")
    async with TestClient(app, base_url="wss://example.org") as client:
        async with client.connect("/m/5"):
            pass
        response = await client.request("GET", "/page")
    assert response.text == "wss://example.org/m/1"
    assert seen == ["wss://example.org/m/6", "https://example.org/page"]


# -- whole tables ---------------------------------------------------------------------


@pytest.mark.parametrize("entry", [Echo, ("/x", Echo), "/x"])
def test_a_table_holds_routes(entry: Any) -> None:
    """A class, a pair or a text in it is refused, with what to write."""
    with pytest.raises(ConfigurationError) as caught:
        App([entry])

    assert str(caught.value) == (
        f"a URL table must hold routes, got {entry!r}; "
        "write WebSocketRoute(path, endpoint)"
    )


def test_a_route_of_starlette_s_is_checked_in_our_table() -> None:
    """A consumer in Starlette's own route must fit the path too, prefixes included."""
    lost = StarletteWebSocketRoute("/x", Shop)
    with pytest.raises(ConfigurationError, match="route '/x' to Shop asks for 'shop'"):
        App([lost])

    App([Mount("/{shop}", routes=[lost])])
    App([Host("{shop}.example.org", StarletteRouter([lost]))])


async def test_a_route_of_starlette_s_is_not_checked_in_starlette_s_table() -> None:
    """Then the developer is told when a client comes, who gets 500 and not 400."""
    app = Starlette(routes=[StarletteWebSocketRoute("/x", Shop)])

    async with TestClient(app) as client:
        with pytest.raises(ConfigurationError, match="must be in the route's path"):
            async with client.connect("/x"):
                raise AssertionError


def test_the_consumers_of_a_table() -> None:
    """Those of mounted tables are found, but not those of another `App`."""

    class Other(Echo): ...

    table = [
        Route("/page", page),
        WebSocketRoute("/a", Echo, middleware=[Middleware(Tag, word="x")]),
        Mount("/{shop}", routes=[StarletteWebSocketRoute("/b", Shop)]),
        Host("example.org", StarletteRouter([WebSocketRoute("/c", Words)])),
        Mount("/app", app=App([WebSocketRoute("/d", Other)])),
        StarletteWebSocketRoute("/e", view),
    ]
    check_table(table)

    assert consumers_in(table) == [Echo, Shop, Words]


async def test_a_host_has_a_table_of_its_own() -> None:
    """A sub-domain's part may be a parameter."""
    table = StarletteRouter([WebSocketRoute("/x", Shop, mounted_at=None)])
    app = App([Host("{shop}.example.org", table, name="shops")])

    headers = {"host": "7.example.org"}
    assert await first_message(app, "/x", headers=headers) == "7 1"
    assert await status(app, "/x", headers={"host": "example.com"}) == 403


async def test_providers_of_the_application_are_found_in_hosts() -> None:
    """Whatever the table's shape, start-up makes what its consumers need."""

    def number() -> int:
        return 42

    class Numbered(WebSocketConsumer):
        async def on_connect(
            self, it: Annotated[int, Provide(number, scope="app")]
        ) -> None:
            await self.send(str(it))

    table = StarletteRouter([WebSocketRoute("/x", Numbered)])
    app = App([Host("a.org", table)])

    assert await first_message(app, "/x", headers={"host": "a.org"}) == "42"
