"""Origins on connections: whose setting counts, how a refusal is told, on servers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.routing import WebSocketRoute as StarletteWebSocketRoute

from consumers import App, ConfigurationError, WebSocketConsumer, WebSocketRoute
from consumers.handshake import origins as module
from consumers.handshake.origins import Origins
from consumers.seldom import Seldom
from consumers.server.options import Options
from consumers.server.processes import Worker
from consumers.testing import Refused, TestClient
from consumers_tests.server.live import (
    KINDS,
    PATIENCE,
    Kind,
    Process,
    Server,
    handshake,
    in_thread,
)
from consumers_tests.server.project import Project

EVIL = {"origin": "https://evil.example"}
SHOP = {"origin": "https://shop.example"}
OWN = {"origin": "http://testserver"}


DETAIL = "pages of this origin may not connect"


class Echo(WebSocketConsumer):
    async def on_receive(self, message: str) -> None:
        await self.send(message)


class Open(Echo):
    origins = "*"


class Shop(Echo):
    origins: ClassVar[Any] = ("https://shop.example",)


class Again(Shop):
    origins = None


async def view(ws: Any) -> None:
    async for message in ws:
        await ws.send(message)


async def lets_in(app: Any, path: str, headers: dict[str, str]) -> bool:
    """Tell whether an application lets a connection in; refused, it is with 403."""
    async with TestClient(app) as client:
        try:
            async with client.connect(path, headers=headers) as ws:
                await ws.send("tea")
                assert await ws.receive() == "tea"
        except Refused as refusal:
            return (refusal.status, refusal.body) != (403, DETAIL.encode())
    return True


TABLE = [
    WebSocketRoute("/echo", Echo),
    WebSocketRoute("/open", Open),
    WebSocketRoute("/shop", Shop),
    WebSocketRoute("/again", Again),
    WebSocketRoute("/below", type("Below", (Shop,), {})),
    WebSocketRoute("/route", Shop, origins=["https://evil.example"]),
    WebSocketRoute("/view", view),
    WebSocketRoute("/open-view", view, origins="*"),
]
LETS_IN = {
    "/echo": [OWN],
    "/open": [OWN, SHOP, EVIL],
    "/shop": [SHOP],
    "/again": [OWN],
    "/below": [SHOP],
    "/route": [EVIL],
    "/view": [OWN],
    "/open-view": [OWN, SHOP, EVIL],
}


@pytest.mark.parametrize("path", LETS_IN)
async def test_the_nearest_setting_counts(path: str) -> None:
    """A route's counts, else its class's, else the application's, else same origin."""
    for headers in (OWN, SHOP, EVIL):
        expected = headers in LETS_IN[path]
        assert await lets_in(App(TABLE), path, headers) is expected
    assert await lets_in(App(TABLE), path, {})


async def test_the_applications_setting_is_for_those_without() -> None:
    """App(origins=...) is for consumers and views that have no setting of their own."""
    app = App(TABLE, origins=["self", "https://evil.example"])

    for path in ("/echo", "/view", "/again"):
        assert await lets_in(app, path, EVIL)
        assert await lets_in(app, path, OWN)
        assert not await lets_in(app, path, SHOP)
    assert not await lets_in(app, "/shop", EVIL)


@pytest.mark.parametrize("kind", [Starlette, FastAPI])
async def test_in_other_tables_it_is_the_same_origin(kind: Any) -> None:
    """A consumer needs no App to be safe, and a mounted App has its own setting."""
    table: list[Any] = [
        StarletteWebSocketRoute("/echo", Echo),
        StarletteWebSocketRoute("/shop", Shop),
        Mount("/app", App(TABLE, origins="*")),
    ]
    app = kind(routes=table)

    assert await lets_in(app, "/echo", OWN)
    assert not await lets_in(app, "/echo", EVIL)
    assert await lets_in(app, "/shop", SHOP)
    assert not await lets_in(app, "/shop", OWN)
    assert await lets_in(app, "/app/echo", EVIL)


async def test_hosts_are_the_applications() -> None:
    """What names no host of the application's is refused, a program as well."""
    app = App(TABLE, hosts=["testserver"])
    async with TestClient(app) as client:
        for path in ("/echo", "/open"):
            with pytest.raises(Refused, match="this host is not served here"):
                async with client.connect(path, headers={"host": "evil.example"}):
                    pass

    assert await lets_in(app, "/echo", OWN)


def test_a_mistake_is_told_when_the_class_is_made() -> None:
    """The error of a class, a route or an application names it."""
    with pytest.raises(ConfigurationError, match="Wrong: an origin must be"):
        type("Wrong", (Echo,), {"origins": ["shop.example"]})
    with pytest.raises(ConfigurationError, match="Echo: an origin must be"):
        WebSocketRoute("/", Echo, origins=["shop.example"])
    with pytest.raises(ConfigurationError, match="route '/': origins must be a list"):
        WebSocketRoute("/", Echo, origins="https://shop.example")
    with pytest.raises(ConfigurationError, match="App: an origin must be"):
        App(origins=["shop.example"])


# -- how a refusal is told -----------------------------------------------------------


async def test_scripts_can_read_it() -> None:
    """Where refusals are closes, and over consumers.v1, it is 4403 with the text."""
    app = App([WebSocketRoute("/close", Echo, refusals="close"), *TABLE])
    async with TestClient(app) as client:
        for path, offers in (("/close", []), ("/echo", ["consumers.v1+json"])):
            async with client.connect(path, headers=EVIL, subprotocols=offers) as ws:
                if offers:
                    assert (await ws.receive_json())["code"] == 4403
                close = await ws.receive_close()
            assert (close.code, close.reason) == (4403, DETAIL)


@pytest.fixture
def lines(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], list[str]]:
    """What is logged of refusals, as if none had been logged before."""
    logger = logging.getLogger("consumers")
    new = {reason: Seldom(logger) for reason in ("origin", "host")}
    monkeypatch.setattr(module, "_SELDOM", new)

    return lambda: [each.getMessage() for each in caplog.records]


@pytest.mark.parametrize(
    ("path", "headers", "line"),
    [
        (
            "/echo",
            EVIL,
            (
                "connection from origin 'https://evil.example' to host 'testserver' "
                "refused; to allow it: "
                'App([...], origins=["self", "https://evil.example"])'
            ),
        ),
        (
            "/shop",
            EVIL,
            (
                "connection from origin 'https://evil.example' to host 'testserver' "
                "refused; to allow it: "
                'origins = [..., "https://evil.example"] in class Shop'
            ),
        ),
        (
            "/echo",
            {"origin": "null", "host": "a\tb"},
            (
                "connection from origin 'null' to host 'a\\tb' refused; to allow it: "
                'App([...], origins=["self", "null"])'
            ),
        ),
        (
            "/echo",
            {"origin": "a\x1b[1m" + 200 * "x"},
            f"connection from malformed origin 'a\\x1b[1m{70 * 'x'}… refused",
        ),
    ],
)
async def test_one_line_says_how_to_allow_it(
    lines: Callable[[], list[str]], path: str, headers: dict[str, str], line: str
) -> None:
    """What a stranger wrote is in it, but shortened and on one line."""
    assert not await lets_in(App(TABLE), path, headers)
    assert not await lets_in(App(TABLE), path, headers)

    assert lines() == [line]


async def test_the_line_works(lines: Callable[[], list[str]]) -> None:
    """Written as the line says, the application lets the page in, and its own still."""
    app = App(TABLE, origins=["self", "https://evil.example"])

    assert await lets_in(app, "/echo", EVIL)
    assert await lets_in(app, "/echo", OWN)
    assert lines() == []


@pytest.mark.parametrize(
    ("host", "line"),
    [
        (
            "Evil.example:80",
            (
                "connection to host 'evil.example' refused; to allow it: "
                'App([...], hosts=[..., "evil.example"])'
            ),
        ),
        ("a b", "connection without one valid Host refused, got 'a b'"),
    ],
)
async def test_a_refused_host_has_a_line_too(
    lines: Callable[[], list[str]], host: str, line: str
) -> None:
    """And that is the one which would serve it."""
    async with TestClient(App(TABLE, hosts=["testserver"])) as client:
        with pytest.raises(Refused):
            async with client.connect("/echo", headers={"host": host}):
                pass

    assert lines() == [line]


# -- real servers --------------------------------------------------------------------


BACKENDS = pytest.mark.parametrize("kind", [KINDS["own"], KINDS["trio"]])


def status(server: Server, path: str = "/echo", **headers: str) -> int:
    """Return the status that a handshake of these headers is answered with."""
    with server.raw(handshake(path, **headers)) as sock:
        answer = b""
        while b"\r\n" not in answer and (more := sock.recv(4096)):
            answer += more
    return int(answer.split(b" ", 2)[1])


@BACKENDS
def test_a_server_passes_on_what_was_sent(kind: Kind) -> None:
    """The headers that decide are those of the client, on each backend."""
    with in_thread(App(TABLE), kind) as server:
        assert status(server, Host="a.example:1", Origin="http://a.example:1") == 101
        assert status(server, Host="a.example:1", Origin="http://a.example") == 403
        assert status(server, Host="a.example", Origin="null") == 403
        assert status(server, Host="a.example", Origin="http://b.example") == 403
        assert status(server, Host="a.example") == 101
        forwarded = {"Host": "a.example", "X_Forwarded_Host": "b.example"}
        assert status(server, Origin="http://b.example", **forwarded) == 403
        twice = "http://a.example\r\nOrigin: http://a.example"
        assert status(server, Host="a.example", Origin=twice) in (400, 403)
        hosts = "a.example\r\nHost: b.example"
        assert status(server, Host=hosts, Origin="http://a.example") in (400, 403)
        assert status(server, path="/open", Host="a.example", Origin="null") == 101


@BACKENDS
def test_behind_a_proxy_that_ends_tls(kind: Kind) -> None:
    """A trusted proxy's X-Forwarded-Proto makes a page without TLS another origin."""
    page = {"Host": "a.example", "Origin": "http://a.example"}
    secure_page = {"Host": "a.example", "Origin": "https://a.example"}
    with in_thread(App(TABLE), kind) as server:
        assert status(server, **secure_page) == 101
        assert status(server, X_Forwarded_Proto="https", **secure_page) == 101
        assert status(server, X_Forwarded_Proto="https", **page) == 403
        assert status(server, X_Forwarded_Proto="http", **page) == 101
    with in_thread(App(TABLE), kind, forwarded_allow_ips="192.0.2.1") as server:
        assert status(server, X_Forwarded_Proto="https", **secure_page) == 101
        assert status(server, X_Forwarded_Proto="https", **page) == 101


RELOADED = """
from consumers import App, WebSocketConsumer, WebSocketRoute

class Listening(WebSocketConsumer):
    pass

app = App([WebSocketRoute("/echo", Listening)])
"""


def test_a_front_end_in_development(tmp_path: Path) -> None:
    """Under --reload a page of this machine connects from any port, and no other."""
    Project(tmp_path).write("listening.py", RELOADED)
    arguments = ("listening:app", "--port", "0", "--reload")
    with Process(*arguments, cwd=tmp_path) as process:
        server = process.server()
        assert status(server, Origin="http://localhost:5173") == 101
        assert status(server, Origin="http://evil.example:5173") == 403

        process.terminate()

        assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize("reload", [True, False])
def test_a_worker_knows_whether_it_is_reloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reload: bool
) -> None:
    """Before it loads the application; this one can't be loaded."""
    monkeypatch.setattr(Origins, "development", not reload)
    worker = Worker("none:app", Options(reload=reload, app_dir=str(tmp_path)))

    with Project(tmp_path).undone(), pytest.raises(SystemExit):
        worker()

    assert Origins.development is reload
