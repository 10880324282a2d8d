"""The page that shows the consumers of an application: how it is served."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from howto.docs_page import app as workshop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route

import consumers
from consumers import App, ConfigurationError, Router, WebSocketConsumer, WebSocketRoute
from consumers.schema import asyncapi
from consumers.testing import TestClient

HOSTILE = "</script><b id=evil>&amp; <!-- facts --> <!-- <script> <!-- nonce -->"


class Quiet(WebSocketConsumer):
    async def on_connect(self) -> None: ...


class Elements(HTMLParser):
    """The elements of a document: tags with attributes, scripts with their text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open = tag

    def handle_endtag(self, tag: str) -> None:
        self.open = ""

    def handle_data(self, data: str) -> None:
        if self.open == "script":
            self.scripts.append((self.tags[-1][1], data))

    def json(self, **attributes: str) -> Any:
        (found,) = (
            text for attrs, text in self.scripts if attributes.items() <= attrs.items()
        )
        return json.loads(found)


async def http(request: Request) -> Response:
    return PlainTextResponse("the application's own")


async def get(app: App | Starlette, path: str) -> Any:
    async with TestClient(app) as client:
        return await client.request("GET", path)


async def test_without_docs_there_is_no_page() -> None:
    """Off by default: the path is not there, and nothing was made of the schema."""
    app = App([WebSocketRoute("/quiet", Quiet)])

    assert (await get(app, "/docs")).status == 404
    assert len(app.routes) == 1


async def test_it_is_one_document_that_runs_nothing_but_itself() -> None:
    """No script, style or picture of it is fetched; all carry the policy's nonce."""
    response = await get(workshop, "/docs")
    page = Elements(response.text)
    policy = response.headers["content-security-policy"]
    nonce = re.search(r"script-src 'nonce-([\w-]{20,})'", policy)

    assert response.status == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert nonce is not None
    assert "unsafe" not in policy
    assert {
        "default-src 'none'",
        "connect-src 'self'",
        "frame-ancestors 'none'",
    } <= set(policy.split("; "))
    for tag, attributes in page.tags:
        assert not attributes.keys() & {"src", "style"}
        assert not any(name.startswith("on") for name in attributes)
        if tag in ("script", "style"):
            assert attributes["nonce"] == nonce[1]
        if tag == "link":
            assert str(attributes["href"]).startswith("data:")
    assert response.text.count("<!--") == 0
    imports = page.json(type="importmap")["imports"]
    assert {"consumers", "page/form"} <= imports.keys()
    assert all(url.startswith("data:text/javascript;") for url in imports.values())


async def test_each_answer_has_a_nonce_of_its_own() -> None:
    """Whoever reads one page can't tell what the next one will run."""
    policies = [
        (await get(workshop, "/docs")).headers["content-security-policy"]
        for _ in range(2)
    ]

    assert policies[0] != policies[1]


async def test_the_document_is_beside_it() -> None:
    """`/docs/asyncapi.json` is what `asyncapi` returns, and what the page shows."""
    response = await get(workshop, "/docs/asyncapi.json")
    page = Elements((await get(workshop, "/docs")).text)

    assert response.headers["content-type"] == "application/json"
    assert response.json() == asyncapi(workshop)
    assert page.json(id="facts")["document"] == asyncapi(workshop)
    assert page.json(id="facts")["address"] == "/docs/asyncapi.json"


async def test_a_docstring_cannot_break_out_of_the_page() -> None:
    """What an application says of itself arrives as it is, and makes no element."""
    hostile = type("Hostile", (Quiet,), {"__doc__": HOSTILE})
    app = App([WebSocketRoute("/hostile", hostile)], docs="/docs")

    page = Elements((await get(app, "/docs")).text)

    channel = page.json(id="facts")["document"]["channels"]["Hostile"]
    assert channel["summary"] == HOSTILE
    assert "b" not in {tag for tag, _ in page.tags}
    usual = Elements((await get(workshop, "/docs")).text)
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in usual.tags]


async def test_it_knows_what_it_is_mounted_under() -> None:
    """In another application, its sockets and its document are below the mount."""
    app = App([WebSocketRoute("/quiet", Quiet)], docs="/docs")
    outer = Starlette(routes=[Mount("/ws", app)])

    facts = Elements((await get(outer, "/ws/docs")).text).json(id="facts")

    assert facts["root"] == "/ws"
    assert facts["address"] == "/ws/docs/asyncapi.json"


async def test_it_shows_routes_that_came_later() -> None:
    """The document is of the moment in which it is asked for."""
    app = App(docs="/docs")
    assert (await get(app, "/docs/asyncapi.json")).json()["channels"] == {}

    app.websocket_route("/quiet")(Quiet)

    channels = (await get(app, "/docs/asyncapi.json")).json()["channels"]
    assert channels.keys() == {"Quiet"}


@pytest.mark.parametrize("path", ["docs", "/", "", "/docs/", "/{name}", 5])
def test_the_path_must_be_one(path: Any) -> None:
    """Another value is told when the application is made."""
    with pytest.raises(ConfigurationError) as caught:
        App(docs=path)

    assert str(caught.value) == (
        "docs must be the path of a page, beginning with '/', without braces and "
        f"without a slash at its end, got {path!r}; write docs='/docs'"
    )


@pytest.mark.parametrize(
    "route",
    [
        Route("/docs", http),
        Route("/docs/asyncapi.json", http),
        Mount("/docs", routes=[Route("/", http)]),
    ],
    ids=lambda route: route.path,
)
def test_a_route_behind_the_page_is_told(route: BaseRoute) -> None:
    """At start-up, and when it is added later."""
    told = re.escape(
        f"docs must have a path that no route has, got '/docs' and the route "
        f"{route.path!r}; write another docs='/...'"  # type: ignore[attr-defined]
    )
    with pytest.raises(ConfigurationError, match=told):
        App([route], docs="/docs")

    app = App(docs="/docs")
    with pytest.raises(ConfigurationError, match=told):
        app.include_router(Router([route]))


async def test_the_page_comes_before_what_takes_everything() -> None:
    """A catch-all, a mount at the root and a socket at the same path may be there."""
    app = App(
        [WebSocketRoute("/docs", Quiet), Route("/{path:path}", http)], docs="/docs"
    )
    app.mount("/", Starlette(routes=[Route("/{path:path}", http)]))

    assert (await get(app, "/docs")).text.startswith("<!doctype html>")
    assert (await get(app, "/docs/more")).text == "the application's own"
    async with TestClient(app) as client, client.connect("/docs") as ws:
        await ws.close()


def test_scripts_import_what_the_page_has() -> None:
    """Each import of the page's scripts names another of them, or the client."""
    assets = Path(consumers.__file__).parent / "schema" / "assets"
    names = {f"page/{path.stem}" for path in assets.glob("*.js")} | {"consumers"}

    for path in assets.glob("*.js"):
        imported = set(re.findall(r'from "([^"]+)"', path.read_text()))
        assert imported <= names, path.name
        assert len(path.read_text().splitlines()) <= 400
