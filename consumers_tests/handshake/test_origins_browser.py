"""Origins in a browser, which says by itself whose page it shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from consumers import App, WebSocketConsumer, WebSocketRoute
from consumers.testing import LiveServer
from consumers_tests.browser import chromium, needs_chromium

pytestmark = needs_chromium

CONNECT = """
    window.outcome = (url) => new Promise((resolve) => {
        const socket = new WebSocket(url)
        socket.onmessage = ({ data }) => resolve(data)
        socket.onclose = ({ code, reason }) => resolve(`${code} ${reason}`.trim())
    })
"""


class Greeting(WebSocketConsumer):
    async def on_connect(self) -> None:
        await self.send(f"hello, {self.cookies.get('session', 'stranger')}")


async def page(request: Request) -> Response:
    response = HTMLResponse(f"<!doctype html><script>{CONNECT}</script>")
    response.set_cookie("session", "ada")
    return response


app = App(
    [
        Route("/", page),
        WebSocketRoute("/default", Greeting),
        WebSocketRoute("/told", Greeting, refusals="close"),
        WebSocketRoute("/off", Greeting, origins="*"),
        WebSocketRoute("/null", Greeting, origins=["null"]),
    ]
)


def port_of(server: LiveServer) -> int:
    return int(server.http_url("").rsplit(":", 1)[1])


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with LiveServer(app) as server:
        yield port_of(server)


@pytest.fixture(scope="module")
def tab() -> Iterator[Page]:
    with chromium() as browser:
        tab = browser.new_page()
        yield tab


def outcome(frame: Any, port: int, path: str) -> Any:
    """Return what a page's script gets of a connection: a message, or a close."""
    return frame.evaluate(f"outcome('ws://127.0.0.1:{port}{path}')")


def test_the_servers_own_page_connects(tab: Page, port: int) -> None:
    """A page of the host and port that it connects to is let in."""
    tab.goto(f"http://127.0.0.1:{port}/")

    assert outcome(tab, port, "/default") == "hello, ada"
    assert outcome(tab, port, "/told") == "hello, ada"
    assert outcome(tab, port, "/null") == "1006"


def test_a_page_of_another_origin_does_not(tab: Page, port: int) -> None:
    """It can't; where nothing is checked it can, with the visitor's cookie."""
    tab.goto(f"http://127.0.0.1:{port}/")
    with LiveServer(app) as elsewhere:
        tab.goto(f"http://127.0.0.1:{port_of(elsewhere)}/")

        assert outcome(tab, port, "/default") == "1006"
        told = outcome(tab, port, "/told")
        assert told == "4403 pages of this origin may not connect"
        assert outcome(tab, port, "/off") == "hello, ada"


def test_a_sandboxed_frame_does_not(tab: Page, port: int) -> None:
    """A frame without an origin can't connect either, unless "null" is listed."""
    tab.goto(f"http://127.0.0.1:{port}/")
    tab.set_content(
        f'<iframe sandbox="allow-scripts" srcdoc="<script>{CONNECT}</script>">'
    )
    tab.wait_for_function("frames.length == 1")
    frame = tab.frames[1]
    frame.wait_for_function("window.outcome")

    assert outcome(frame, port, "/default") == "1006"
    assert outcome(frame, port, "/off").startswith("hello, ")
    assert outcome(frame, port, "/null").startswith("hello, ")
