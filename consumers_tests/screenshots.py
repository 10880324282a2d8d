"""Makes the pictures of the chat: ``python -m consumers_tests.screenshots``.

They look as they should where the font Inter is installed (fonts-inter).
"""

import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect
from websockets.sync.client import connect

from consumers.testing import LiveServer
from consumers_tests.browser import chromium

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"

ROOM = "garden"
VIEWER = "Ana"
SHOWN: dict[str, Any] = {"locale": "en-GB", "timezone_id": "UTC"}
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


def fill() -> None:
    """Let the conversation have taken place today."""
    from chat.app import history
    from chat.messages import Said

    today = datetime.now(UTC).date()
    for time, author, text in CONVERSATION:
        at = datetime.fromisoformat(f"{today}T{time}:00+00:00")
        history.add(ROOM, Said(author, text, at))


def enter(page: Page, server: LiveServer) -> None:
    """Go in through the first page, and see one of the others typing."""
    page.goto(server.http_url())
    page.get_by_label("Your name").fill(VIEWER)
    page.get_by_label(ROOM).check()
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_role("log")).to_contain_text(CONVERSATION[-1][2])


def main() -> None:
    """Make them."""
    sys.path.insert(0, str(ROOT / "docs" / "examples"))
    from chat.app import app

    fill()
    IMAGES.mkdir(exist_ok=True)
    with ExitStack() as stack:
        server = stack.enter_context(LiveServer(app))
        browser = stack.enter_context(chromium())
        others = [
            stack.enter_context(
                connect(server.url(f"/r/{ROOM}?name={name}"), proxy=None)
            )
            for name in ("Tomás", "Mei")
        ]
        desktop = browser.new_context(
            viewport={"width": 1280, "height": 800},
            color_scheme="light",
            **SHOWN,
        )
        phone = browser.new_context(
            viewport={"width": 390, "height": 844},
            device_scale_factor=1.5,
            color_scheme="dark",
            is_mobile=True,
            has_touch=True,
            **SHOWN,
        )
        for context, name in ((desktop, "desktop"), (phone, "phone")):
            page = context.new_page()
            enter(page, server)
            others[0].send('{"type": "typing"}')
            expect(page.get_by_text("Tomás is typing…")).to_be_visible()
            page.screenshot(path=IMAGES / f"chat-{name}.png", animations="disabled")
            context.close()


if __name__ == "__main__":
    main()
