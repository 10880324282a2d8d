"""Headless Chromium, for the tests that drive pages and for their pictures."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
"""Where the browser is; ``None``: there is none."""
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="Chromium is missing: apt-get install chromium"
)

_ARGUMENTS = [
    "--no-sandbox",  # it can't be had as root, and shows nothing but our own page
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    # Otherwise it looks for updates and more on the network.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run the browser until the end of the block."""
    expect.set_options(timeout=30_000)  # as long as for all else, for busy machines
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


class Tabs:
    """The pages of one test. Those of a context are different people."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.pages: list[Page] = []

    def open(self, port: int, path: str = "/", script: str = "") -> Page:
        page = self.context.new_page()
        self.pages.append(page)
        page.on("dialog", lambda dialog: pytest.fail(f"alert: {dialog.message}"))
        page.add_init_script(script)
        page.goto(f"http://127.0.0.1:{port}{path}")
        return page

    def close(self) -> None:
        for page in self.pages:
            page.close()
