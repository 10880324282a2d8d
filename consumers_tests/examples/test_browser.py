"""The cursor board, the price feed and the dashboard in a browser."""

import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import cursors.app
import dashboard.app
import prices.app
import pytest
from howto import resume
from playwright.sync_api import BrowserContext, Locator, Page, expect

from consumers import App
from consumers.testing import LiveServer
from consumers_tests.browser import Tabs, chromium, needs_chromium

pytestmark = needs_chromium

SOON = "Math.random = () => 0"
"""Lets a page come back after the shortest wait."""


@pytest.fixture(scope="module")
def context() -> Iterator[BrowserContext]:
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 1000, "height": 800})
        yield context


def port_of(server: LiveServer) -> int:
    return int(server.http_url().split(":")[-1].strip("/"))


def serve(app: App) -> LiveServer:
    return LiveServer(app, stop_timeout=10, graceful_timeout=1)


# -- cursors -------------------------------------------------------------------------


def visit(tabs: Tabs, server: LiveServer, board: str, name: str, hue: int) -> Page:
    look = f"sessionStorage.name = '{name}'; sessionStorage.hue = '{hue}'; {SOON}"
    page = tabs.open(port_of(server), f"/{board}", look)
    expect(page.locator("#count")).not_to_be_empty()
    return page


def pointer(page: Page, name: str) -> Locator:
    return page.locator(".pointer").filter(has_text=name)


def expect_at(page: Page, name: str, x: int, y: int) -> None:
    """Wait until somebody's pointer is drawn at a place."""
    moved = re.compile(rf"translate\({x}(\.\d+)?px, {y}(\.\d+)?px\)")
    expect(pointer(page, name)).to_have_attribute("style", moved)


def test_pointers_are_seen_by_others(tabs: Tabs) -> None:
    """Each sees the other's pointer move, with its name and colour, until it leaves."""
    with serve(cursors.app.app) as server:
        board = uuid4().hex
        ana = visit(tabs, server, board, "Ana", 20)
        bo = visit(tabs, server, board, "Bo", 250)
        expect(ana.locator("#visitors li")).to_have_count(2)

        ana.mouse.move(300, 200)
        ana.mouse.move(500, 400, steps=20)
        expect_at(bo, "Ana", 500, 400)
        expect(pointer(bo, "Ana")).to_have_css("--hue", "20")

        bo.locator("#board").focus()
        bo.keyboard.press("ArrowRight")
        bo.keyboard.press("Shift+ArrowUp")
        expect_at(ana, "Bo", 520, 320)

        ana.get_by_label("Your name").fill("Anna")
        ana.get_by_label("Your name").press("Enter")
        expect(pointer(bo, "Anna")).to_have_count(1)

        ana.close()
        expect(pointer(bo, "Anna")).to_have_count(0)
        expect(bo.locator("#count")).to_have_text("only you")


def test_a_board_comes_back(tabs: Tabs) -> None:
    """When the server does, everybody is where they were."""
    board = uuid4().hex
    with serve(cursors.app.app) as server:
        port = port_of(server)
        ana = visit(tabs, server, board, "Ana", 20)
        bo = visit(tabs, server, board, "Bo", 250)
        ana.mouse.move(500, 400)
        expect_at(bo, "Ana", 500, 400)

    expect(bo.locator("#status")).to_contain_text("Reconnecting in")
    with LiveServer(cursors.app.app, port=port, stop_timeout=10, graceful_timeout=1):
        for page in (ana, bo):
            expect(page.locator("#status")).to_be_hidden()
            expect(page.locator("#visitors li")).to_have_count(2)
        expect_at(bo, "Ana", 500, 400)


def test_a_board_that_can_not_be_is_told(tabs: Tabs) -> None:
    """The page does not try again and again."""
    with serve(cursors.app.app) as server:
        page = tabs.open(port_of(server), "/a.b")
        expect(page.locator("#status")).to_contain_text("can't be used")


# -- prices --------------------------------------------------------------------------


def test_prices_move(tabs: Tabs) -> None:
    """All of them are there, change, and can be found and put in order."""
    with serve(prices.app.app) as server:
        page = tabs.open(port_of(server))
        rows = page.locator("tbody tr")
        expect(rows).to_have_count(200)
        expect(page.locator("#rate")).to_have_text(re.compile(r"^[1-9]\d+$"))
        expect(page.locator("#skipped")).to_have_text("0")
        before = page.locator("td.price").all_inner_texts()
        page.wait_for_function(
            "(before) => before.join() !== "
            "[...document.querySelectorAll('td.price')].map(c => c.innerText).join()",
            arg=before,
        )

        page.keyboard.press("/")
        page.keyboard.type("alder")
        expect(page.locator("tbody tr:visible")).to_have_count(10)
        page.keyboard.type("xx")
        expect(page.get_by_text("No share is called that")).to_be_visible()
        page.get_by_label("Filter").fill("")

        page.get_by_role("button", name="Opening").click()
        openings = [
            float(text.replace(",", ""))
            for text in page.locator("td.opening").all_inner_texts()
        ]
        assert openings == sorted(openings, reverse=True)


# -- the client that resumes ---------------------------------------------------------

FOLLOW = """async (address) => {
    const { follow } = await import("/resume.js");
    window.shown = [];
    window.gaps = 0;
    follow(address, (news) => shown.push(news.headline), () => { gaps += 1; });
}"""


def test_a_plain_client_resumes(tabs: Tabs) -> None:
    """It shows each headline once and in order, through breaks; a gap is told."""
    feed = resume.news("python")
    headlines = iter(f"no. {number}" for number in range(100))

    def publish(count: int) -> None:
        for _ in range(count):
            resume.groups.sync.publish(feed, resume.News(next(headlines)))

    def expect_shown(page: Page, count: int) -> None:
        page.wait_for_function("(count) => shown.length >= count", arg=count)
        expected = [f"no. {number}" for number in range(count)]
        assert page.evaluate("shown") == expected

    with serve(resume.app) as server:
        port = port_of(server)
        page = tabs.open(port, "/resume.js", SOON)
        page.evaluate(FOLLOW, server.url("/news/python"))
        page.wait_for_function("() => window.shown !== undefined")
        publish(3)
        expect_shown(page, 3)

        page.context.set_offline(True)
        publish(4)
        page.context.set_offline(False)
        expect_shown(page, 7)
        assert page.evaluate("gaps") == 0
    with LiveServer(resume.app, port=port, stop_timeout=10, graceful_timeout=1):
        publish(2)
        expect_shown(page, 9)
        assert page.evaluate("gaps") == 1  # in memory the new server kept nothing


# -- dashboard -----------------------------------------------------------------------


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="there is no /proc")
def test_figures_are_shown(tabs: Tabs) -> None:
    """Two pages show the same figures, which one source measures."""
    with serve(dashboard.app.app) as server:
        port = port_of(server)
        first, second = tabs.open(port), tabs.open(port)
        for page in (first, second):
            expect(page.locator("figure")).to_have_count(4)
            expect(page.locator("figure.waiting")).to_have_count(0)
            expect(page.locator("#by")).to_contain_text("Measured once a second")
            expect(page.locator(".curve").first).to_have_attribute(
                "d", re.compile(r"^M.*L")
            )

        # The arrow keys lead to values before.
        first.locator(".plot").first.focus()
        first.keyboard.press("ArrowLeft")
        expect(first.locator(".times span").nth(1)).not_to_have_text("now")
        first.keyboard.press("Escape")
        expect(first.locator(".times span").nth(1)).to_have_text("now")
