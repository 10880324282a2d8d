"""Headless Chromium, for the tests that drive a page and for its pictures."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
"""Where the browser is; ``None``: there is none."""

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
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=_ARGUMENTS, timeout=20_000
        )
        try:
            yield browser
        finally:
            browser.close()
