"""Pictures of the examples: ``python -m consumers_tests.examples.screenshots``.

They look as they should where the font Inter is installed (fonts-inter).
"""

import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, Page, expect
from websockets.sync.client import connect

from consumers.testing import LiveServer
from consumers_tests.browser import chromium

ROOT = Path(__file__).parent.parent.parent
IMAGES = ROOT / "docs" / "images"

SHOWN: dict[str, Any] = {"locale": "en-GB", "timezone_id": "UTC"}
DESKTOP: dict[str, Any] = {
    "viewport": {"width": 1280, "height": 800},
    "color_scheme": "light",
}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 1.5,
    "color_scheme": "dark",
    "is_mobile": True,
    "has_touch": True,
}

ROOM = "garden"
VIEWER = "Ana"
CONVERSATION = (
    ("09:41", "Tomás", "Morning! The seedlings came. Who has time on Saturday?"),
    ("09:43", "Mei", "Me, from ten on."),
    ("09:43", "Mei", "I can bring the big wheelbarrow, it fits in the car now."),
    ("09:47", "Ana", "I'm in as well. Shall I get compost on the way?"),
    ("09:48", "Tomás", "Yes please, four bags should do. I'll pay you back."),
    ("09:52", "Ana", "No need, there is still money in the tea box."),
    ("10:15", "Mei", "Then beans along the fence, and tomatoes where it's warm?"),
    ("10:16", "Tomás", "Exactly. And something for the bees by the shed."),
    ("10:18", "Ana", "Lavender! I have six small ones that want out of their pots."),
    ("10:19", "Mei", "Lovely. Ten o'clock at the gate, then."),
)
POINTERS = (
    ("Tomás", 330, 0.24, 0.32),
    ("Mei", 255, 0.68, 0.27),
    ("Jun", 150, 0.79, 0.62),
    ("Ola", 60, 0.31, 0.68),
)


def shoot(
    browser: Browser,
    example: str,
    visit: Callable[[Page], None],
    animations: Literal["allow", "disabled"] = "disabled",
) -> None:
    """Visit a page on a desktop and on a phone, and take its picture on both."""
    for device, kind in (("desktop", DESKTOP), ("phone", PHONE)):
        context = browser.new_context(**kind, **SHOWN)
        page = context.new_page()
        visit(page)
        path = IMAGES / f"{example}-{device}.png"
        page.screenshot(path=path, animations=animations)
        context.close()


@contextmanager
def clients(
    server: LiveServer, *paths: str, subprotocol: str | None = None
) -> Iterator[list[Any]]:
    """Connect so many others, who read nothing and are not in the way for that."""
    spoken: Any = None if subprotocol is None else [subprotocol]
    settings: Any = {"proxy": None, "max_queue": None, "subprotocols": spoken}
    with ExitStack() as stack:
        yield [
            stack.enter_context(connect(server.url(path), **settings)) for path in paths
        ]


def chat(browser: Browser) -> None:
    """Go in through the first page, and see one of the others typing."""
    from chat.app import app, groups, spoken
    from chat.messages import Said

    today = datetime.now(UTC).date()

    def visit(page: Page) -> None:
        page.goto(server.http_url())
        page.get_by_label("Your name").fill(VIEWER)
        page.get_by_label(ROOM).check()
        page.get_by_role("button", name="Join").click()
        expect(page.get_by_role("log")).to_contain_text(CONVERSATION[-1][2])
        others[0].send('{"type": "message", "message": {"type": "typing"}}')
        expect(page.get_by_text("Tomás is typing…")).to_be_visible()

    paths = [f"/r/{ROOM}?name={name}" for name in ("Tomás", "Mei")]
    with (
        LiveServer(app) as server,
        clients(server, *paths, subprotocol="consumers.v1+json") as others,
    ):
        for other in others:
            enter = {"type": "subscribe", "id": 1, "group": f"here.{ROOM}"}
            other.send(json.dumps(enter))
        for number, (at, author, text) in enumerate(CONVERSATION):
            when = datetime.fromisoformat(f"{today}T{at}:00+00:00")
            said = Said(author, text, str(number), when)
            groups.sync.publish(spoken(ROOM), said)
        shoot(browser, "chat", visit)


def cursors(browser: Browser) -> None:
    """See the pointers of four others, and one's own."""
    from cursors.app import app

    def visit(page: Page) -> None:
        page.add_init_script("sessionStorage.name = 'Ana'; sessionStorage.hue = 195")
        page.goto(f"{server.http_url()}sketch")
        expect(page.locator("#visitors li")).to_have_count(len(POINTERS) + 1)
        for other, (*_, x, y) in zip(others, POINTERS, strict=True):
            other.send(json.dumps({"type": "move", "x": x, "y": y}))
        expect(page.locator(".pointer")).to_have_count(len(POINTERS))
        viewport = page.viewport_size
        assert viewport is not None
        page.mouse.move(viewport["width"] * 0.48, viewport["height"] * 0.47)
        expect(page.locator(".pointer")).to_have_count(len(POINTERS) + 1)
        page.wait_for_timeout(1000)  # until the hint has faded

    paths = [f"/sketch/live?name={name}&hue={hue}" for name, hue, *_ in POINTERS]
    with LiveServer(app) as server, clients(server, *paths) as others:
        shoot(browser, "cursors", visit)


def prices(browser: Browser) -> None:
    """Look at the first of two hundred shares, after some changes."""
    from prices.app import app

    def visit(page: Page) -> None:
        page.goto(server.http_url())
        expect(page.locator("tbody tr")).to_have_count(200)
        page.wait_for_timeout(2500)

    with LiveServer(app) as server:
        shoot(browser, "prices", visit, "allow")


def dashboard(browser: Browser) -> None:
    """Look at two minutes of a busy machine."""
    from dashboard import app as module
    from dashboard import machine

    level = {"processors": 40.0, "memory": 61.0, "load": 1.4, "network": 90.0}
    steps = {"processors": 5.0, "memory": 0.3, "load": 0.05, "network": 12.0}
    chance = random.Random(8)

    def meter(figure: str) -> Callable[[], float]:
        def measure() -> float:
            usual, step = level[figure], steps[figure]
            drift = (usual - last[figure]) * 0.04 + chance.gauss(0, step)
            last[figure] = max(last[figure] + drift, 0.0)
            return last[figure]

        return measure

    def visit(page: Page) -> None:
        page.goto(server.http_url())
        expect(page.locator("figure.waiting")).to_have_count(0)

    last = dict(level)
    now = time.time()
    measure = machine.meter
    machine.meter = meter
    try:
        with LiveServer(module.app) as server:
            for second in range(module.KEPT):
                for figure in module.FIGURES:
                    at = now - module.KEPT + second
                    value = module.Value(figure, meter(figure)(), at, 4711)
                    module.groups.sync.publish(module.measured(figure), value)
            shoot(browser, "dashboard", visit)
    finally:
        machine.meter = measure


def docs_page(browser: Browser) -> None:
    """Try a workshop: an answer that is cut short, and one that is an error."""
    from howto.docs_page import app

    def visit(page: Page) -> None:
        page.goto(server.http_url("/docs"))
        connection = page.get_by_label("Connection", exact=True)
        connection.locator("input").first.fill("oak")
        connection.get_by_role("button", name="Connect").click()
        expect(page.get_by_role("button", name="Disconnect")).to_be_visible()
        ask = page.locator("details.card", has_text="Asks the oldest member")
        ask.get_by_label("question").fill("How do you plane oak?")
        ask.get_by_role("button", name="Stream").click()
        expect(ask.locator(".result li").nth(3)).to_be_visible()
        ask.get_by_role("button", name="Cancel").click()
        expect(ask.locator("[data-outcome=cancelled]")).to_be_visible()
        page.locator("summary", has_text="order").first.click()
        order = page.locator("details.card", has_text="Orders a tool")
        order.get_by_label("Type of tool").select_option("plane")
        order.get_by_label("blade").fill("44.5")
        order.get_by_label("amount").fill("2")
        order.get_by_role("button", name="Request").click()
        expect(order.locator("[data-outcome=error]")).to_be_visible()
        page.locator("summary", has_text="ask").first.click()
        page.locator("main").evaluate("main => { main.scrollTop = 1e6; }")
        page.locator("details.card", has_text="Orders a tool").evaluate(
            "card => card.parentElement.scrollIntoView()"
        )

    with LiveServer(app) as server:
        shoot(browser, "docs-page", visit)


def inspector(browser: Browser) -> None:
    """Look into one of a café's tables, after an order that nobody can serve."""
    from howto.inspected import app

    def visit(page: Page) -> None:
        page.goto(server.http_url("/inspector?token=staff"))
        expect(page.locator("#state")).to_have_text("live")
        page.locator("#rows button").nth(2).click()
        expect(page.get_by_text("Frames are shown from now on.")).to_be_visible()
        for turn in range(6):
            for other in others:
                item = ("coffee", "tea", "cake")[turn % 3]
                order = {"type": "order", "item": item, "card_token": "tok_1234"}
                other.send(json.dumps(order))
            page.wait_for_timeout(500)
        expect(page.locator(".frames li").nth(5)).to_be_visible()
        page.locator("#groups button").first.click()
        expect(page.locator(".here")).not_to_have_text("…")
        page.evaluate("scrollTo(0, 0)")

    names = ("Ana", "Ben", "Chiara", "Dev", "Elif", "Finn")
    paths = [f"/tables/{1 + n % 3}?token={name}" for n, name in enumerate(names)]
    with LiveServer(app) as server:
        for code in (1000, 1000, 1001, 1000):
            with clients(server, paths[0]) as (gone,):
                gone.close(code, "to the next page" if code == 1001 else "")
        with clients(server, paths[1]) as (failing,):
            failing.send('{"type": "stock", "item": "soup"}')
            time.sleep(0.3)
        with clients(server, *paths) as others:
            shoot(browser, "inspector", visit)


def model(browser: Browser) -> None:
    """See an answer that was stopped, and one that is being written."""
    from model import small
    from model.app import app

    def visit(page: Page) -> None:
        page.goto(server.http_url())
        page.get_by_label("Just reply").check()
        ask(page, "What makes a good conversation?", 60)
        page.get_by_role("button", name="Stop").click()
        expect(page.locator("[data-state=stopped]")).to_be_visible()
        page.get_by_label("Keep it").check()
        ask(page, "How do I grow tomatoes on a balcony?", 90)

    def ask(page: Page, prompt: str, tokens: int) -> None:
        page.get_by_label("Prompt").fill(prompt)
        page.get_by_role("button", name="Ask", exact=True).click()
        text = "".join(small.tokens(prompt)[:tokens])
        expect(page.locator(".text").last).to_contain_text(text, timeout=20_000)

    with LiveServer(app) as server:
        shoot(browser, "model", visit)


def main() -> None:
    """Make them: all, or those of the examples that are named."""
    sys.path.insert(0, str(ROOT / "docs" / "examples"))
    IMAGES.mkdir(exist_ok=True)
    makers = (chat, cursors, prices, dashboard, docs_page, inspector, model)
    examples = {each.__name__: each for each in makers}
    with chromium() as browser:
        for name in sys.argv[1:] or examples:
            examples[name](browser)


if __name__ == "__main__":
    main()
