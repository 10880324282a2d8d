"""The language model's page in a browser, over a link that breaks."""

import re
from collections.abc import Iterator

import pytest
from model import small
from model.app import app
from playwright.sync_api import Locator, Page, expect

from consumers.testing import LiveServer
from consumers_tests.browser import Tabs, needs_chromium
from consumers_tests.proxy import Proxy

pytestmark = needs_chromium

PROMPT = "How do I grow tomatoes on a balcony?"
WHOLE = small.answer(PROMPT)
SENTENCES = re.findall(r"\S[^.]*\.", WHOLE)
LENGTH = f"{len(small.tokens(PROMPT))} tokens"
SOON = "Math.random = () => 0.1"
"""Lets a page come back soon."""
QUICK = 0.005
"""Seconds before each token, where a test waits for the whole answer."""


KINDS = ("Keep it", "Just reply")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Serve the example; give the port."""
    with LiveServer(app, stop_timeout=10, graceful_timeout=1) as server:
        yield int(server.http_url().split(":")[-1].strip("/"))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small, "PAUSE", QUICK)


def ask(page: Page, kind: str) -> Locator:
    """Ask; return the answer once the model writes it."""
    answer = answers(page).nth(answers(page).count())
    page.get_by_label(kind).check()
    page.get_by_label("Prompt").fill(PROMPT)
    page.get_by_label("Prompt").press("Enter")
    expect(answer.locator(".text")).to_contain_text(SENTENCES[0])
    return answer


def answers(page: Page) -> Locator:
    return page.get_by_role("article")


def expect_state(answer: Locator, word: str) -> None:
    expect(answer.get_by_role("status")).to_have_text(word)


def expect_whole(answer: Locator) -> None:
    """Wait for the end; no token may be missing, and none may be there twice."""
    expect_state(answer, "Finished")
    assert answer.locator(".text").text_content() == WHOLE
    expect(answer.locator(".tokens")).to_have_text(LENGTH)


def expect_work(page: Page, word: str) -> None:
    """Wait until the page tells that the model does this."""
    expect(page.locator("#work")).to_have_text(word)


@pytest.mark.usefixtures("quick")
def test_an_answer_grows(port: int, tabs: Tabs) -> None:
    """Both ways to ask, it comes token by token, and is whole in the end."""
    page = tabs.open(port)

    for answer in [ask(page, kind) for kind in KINDS]:
        expect(answer.get_by_role("heading")).to_have_text(PROMPT)
        expect_whole(answer)
        expect(answer.get_by_role("button", name="Stop")).to_be_hidden()
    expect_work(page, "The model rests")


def test_the_stop_button_stops_the_model(port: int, tabs: Tabs) -> None:
    """What is there stays there, and the server writes nothing more."""
    page = tabs.open(port)
    kept, reply = (ask(page, kind) for kind in KINDS)
    expect_work(page, "The model writes 2 answers")
    assert small.writing() == 2

    reply.get_by_role("button", name="Stop").click()
    expect_work(page, "The model writes 1 answer")
    kept.get_by_role("button", name="Stop").click()
    expect_work(page, "The model rests")

    assert small.writing() == 0
    for answer in (kept, reply):
        expect_state(answer, "Stopped")
        text = answer.locator(".text").text_content()
        assert text
        assert WHOLE.startswith(text)
        assert text != WHOLE


@pytest.mark.usefixtures("quick")
def test_a_broken_link_costs_no_token(proxy: Proxy, tabs: Tabs) -> None:
    """It breaks three times in the answer; what was missed comes, once."""
    page = tabs.open(proxy.port, script=SOON)
    answer = ask(page, "Keep it")

    for sentence in (2, 4, 6):
        expect(answer.locator(".text")).to_contain_text(SENTENCES[sentence])
        proxy.cut()

    expect_whole(answer)


def test_what_was_written_meanwhile_comes(
    proxy: Proxy, tabs: Tabs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a connection the page says so. A reply is lost, and can be repeated."""
    page = tabs.open(proxy.port, script=SOON)
    reply, kept = ask(page, "Just reply"), ask(page, "Keep it")
    monkeypatch.setattr(small, "PAUSE", QUICK)

    proxy.refuse()
    expect_state(reply, "Lost with the connection")
    expect_state(kept, "Waiting for the connection…")
    expect(kept.get_by_role("button", name="Stop")).to_be_hidden()
    proxy.resume()
    expect_whole(kept)

    reply.get_by_role("button", name="Ask again").click()
    expect_whole(answers(page).last)


@pytest.mark.usefixtures("quick")
def test_a_reload_and_another_tab_see_the_same(port: int, tabs: Tabs) -> None:
    """The address leads to the answer, from its start, while it is written."""
    page = tabs.open(port)
    answer = ask(page, "Keep it")

    page.reload()
    with page.context.expect_page() as opened:
        answers(page).get_by_role("link", name="Open in another tab").click()
    other = opened.value
    tabs.pages.append(other)

    for each in (page, other):
        expect_whole(answers(each))
        expect(answers(each).get_by_role("heading")).to_have_text(PROMPT)
    expect(answer).to_have_count(1)


def test_an_unknown_answer_is_told(port: int, tabs: Tabs) -> None:
    """As is one that is not kept any more."""
    page = tabs.open(port, f"/#{'x' * 22}")

    expect_state(answers(page), "The server does not know this answer, or not any more")
