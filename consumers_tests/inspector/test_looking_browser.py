"""The inspector's page in a browser."""

import json
from collections.abc import Iterator

import pytest
from howto import inspected
from playwright.sync_api import Page, expect
from websockets.sync.client import connect

from consumers.testing import LiveServer
from consumers_tests.browser import chromium, needs_chromium

pytestmark = needs_chromium

PATIENCE = 20


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with LiveServer(inspected.app) as server:
        yield server


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 390, "height": 844})
        yield page


def test_staff_looks_and_acts(server: LiveServer, page: Page) -> None:
    """Who may look sees what goes on, as text, and disconnects somebody."""
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("dialog", lambda dialog: dialog.accept())
    evil = "<img src=x onerror=alert(1)>"
    with connect(server.url("/tables/1?token=%3Cb%3Eeve"), proxy=None) as eve:
        page.goto(server.http_url("/inspector?token=staff"))
        expect(page.locator("#state")).to_have_text("live")
        expect(page.locator("#rows")).to_contain_text("<b>eve")
        page.locator("#rows button").click()
        expect(page.get_by_text("Frames are shown from now on.")).to_be_visible()
        eve.send(json.dumps({"type": "order", "item": evil, "card_token": "hidden"}))
        frames = page.locator(".frames li")
        expect(frames).to_have_count(2)
        expect(frames.first).to_contain_text('"card_token":"•••"')
        expect(frames.first).to_contain_text(evil)
        page.locator("#groups button").click()
        expect(page.locator(".here")).to_have_text("<b>eve")
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width == 390
        page.get_by_role("button", name="Disconnect").click()
        expect(page.locator("#ends .log")).to_contain_text("1008")
        expect(page.locator("#nobody")).to_be_visible()
    with connect(server.url("/tables/2?token=eve"), proxy=None) as eve:
        eve.send('{"type": "stock", "item": "soup"}')
        error = page.locator("#failures summary")
        expect(error).to_contain_text("KeyError: 'soup' in Table")
        error.click()
        expect(page.locator("#failures pre")).to_contain_text("in stock")
    assert faults == []


def test_rates_are_shown(server: LiveServer, page: Page) -> None:
    """The page tells how many messages come and go in a second, and by whom."""
    page.goto(server.http_url("/inspector?token=staff"))
    figures = {
        name: page.locator("#figures li", has_text=f"{name} per second").locator(
            ".value"
        )
        for name in ("Received", "Sent")
    }
    with connect(server.url("/tables/3?token=eve"), proxy=None) as eve:
        for figure in figures.values():
            expect(figure).to_have_text("0")
        sent = 0
        while any(figure.inner_text() == "0" for figure in figures.values()):
            eve.send('{"type": "order", "item": "tea"}')
            assert json.loads(eve.recv(timeout=PATIENCE))["item"] == "tea"
            sent += 1
            page.wait_for_timeout(50)
            assert sent < PATIENCE * 20
        for figure in figures.values():
            expect(figure).to_have_text("0")
        for name in ("in", "out"):
            value = page.locator(f'#rows [data-name="{name}"]')
            expect(value).to_have_text(f"{sent}")


def test_others_are_told_that_they_may_not(server: LiveServer, page: Page) -> None:
    """The page says so, and does not try again."""
    page.goto(server.http_url("/inspector?token=eve"))

    expect(page.locator("#state")).to_contain_text("you may not look")
    expect(page.locator("#figures li")).to_have_count(0)
