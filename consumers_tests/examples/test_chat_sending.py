"""What the page of the chat does with lines that are not said yet, in a browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import WebSocketRoute, expect

from consumers_tests.browser import Tabs, needs_chromium
from consumers_tests.examples.chat_pages import (
    Held,
    enter,
    expect_connected,
    expect_lines,
    field,
    say,
    serve,
    unsent,
)

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Serve the chat; give the port."""
    with serve("asyncio") as process:
        yield process.server().port


def test_a_line_is_shown_at_once(port: int, room: str, tabs: Tabs) -> None:
    """It waits for its answer below what was said, and then has its place in it."""
    ana, bo = enter(tabs, port, room, "Ana"), enter(tabs, port, room, "Bo")
    server = Held(ana)
    expect_connected(ana, bo)

    say(ana, "hello")
    expect(unsent(ana, "sending")).to_have_text("hello")
    expect(bo.get_by_role("log")).to_contain_text("hello")
    say(bo, "hello yourself")
    server.release()

    for page in (ana, bo):
        expect_lines(page, "hello", "hello yourself")
    expect(ana.locator("#unsent li")).to_have_count(0)


def test_a_refused_line_waits_for_its_writer(port: int, room: str, tabs: Tabs) -> None:
    """What the server does not take is marked, the reason told; it can be changed."""
    page = enter(tabs, port, room, "Ana")
    expect_connected(page)
    page.evaluate("document.getElementById('text').removeAttribute('maxlength')")

    say(page, "x" * 2001)
    expect(page.get_by_role("alert")).to_contain_text("the server does not take it")
    page.get_by_role("button", name="Try again").click()
    expect(unsent(page, "failed")).to_have_text("x" * 2001)
    say(page, "short")
    expect_lines(page, "short")

    page.get_by_role("button", name="Edit").click()
    expect(field(page)).to_have_value("x" * 2001)
    expect(page.locator("#unsent li")).to_have_count(0)


def test_a_failed_line_can_be_tried_again(port: int, room: str, tabs: Tabs) -> None:
    """It takes effect once, although the first attempt had one."""
    page = enter(tabs, port, room, "Ana")
    server = Held(page)
    expect_connected(page)
    say(page, "hello")
    expect(unsent(page, "sending")).to_have_text("hello")

    server.fail("rate_limited")
    expect(page.get_by_role("alert")).to_contain_text("too much at once")
    page.get_by_role("button", name="Try again").click()
    expect(unsent(page, "sending")).to_have_text("hello")
    server.release()

    expect_lines(page, "hello")
    expect(page.locator("#unsent li")).to_have_count(0)
    page.reload()
    expect_lines(page, "hello")


def test_unsent_lines_outlive_a_reload(port: int, room: str, tabs: Tabs) -> None:
    """The page that comes next sends them, and none is said twice."""
    page = enter(tabs, port, room, "Ana")
    server = Held(page)
    expect_connected(page)
    say(page, "arrived, for all one knows")
    expect(unsent(page, "sending")).to_have_count(1)

    server.forget()
    page.reload()

    expect_lines(page, "arrived, for all one knows")
    expect(page.locator("#unsent li")).to_have_count(0)


def test_an_end_for_good_waits_for_its_user(port: int, room: str, tabs: Tabs) -> None:
    """The page says so and does not come back; lines that are left are kept."""
    page = enter(tabs, port, room, "Ana")
    sockets: list[WebSocketRoute] = []

    def begin(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        socket.connect_to_server()

    page.route_web_socket("**/r/*", begin)
    page.reload()
    expect_connected(page)
    sockets[0].close(code=4403)

    banner = page.get_by_role("status")
    expect(banner).to_contain_text("The server closed the connection (4403).")
    expect(banner).not_to_contain_text("Reconnecting")
    say(page, "kept")
    expect(page.get_by_role("alert")).to_contain_text("the conversation has ended")
    page.get_by_role("button", name="Try now").click()
    expect_connected(page)
    page.get_by_role("button", name="Try again").click()
    expect_lines(page, "kept")
