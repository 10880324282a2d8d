"""Two pages talk over links that break: the short form of `make faults`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from consumers_tests.browser import chromium, needs_chromium

from .chat import Talking, talk, verdict
from .verdict import Verdict


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@needs_chromium
def test_links_may_break(browser: Browser) -> None:
    """Each line is shown once, in one order, whatever happens to the links."""
    outcome = talk(
        "trio", 5, Talking(cycles=3, leisure=0.2), layer="memory", browser=browser
    )

    assert outcome.problems == []
    assert outcome.cells["cycles"] == 3


@needs_chromium
def test_the_server_may_end(browser: Browser) -> None:
    """With a broker behind, neither lines nor their order depend on the server."""
    ending = Talking(cycles=2, leisure=0.2, faults=["mute and kill", "restart"])

    outcome = talk("uvloop", 1, ending, browser=browser)

    assert outcome.problems == []
    assert outcome.cells["mute and kill"] == outcome.cells["restart"] == 1
    assert outcome.cells["came back"] != 0


@needs_chromium
def test_without_positions_lines_are_lost(browser: Browser) -> None:
    """Who does not say where they were has missed what was said meanwhile."""
    leaving = Talking(cycles=8, patience=1.5, leisure=0.2, faults=["refuse"])

    outcome = talk("uvloop", 1, leaving, "positions", "memory", browser)

    assert " lost" in "; ".join(outcome.problems)


@needs_chromium
def test_without_keys_lines_are_doubled(browser: Browser) -> None:
    """A line whose answer was lost with the server is said again."""
    dying = Talking(cycles=2, leisure=0.2, faults=["mute and kill"])

    outcome = talk("uvloop", 1, dying, "keys", browser=browser)

    assert " twice" in "; ".join(outcome.problems)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (["A 1", "B 1", "A 2"], ["A 1", "B 1", "A 2"], Verdict()),
        (["A 1", "B 1", "A 2"], ["B 1", "A 1", "A 2"], Verdict(disordered=2)),
        (["A 1", "B 1"], ["A 1", "B 1", "A 2"], Verdict(lost=1)),
        (["A 1", "B 1", "A 2"], ["A 1", "B 1", "A 2", "B 1"], Verdict(twice=1)),
        (["A 2", "B 1", "A 1"], ["A 2", "B 1", "A 1"], Verdict(disordered=2)),
    ],
)
def test_what_pages_show_is_judged(
    first: list[str], second: list[str], expected: Verdict
) -> None:
    """Lost, twice and out of order are counted for each page, and between them."""
    assert verdict({"A": 2, "B": 1}, [first, second]) == expected
