"""The chat example in a browser: two pages, a server in a process of its own."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from math import ceil

import pytest
from playwright.sync_api import expect

from consumers_tests.browser import Tabs, needs_chromium
from consumers_tests.examples.chat_pages import (
    MIDDLING,
    enter,
    expect_connected,
    expect_lines,
    expect_people,
    field,
    say,
    serve,
)
from consumers_tests.proxy import Proxy

pytestmark = needs_chromium

HOSTILE = "<img src=x onerror=alert(1)>"
INNER_HTML = """() => {
    try { document.body.innerHTML = "<i>x</i>"; return "done"; }
    catch (error) { return error.name; }
}"""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Serve the chat; give the port."""
    with serve("asyncio") as process:
        yield process.server().port


def test_the_first_page_leads_into_a_room(port: int, room: str, tabs: Tabs) -> None:
    """It asks for a name and a room, and what it was given leads to both."""
    page = tabs.open(port)
    page.get_by_label("Your name").fill("Ana")
    page.get_by_label("Another room").fill("Book Club")
    page.get_by_role("button", name="Join").click()

    expect_connected(page)
    expect(page).to_have_url(f"http://127.0.0.1:{port}/r/book-club")
    expect(page.get_by_role("heading", level=1)).to_have_text("#book-club")
    expect_people(page, "Ana")


def test_two_people_talk(port: int, room: str, tabs: Tabs) -> None:
    """Each sees what both say, its own apart, and who is typing; a reload keeps it."""
    ana, bo = enter(tabs, port, room, "Ana"), enter(tabs, port, room, "Bo")
    expect_people(ana, "Ana", "Bo")

    field(ana).press_sequentially("hel")
    expect(bo.get_by_text("Ana is typing…")).to_be_visible()
    say(ana, "hello Bo")
    expect(bo.get_by_role("log")).to_contain_text("hello Bo")
    expect(bo.get_by_text("is typing…")).to_have_count(0)
    say(bo, "hello Ana")
    expect(ana.get_by_role("log")).to_contain_text("hello Ana")
    ana.reload()

    expect_people(ana, "Bo", "Ana")
    expect_people(bo, "Ana", "Bo")
    expect(bo.get_by_text("Ana left")).to_have_count(0)
    for page, own, others in (
        (ana, "hello Bo", "hello Ana"),
        (bo, "hello Ana", "hello Bo"),
    ):
        expect(page.locator(".message .text")).to_have_text(["hello Bo", "hello Ana"])
        expect(page.locator(".message.own .text")).to_have_text(own)
        expect(page.locator(".message:not(.own) .text")).to_have_text(others)
        expect(page.locator(".message time").first).to_have_text(
            re.compile(r"\d\d:\d\d")
        )
        expect(field(page)).to_be_empty()


def test_who_is_here(port: int, room: str, tabs: Tabs) -> None:
    """The list is live, a line tells who comes and goes, two tabs are one person."""
    ana = enter(tabs, port, room, "Ana")
    expect_people(ana, "Ana")

    bo = enter(tabs, port, room, "Bo")
    expect_people(ana, "Ana", "Bo")
    expect(ana.get_by_role("log")).to_contain_text("Bo joined")

    second = enter(tabs, port, room, "Bo")
    expect_people(second, "Ana", "Bo")
    second.close()
    say(bo, "still here")
    expect(ana.get_by_role("log")).to_contain_text("still here")
    expect_people(ana, "Ana", "Bo")

    bo.close()
    expect_people(ana, "Ana")
    expect(ana.get_by_role("log")).to_contain_text("Bo left")


def test_html_is_shown_as_text(port: int, room: str, tabs: Tabs) -> None:
    """A name or message with a tag in it is read as written, and does nothing."""
    bo, hostile = enter(tabs, port, room, "Bo"), enter(tabs, port, room, HOSTILE)
    expect_people(bo, "Bo", HOSTILE)

    field(hostile).press_sequentially("<b>")
    expect(bo.get_by_text(f"{HOSTILE} is typing…")).to_be_visible()
    say(hostile, HOSTILE)

    for page in (bo, hostile):
        expect(page.locator(".message .text")).to_have_text(HOSTILE)
        expect(page.locator(".message .author")).to_have_text(HOSTILE)
        expect(page.locator("img")).to_have_count(0)
    expect(bo.get_by_role("log")).to_contain_text(f"{HOSTILE} joined")
    # Were a script of the page to make HTML of it, the policy would forbid that.
    assert bo.evaluate(INNER_HTML) == "TypeError"


def test_who_is_refused_is_told_why(port: int, room: str, tabs: Tabs) -> None:
    """A name that the server refuses leads back to the first page, which explains."""
    page = enter(tabs, port, room, "x" * 41)

    expect(page.get_by_role("alert")).to_contain_text("can't be used")
    expect(page.get_by_label("Another room")).to_have_value(room)


def test_what_is_new_is_marked(port: int, room: str, tabs: Tabs, proxy: Proxy) -> None:
    """Who comes back sees where the lines begin that others have said meanwhile."""
    ana = enter(tabs, proxy.port, room, "Ana", MIDDLING)
    bo = enter(tabs, port, room, "Bo")
    expect_connected(ana, bo)
    say(bo, "before")
    expect_lines(ana, "before")

    proxy.refuse()
    expect(ana.get_by_text(re.compile(r"Reconnecting in \d+ s…"))).to_be_visible()
    for text in ("missed 1", "missed 2"):
        say(bo, text)
    say(ana, "written meanwhile")
    expect_lines(bo, "before", "missed 1", "missed 2")
    proxy.resume()
    expect_lines(ana, "before", "missed 1", "missed 2", "written meanwhile")
    say(bo, "after")
    expect(ana.get_by_role("log")).to_contain_text("after")

    divider = ana.locator(".divider")
    expect(divider).to_have_text("New since you were away")
    expect(divider.locator("xpath=following-sibling::*[1]")).to_contain_text("missed 1")
    expect(bo.locator(".divider")).to_have_count(0)

    proxy.cut()
    say(ana, "back again")  # which goes out when she is
    expect(bo.get_by_role("log")).to_contain_text("back again")
    expect_connected(ana)
    say(bo, "nothing was missed")
    expect(ana.get_by_role("log")).to_contain_text("nothing was missed")
    expect(divider.locator("xpath=following-sibling::*[1]")).to_contain_text("missed 1")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_restart_is_seen_and_recovered_from(
    backend: str, room: str, tabs: Tabs
) -> None:
    """Pages say that they wait, keep what was said, come back and go on."""
    with serve(backend) as process:
        port = process.server().port
        ana, bo = (enter(tabs, port, room, name, MIDDLING) for name in ("Ana", "Bo"))
        expect_connected(ana, bo)
        say(ana, "before")
        expect(bo.get_by_role("log")).to_contain_text("before")

        process.terminate()

        for page in (ana, bo):
            expect(
                page.get_by_text(re.compile(r"Reconnecting in \d+ s…"))
            ).to_be_visible()
        say(bo, "not lost")  # goes out when it can
        expect(bo.locator("#unsent .text")).to_have_text("not lost")
        process.wait(5)

    with serve(backend, port) as process:
        process.server()
        expect_connected(ana, bo)
        for page in (ana, bo):
            expect(page.locator("#log .text")).to_have_text(["before", "not lost"])
            # This server knows nothing of what the other one has kept.
            expect(page.locator(".gap")).to_have_text(
                "Some messages may be missing here"
            )
            expect(page.locator("#people .name")).to_have_count(2)


def test_waits_grow_up_to_half_a_minute(room: str, tabs: Tabs) -> None:
    """Each failure doubles the wait; a person can end it."""
    with serve("asyncio") as process:
        port = process.server().port
        page = enter(tabs, port, room, "Ana", "Math.random = () => 1")
        page.clock.install()
        page.reload()
        expect_connected(page)
        page.clock.pause_at(datetime.now(UTC) + timedelta(seconds=1))
        process.popen.kill()  # one that ends in order would say when to return
        process.wait(5)

    for milliseconds in (500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000):
        told = f"Reconnecting in {ceil(milliseconds / 1000)} s…"
        expect(page.get_by_text(told)).to_be_visible()
        page.clock.run_for(milliseconds)

    with serve("asyncio", port) as process:
        process.server()
        page.get_by_role("button", name="Try now").click()
        expect_connected(page)
