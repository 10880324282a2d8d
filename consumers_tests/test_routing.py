"""The URL table: patterns, names, prefixes, and what is refused when it is made."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

import pytest
from msgspec import Meta
from starlette.convertors import CONVERTOR_TYPES, Convertor, register_url_convertor
from starlette.middleware import Middleware
from starlette.routing import Match
from starlette.routing import WebSocketRoute as StarletteWebSocketRoute
from starlette.types import Scope

from consumers import (
    App,
    ConfigurationError,
    Router,
    WebSocket,
    WebSocketConsumer,
    WebSocketRoute,
)
from consumers.testing import Refused, TestClient
from consumers_tests.routed import (
    Echo,
    Params,
    Shop,
    Tag,
    Words,
    first_message,
    status,
    view,
)


def told(path: str, endpoint: Any = Echo, **options: Any) -> str:
    """Return why a route can't be made."""
    with pytest.raises(ConfigurationError) as caught:
        WebSocketRoute(path, endpoint, **options)
    return str(caught.value)


# -- patterns -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "path", "params"),
    [
        ("/{name}", "/a-b", {"name": "a-b"}),
        ("/{name:str}", "/a%20b", {"name": "a b"}),
        ("/{n:int}", "/7", {"n": 7}),
        ("/{n:float}", "/7.5", {"n": 7.5}),
        ("/{rest:path}", "/a/b/", {"rest": "a/b/"}),
        (
            "/{id:uuid}",
            "/12345678-1234-5678-1234-567812345678",
            {"id": UUID("12345678123456781234567812345678")},
        ),
        ("/{a}/x/{b}", "/1/x/2", {"a": "1", "b": "2"}),
        ("/p.q", "/p.q", {}),
        ("missing-slash", "/missing-slash", {}),
        ("/x/{}", "/x/y/z", {}),
        ("{}", "/anything/at/all", {}),
    ],
)
async def test_a_pattern_matches(
    pattern: str, path: str, params: dict[str, object]
) -> None:
    """Patterns and convertors are Starlette's; `{}` matches and tells nothing."""
    app = App([WebSocketRoute(pattern, Params)])

    assert await first_message(app, path) == repr(params)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/{name}", "/a/b"),
        ("/{n:int}", "/x"),
        ("/p.q", "/pxq"),
        ("/a", "/a/"),
        ("/a", "/A"),
    ],
)
async def test_a_pattern_does_not_match(pattern: str, path: str) -> None:
    """Who knocks where nothing is gets 403."""
    assert await status(App([WebSocketRoute(pattern, Params)]), path) == 403


@pytest.mark.parametrize("kind", ["websocket", "http"])
@pytest.mark.parametrize("root_path", [None, "", "/below"])
@pytest.mark.parametrize("path", ["/x.y", "/below/x.y", "/xzy", "/x.y/", "/x.y\n"])
def test_a_path_without_parameters_matches_as_in_starlette(
    kind: str, root_path: str | None, path: str
) -> None:
    """Although it is compared, and not looked for by a pattern."""
    scope: Scope = {"type": kind, "path": path, "path_params": {"shop": 7}}
    if root_path is not None:
        scope["root_path"] = root_path
    ours, starlette = (
        made("/x.y", Echo, name="x").matches(scope)
        for made in (WebSocketRoute, StarletteWebSocketRoute)
    )

    assert ours == (starlette if path != "/x.y\n" else (Match.NONE, {}))


async def test_the_first_match_wins() -> None:
    """The order of the table decides."""
    app = App([WebSocketRoute("/{name}", Params), WebSocketRoute("/x", Echo)])

    assert await first_message(app, "/x") == "{'name': 'x'}"


@dataclass
class Version:
    major: int
    minor: int


class VersionConvertor(Convertor[Version]):
    regex = r"[0-9]+\.[0-9]+"

    def convert(self, value: str) -> Version:
        major, minor = value.split(".")
        return Version(int(major), int(minor))

    def to_string(self, value: Version) -> str:
        return f"{value.major}.{value.minor}"


@pytest.fixture
def version_convertor() -> Iterator[None]:
    """Register a convertor for a test."""
    register_url_convertor("version", VersionConvertor())
    yield
    del CONVERTOR_TYPES["version"]


@pytest.mark.usefixtures("version_convertor")
async def test_a_convertor_of_one_s_own() -> None:
    """What it makes is passed on as it is, and its reverse makes the path."""

    class Api(WebSocketConsumer):
        async def on_connect(self, version: Version) -> None:
            await self.send(repr(version))

    app = App([WebSocketRoute("/v{version:version}", Api, name="api")])

    assert await first_message(app, "/v1.2") == "Version(major=1, minor=2)"
    assert app.url_path_for("api", version=Version(3, 4)) == "/v3.4"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (
            "/{id:date}",
            (
                "unknown path convertor 'date' on route parameter 'id'; available: "
                "str, path, int, float, uuid"
            ),
        ),
        (
            "/{1}",
            (
                "a path parameter must be {name} or {name:convertor}, got '{1}' in "
                "'/{1}'"
            ),
        ),
        (
            "/{a}/{a}",
            "a path must name each parameter once, got '/{a}/{a}'; rename one",
        ),
    ],
)
def test_mistakes_in_a_pattern(path: str, text: str) -> None:
    """They are told when the route is made."""
    assert told(path) == text


# -- endpoints ------------------------------------------------------------------------


def test_a_parameter_must_be_in_the_path() -> None:
    """A class and a view are checked against the path of their route."""
    way_out = (
        "; add {shop} to it, or give the parameter a default to take it from the "
        "query, or name in mounted_at= the prefix that has it"
    )

    async def strict(ws: WebSocket, shop: int) -> None: ...

    for endpoint, name in ((Shop, "Shop"), (strict, "strict")):
        assert told("/x", endpoint) == (
            f"route '/x' to {name} asks for 'shop', which must be in the path, got "
            f"'/x'{way_out}"
        )


def test_a_prefix_may_have_the_parameter() -> None:
    """`mounted_at` tells of it; `None` says that it is not known yet."""
    WebSocketRoute("/x", Shop, mounted_at="/{shop}")
    WebSocketRoute("/x", Shop, mounted_at=None)

    assert told("/x", Shop, mounted_at="/{city}").startswith("route '/x' to Shop asks")


@pytest.mark.parametrize(
    ("endpoint", "text"),
    [
        (
            dict,
            (
                "route '/x': an endpoint must be a subclass of WebSocketConsumer or an "
                "async function, got the class dict; write class "
                "dict(WebSocketConsumer)"
            ),
        ),
        (
            print,
            (
                "route '/x': view 'print' must be asynchronous, got <built-in function "
                "print>; use 'async def' instead of 'def'"
            ),
        ),
        (
            None,
            (
                "route '/x': view 'None' must be asynchronous, got None; use 'async "
                "def' instead of 'def'"
            ),
        ),
    ],
)
def test_an_endpoint_is_a_class_or_an_async_function(endpoint: Any, text: str) -> None:
    """Anything else is told when the route is made."""
    assert told("/x", endpoint) == text


def test_a_view_s_annotations_must_be_there() -> None:
    """A name that nothing has is told when the route is made."""

    async def lost(ws: WebSocket, a: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821

    assert told("/x", lost).endswith(
        "every annotation must name something that is there when the view is routed; "
        "name 'Nowhere' is not defined"
    )


def test_a_setting_of_a_route_is_checked() -> None:
    """By name and by value, for classes and views alike."""
    assert told("/x", view, value_typ="json").endswith("did you mean 'value_type'?")
    assert told("/x", Echo, refusals=1) == (
        "route '/x': refusals must be 'http' or 'close', got 1"
    )


async def test_settings_of_a_route_are_the_route_s_alone() -> None:
    """The class itself, and its other routes, stay as they are."""
    route = WebSocketRoute("/json", Echo, send_type="json", receive_type="text")
    app = App([route, WebSocketRoute("/text", Echo)])

    assert issubclass(route.consumer, Echo)
    assert route.consumer.__qualname__ == Echo.__qualname__
    assert route.consumer.__module__ == Echo.__module__
    assert Echo.send_type is None
    async with TestClient(app) as client:
        for path, reply in (("/json", '"hi"'), ("/text", "hi")):
            async with client.connect(path) as ws:
                await ws.send("hi")
                assert await ws.receive() == reply


async def test_parameters_of_a_handshake() -> None:
    """Path and query are bound once, for both hooks; all errors are in the answer."""

    class Both(WebSocketConsumer):
        async def on_handshake(self, shop: int, page: int = 1) -> None:
            self.seen = shop, page

        async def on_connect(
            self,
            page: int = 1,
            tags: Annotated[tuple[str, ...], Meta(max_length=2)] = (),
        ) -> None:
            await self.send(f"{self.seen} {page} {tags}")

    app = App([WebSocketRoute("/{shop}", Both)])

    assert await first_message(app, "/7?page=2&tags=a&tags=b&shop=9") == (
        "(7, 2) 2 ('a', 'b')"
    )
    async with TestClient(app) as client:
        with pytest.raises(Refused) as caught:
            async with client.connect("/x?page=y&tags=1&tags=2&tags=3"):
                raise AssertionError
    assert caught.value.status == 400
    assert caught.value.headers["content-type"] == "application/json"
    assert caught.value.json() == {
        "errors": {
            "shop": "Expected `int`, got `str`",
            "page": "Expected `int`, got `str`",
            "tags": "Expected `array` of length <= 2",
        }
    }


# -- middleware -----------------------------------------------------------------------


async def test_middleware_of_a_route() -> None:
    """It stands around this route alone, the first outermost, below a prefix too."""
    tags = [Middleware(Tag, word="a"), Middleware(Tag, word="b")]
    router = Router([WebSocketRoute("/tagged", Words, middleware=tags)])
    app = App(
        [WebSocketRoute("/x", Words, middleware=tags), WebSocketRoute("/y", Words)]
    )
    app.include_router(router, prefix="/below")

    assert await first_message(app, "/x?word=c") == "a b c"
    assert await first_message(app, "/below/tagged?word=c") == "a b c"
    assert await first_message(app, "/y?word=c") == "c"
