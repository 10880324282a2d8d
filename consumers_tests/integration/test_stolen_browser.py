"""A stolen cookie in a browser: the thief's page is closed with its owner's."""

from __future__ import annotations

from howto.server_sessions import Inbox, authenticate, log_in, log_out
from playwright.sync_api import Browser, Page
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from consumers import App, Groups, WebSocketRoute
from consumers.testing import LiveServer
from consumers_tests.browser import chromium, needs_chromium
from consumers_tests.valkey import Valkey

pytestmark = needs_chromium

PAGE = """<!doctype html><script>
    const open = () => new Promise((resolve) => {
        window.socket = new WebSocket(`ws://${location.host}/inbox`)
        window.end = new Promise((ended) => { socket.onclose = ended })
            .then(({ code }) => code)
        socket.onmessage = ({ data }) => resolve(data)
        end.then(resolve)
    })
    const soon = (promise) => new Promise((resolve, reject) => {
        promise.then(resolve)
        setTimeout(reject, 10000, "nothing happened")
    })
</script>"""


async def page(_request: Request) -> Response:
    return HTMLResponse(PAGE)


def process(broker: Valkey) -> LiveServer:
    """Serve what the how-to shows, and a page, as one process of several."""
    routes = [
        Route("/", page),
        Route("/log-in", log_in, methods=["POST"]),
        Route("/log-out", log_out, methods=["POST"]),
        WebSocketRoute("/inbox", Inbox),
    ]
    app = App(routes, groups=Groups(broker.url), authenticate=authenticate)
    return LiveServer(app, ready_timeout=10, stop_timeout=10, graceful_timeout=1)


def visitor(browser: Browser, server: LiveServer) -> Page:
    """Open the page as somebody who shares no cookies with the others."""
    tab = browser.new_context().new_page()
    tab.goto(server.http_url("/"))
    return tab


def log_in_as(tab: Page, name: str) -> None:
    tab.evaluate(f"fetch('/log-in?name={name}', {{ method: 'POST' }})")


def test_a_stolen_cookie_ends_with_its_session(valkey: Valkey) -> None:
    """A logout closes the owner, and a thief at another process; the phone stays."""
    with process(valkey) as here, process(valkey) as there, chromium() as browser:
        owner, phone = visitor(browser, here), visitor(browser, there)
        thief = visitor(browser, there)
        log_in_as(owner, "ann")
        log_in_as(phone, "ann")
        assert thief.evaluate("soon(open())") == 1006
        [cookie] = owner.context.cookies()
        thief.context.add_cookies(
            [{"name": "session", "value": cookie["value"], "url": thief.url}]
        )
        for tab in (owner, thief, phone):
            assert tab.evaluate("soon(open())") == "Hello, ann!"

        owner.evaluate("fetch('/log-out', { method: 'POST' })")

        for tab in (owner, thief):
            assert tab.evaluate("soon(end)") == 4401
            assert tab.context.cookies()[0]["value"] == cookie["value"]
            assert tab.evaluate("soon(open())") == 1006
        assert phone.evaluate("socket.readyState") == 1  # OPEN
        assert phone.evaluate("soon(open())") == "Hello, ann!"
