"""The pages of the chat, as tests use them in a browser."""

import json
from typing import Any

from playwright.sync_api import Locator, Page, WebSocketRoute, expect

from consumers_tests.browser import Tabs
from consumers_tests.server.live import Process

__all__ = [
    "MIDDLING",
    "Held",
    "enter",
    "expect_connected",
    "expect_lines",
    "expect_people",
    "field",
    "say",
    "serve",
    "unsent",
]

MIDDLING = "Math.random = () => 0.5"
"""Makes waits half of the longest: 250 ms at first, then 500, 1000, ..."""


def serve(backend: str, port: int = 0) -> Process:
    return Process(
        *("--app-dir", "docs/examples", "--backend", backend, "--port", str(port)),
        *("--no-access-log", "chat.app:app"),
    )


def enter(tabs: Tabs, port: int, room: str, name: str, script: str = "") -> Page:
    """Open a room as somebody who has given this name before."""
    named = f"sessionStorage.setItem('name', {json.dumps(name)}); {script}"
    return tabs.open(port, f"/r/{room}", named)


def expect_connected(*pages: Page) -> None:
    for page in pages:
        expect(page.locator("#state")).to_have_text("Connected")


def say(page: Page, text: str) -> None:
    field(page).fill(text)
    field(page).press("Enter")


def expect_lines(page: Page, *texts: str) -> None:
    expect(page.locator("#log .text")).to_have_text(list(texts))


def unsent(page: Page, state: str) -> Locator:
    return page.locator(f"#unsent [data-state={state}] .text")


class Held:
    """Stands between a page and its server, and keeps back what the server says.

    From the first publication or reply on, for pages that are loaded from now on.
    """

    def __init__(self, page: Page) -> None:
        self._frames: list[dict[str, Any]] = []
        self._holds = True
        self._failure: str | None = None
        self._socket: WebSocketRoute
        page.route_web_socket("**/r/*", self._begin)
        page.reload()

    def _begin(self, socket: WebSocketRoute) -> None:
        self._socket, server = socket, socket.connect_to_server()
        server.on_message(self._take)

    def _take(self, data: str | bytes) -> None:
        frame = json.loads(data)
        begun = self._frames or frame["type"] in ("publication", "reply")
        if self._failure is not None and frame["type"] == "reply":
            self._refuse(frame)
        elif self._holds and begun:
            self._frames.append(frame)
        else:
            self._socket.send(data)

    def _refuse(self, reply: dict[str, Any]) -> None:
        error = {"type": "error", "id": reply["id"], "code": self._failure}
        self._failure = None
        self._socket.send(json.dumps(error))

    def fail(self, code: str) -> None:
        """Say that what was asked has failed, before all that is held.

        The server may have answered already, or will.
        """
        self._failure = code
        for frame in self._frames:
            if frame["type"] == "reply":
                self._frames.remove(frame)
                self._refuse(frame)
                return

    def release(self) -> None:
        """Let through what is held, and hold nothing more."""
        self._holds = False
        for frame in self._frames:
            self._socket.send(json.dumps(frame))

    def forget(self) -> None:
        """Lose what is held, and hold nothing more."""
        self._holds = False


def expect_people(page: Page, *names: str) -> None:
    expect(page.locator("#people .name")).to_have_text(list(names))


def field(page: Page) -> Locator:
    return page.get_by_label("Message", exact=True)
