"""Fixtures of the tests that look at the examples' pages in a browser."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from playwright.sync_api import BrowserContext

from consumers_tests.browser import Tabs, chromium
from consumers_tests.proxy import Proxy


@pytest.fixture(scope="module")
def context() -> Iterator[BrowserContext]:
    """Run the browser; its tabs are different people, since each keeps its own name."""
    with chromium() as browser:
        yield browser.new_context()


@pytest.fixture
def tabs(context: BrowserContext) -> Iterator[Tabs]:
    """Return what opens pages; they are closed at the end."""
    tabs = Tabs(context)
    yield tabs
    tabs.close()


@pytest.fixture
def proxy(port: int) -> Iterator[Proxy]:
    """Run what can break the link to the server that the module serves at ``port``."""
    with Proxy(port) as proxy:
        yield proxy


@pytest.fixture
def room() -> str:
    """Return the name of a room in which nobody was yet."""
    return uuid4().hex
