"""The chat over a broker: two server processes, pages of both, and what breaks."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from websockets.sync.client import ClientConnection

from consumers_tests.browser import Tabs, needs_chromium
from consumers_tests.server.live import PATIENCE, Process
from consumers_tests.valkey import Valkey

SPOKEN = "consumers.v1+json"
SOON = "Math.random = () => 0.2"
"""Lets a page come back soon."""


@pytest.fixture
def valkey(monkeypatch: pytest.MonkeyPatch) -> Iterator[Valkey]:
    """Run a broker for the servers that the test starts."""
    with Valkey(append=True) as server:
        monkeypatch.setenv("GROUPS_URL", server.url)
        yield server


def serve(*options: str, port: int = 0) -> Process:
    return Process(
        *("--app-dir", "docs/examples", "--port", str(port), *options),
        *("--no-access-log", "chat.app:app"),
    )


# -- the documented command ----------------------------------------------------------


@pytest.mark.usefixtures("valkey")
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_two_workers_are_one_chat(backend: str) -> None:
    """With `--workers 2`, whichever worker serves whom, all hear a line once."""
    with serve("--backend", backend, "--workers", "2") as process, ExitStack() as stack:
        server = process.server()
        stack.callback(end, process)
        # That all of them are with one worker comes once in half a million runs.
        pages = [
            stack.enter_context(
                server.connect(f"/r/lobby?name=p{number}", subprotocols=[SPOKEN])
            )
            for number in range(20)
        ]
        for page in pages:
            subscribe = {"type": "subscribe", "id": 1, "group": "chat.lobby"}
            page.send(json.dumps(subscribe))
            assert next_of(page, "subscribed")["recovered"] is False
        say = {"type": "say", "text": "hello", "id": "line-1"}
        for number in (2, 3):
            pages[0].send(json.dumps({"type": "request", "id": number, "message": say}))

        for page in pages:
            assert next_of(page, "publication")["message"]["text"] == "hello"
        for page in pages:
            page.send(json.dumps({"type": "ping"}))
            assert "publication" not in types_until(page, "pong")


def next_of(page: ClientConnection, kind: str) -> dict[str, Any]:
    """Wait for a frame of one type, whatever else comes."""
    while True:
        frame: dict[str, Any] = json.loads(page.recv(PATIENCE))
        if frame["type"] == kind:
            return frame


def types_until(page: ClientConnection, kind: str) -> list[str]:
    """Return the types of all frames up to the first of one type."""
    types: list[str] = []
    while kind not in types:
        types.append(json.loads(page.recv(PATIENCE))["type"])
    return types


def end(process: Process) -> None:
    """Let it end by itself: killed, it would leave its workers."""
    process.terminate()
    process.wait(2 * PATIENCE)


# -- in a browser --------------------------------------------------------------------


def enter(tabs: Tabs, port: int, room: str, name: str) -> Page:
    named = f"sessionStorage.setItem('name', {json.dumps(name)}); {SOON}"
    page = tabs.open(port, f"/r/{room}", named)
    expect(page.locator("#state")).to_have_text("Connected")
    return page


def say(page: Page, *texts: str) -> None:
    for text in texts:
        page.get_by_label("Message", exact=True).fill(text)
        page.get_by_label("Message", exact=True).press("Enter")


def expect_lines(page: Page, texts: list[str]) -> None:
    expect(page.locator("#log .text")).to_have_text(texts)


def lines(page: Page) -> list[str]:
    return page.locator("#log .text").all_inner_texts()


@needs_chromium
def test_a_killed_broker_loses_no_line(valkey: Valkey, room: str, tabs: Tabs) -> None:
    """What is said while the broker is gone appears on both pages, once, in one order.

    Each page is served by another process. Neither notices more than that its own
    lines wait.
    """
    with serve() as one, serve() as other:
        ana = enter(tabs, one.server().port, room, "Ana")
        bo = enter(tabs, other.server().port, room, "Bo")
        for page in (ana, bo):
            expect(page.locator("#people .name")).to_have_text(["Ana", "Bo"])
        say(ana, "before")
        expect_lines(bo, ["before"])

        valkey.kill()
        say(ana, "Ana 1", "Ana 2", "Ana 3")
        say(bo, "Bo 1", "Bo 2", "Bo 3")
        for page in (ana, bo):
            expect(page.locator("#unsent .text")).to_have_count(3)
        valkey.restart()

        for page in (ana, bo):
            expect(page.locator("#log .text")).to_have_count(7)
            expect(page.locator("#unsent .text")).to_have_count(0)
        say(bo, "after")
        for page in (ana, bo):
            expect(page.locator("#log .text").last).to_have_text("after")

        assert lines(ana) == lines(bo)
        for name in ("Ana", "Bo"):
            own = [text for text in lines(ana) if text.startswith(name)]
            assert own == [f"{name} {number}" for number in (1, 2, 3)]
        for page in (ana, bo):
            expect(page.locator(".gap")).to_have_count(0)
            expect(page.locator("#people .name")).to_have_count(2)


@needs_chromium
@pytest.mark.usefixtures("valkey")
def test_a_killed_server_loses_no_line(room: str, tabs: Tabs) -> None:
    """Its page waits, comes back when there is a server again, and has missed nothing.

    What it wrote in the meantime goes out then.
    """
    with serve() as other:
        bo = enter(tabs, other.server().port, room, "Bo")
        with serve() as one:
            port = one.server().port
            ana = enter(tabs, port, room, "Ana")
            say(ana, "before")
            expect_lines(bo, ["before"])
            one.popen.kill()

        expect(ana.locator("#countdown")).to_contain_text("Reconnecting in")
        say(bo, "missed 1", "missed 2")
        say(ana, "written offline")
        said = ["before", "missed 1", "missed 2"]
        expect_lines(bo, said)

        with serve(port=port) as one:
            one.server()
            for page in (ana, bo):
                expect_lines(
                    page, ["before", "missed 1", "missed 2", "written offline"]
                )
                expect(page.locator(".gap")).to_have_count(0)


@needs_chromium
def test_lost_data_is_told(valkey: Valkey, room: str, tabs: Tabs) -> None:
    """When the broker comes back without its data, pages say so and go on."""
    with serve() as one, serve() as other:
        ana = enter(tabs, one.server().port, room, "Ana")
        bo = enter(tabs, other.server().port, room, "Bo")
        say(ana, "before")
        expect_lines(bo, ["before"])

        valkey.wipe()
        valkey.restart()

        for page in (ana, bo):
            expect(page.locator(".gap")).to_have_text(
                "Some messages may be missing here"
            )
            expect(page.locator("#state")).to_have_text("Connected")
        say(bo, "after")
        for page in (ana, bo):
            expect_lines(page, ["before", "after"])
