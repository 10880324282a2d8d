"""The page in a browser: an application is looked at and tried."""

import json
import re
from collections.abc import Iterator

import pytest
from howto import docs_page
from playwright.sync_api import BrowserContext, Locator, Page, Request, expect

from consumers import App, WebSocketRoute
from consumers.testing import LiveServer
from consumers_tests.browser import chromium, needs_chromium
from consumers_tests.schema import applications

pytestmark = needs_chromium

PLAIN, FRAMED, PACKED = "Plain", "consumers.v1", "with MessagePack"
# What the editors of all messages say: at first, and after the form has read it.
WRITTEN = """() => [...document.querySelectorAll("main .editor")]
    .filter((editor) => !editor.querySelector(".segments").hidden)
    .map((editor) => {
        const [form, json] = editor.querySelectorAll("input[type=radio]");
        const area = editor.querySelector(":scope > :last-child > textarea");
        json.click();
        const before = area.value;
        form.click();
        json.click();
        return [before, area.value];
    })"""
TIME = re.compile(r"\d+\.\d ms")


class Visit:
    """One open page, and what it did that it should not have."""

    def __init__(self, page: Page, server: LiveServer) -> None:
        self.page = page
        self.origin = server.http_url("")
        self.faults: list[str] = []
        self.strangers: list[str] = []
        page.on("console", lambda message: self.faults.append(message.text[:200]))
        page.on("pageerror", lambda error: self.faults.append(str(error)[:200]))
        page.on("request", self._requested)

    def _requested(self, request: Request) -> None:
        if not request.url.startswith((self.origin, "data:")):
            self.strangers.append(request.url)

    def connect(self, mode: str = FRAMED, **parameters: str) -> None:
        form = self.page.get_by_label("Connection", exact=True)
        for name, value in parameters.items():
            form.get_by_label(re.compile(rf"^{name}\b")).fill(value)
        form.get_by_text(mode, exact=True).click()
        form.get_by_role("button", name="Connect").click()

    def expect_state(self, text: str) -> None:
        state = self.page.get_by_label("Connection", exact=True).get_by_role("status")
        expect(state).to_have_text(text)

    def card(self, name: str) -> Locator:
        exactly = re.compile(f"^{re.escape(name)}$")
        title = self.page.locator("summary > .message", has_text=exactly)
        card = self.page.locator("main details.card", has=title)
        if card.get_attribute("open") is None:
            card.locator("summary").first.click()
        return card

    def frames(self, text: str) -> Locator:
        return self.page.locator("#frames .row", has_text=text)


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with LiveServer(docs_page.app, stop_timeout=10, graceful_timeout=1) as server:
        yield server


@pytest.fixture(scope="module")
def context() -> Iterator[BrowserContext]:
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        yield context


def visit_of(context: BrowserContext, server: LiveServer) -> Visit:
    visit = Visit(context.new_page(), server)
    visit.page.goto(server.http_url("/docs"))
    return visit


@pytest.fixture
def visit(context: BrowserContext, server: LiveServer) -> Iterator[Visit]:
    """Open the page; whatever the test does there, nothing goes wrong unseen."""
    visit = visit_of(context, server)
    yield visit
    visit.page.close()
    assert visit.faults == []
    assert visit.strangers == []


def test_it_lists_the_consumers(visit: Visit) -> None:
    """Each is found by its path and name; one is chosen, by a link that can be kept."""
    links = visit.page.get_by_role("navigation").get_by_role("link")

    expect(links).to_have_text(
        ["/rooms/{name}Workshop", "/clockClock", "/officeOffice"]
    )
    visit.page.get_by_label("Find a consumer").fill("clo")
    expect(visit.page.get_by_role("link", name="/office")).to_be_hidden()
    visit.page.get_by_role("link", name="/clock").click()

    expect(visit.page.locator("main")).to_contain_text("Tells the time, as text.")
    visit.page.reload()
    expect(visit.page.locator("main h2")).to_have_text("/clock")


@pytest.mark.parametrize("mode", [PLAIN, FRAMED, PACKED])
def test_a_form_is_sent_and_answered(visit: Visit, mode: str) -> None:
    """What is filled in goes out, and the reply is shown with the time it took."""
    visit.connect(mode, name="oak", as_="Ann")
    visit.expect_state("Connected")
    say = visit.card("say")

    say.get_by_label("text").fill("Hello <b>there</b>")
    say.get_by_label("mood").select_option("glad")
    say.get_by_role("button", name="Add to mentions").click()
    say.get_by_label("mentions 1").fill("Bo")
    say.get_by_role("button", name="Request").click()

    result = say.get_by_label("Answers to say").get_by_role("listitem").first
    expect(result).to_contain_text(re.compile(r"answered in \d+\.\d ms"))
    expect(result.locator("pre")).to_have_text('{\n  "number": 1\n}')
    expect(visit.frames("joined").get_by_text(TIME)).to_be_visible()
    expect(visit.frames("joined").get_by_text("received")).to_be_attached()
    sent = visit.page.locator("#frames .row.out", has_text="Hello")
    expect(sent).to_have_count(1)
    expect(sent).to_contain_text("sent")
    sent.locator("summary").click()
    expect(sent.locator("pre")).to_contain_text('"mood": "glad"')
    expect(sent.locator("pre")).to_contain_text('"Bo"')


@pytest.mark.parametrize("mode", [PLAIN, FRAMED])
def test_an_error_is_told(visit: Visit, mode: str) -> None:
    """Its code and detail are beside the message, and its frame is marked."""
    visit.connect(mode, name="oak")
    order = visit.card("order")
    order.get_by_label("Type of tool").select_option("plane")
    order.get_by_label("blade").fill("44.5")
    order.get_by_label("amount").fill("2")
    order.get_by_role("button", name="Request").click()

    result = order.get_by_label("Answers to order").get_by_role("listitem")
    expect(result).to_contain_text("sold_out")
    expect(result).to_contain_text('"again": "in May"')
    expect(visit.page.locator("#frames .row.wrong")).to_have_count(1)
    visit.expect_state("Connected")


def test_the_form_knows_the_limits(visit: Visit) -> None:
    """What the schema does not allow stays here; as JSON it goes to the server."""
    visit.connect(PLAIN, name="oak")
    visit.expect_state("Connected")
    order = visit.card("order")
    order.get_by_label("Type of tool").select_option("saw")
    order.get_by_label("teeth").fill("3")
    order.get_by_label("amount").fill("2")
    order.get_by_role("button", name="Request").click()

    teeth = order.get_by_label("teeth")
    assert teeth.evaluate("input => input.validity.rangeUnderflow")
    expect(visit.page.locator("#frames .row.out")).to_have_count(0)

    order.get_by_text("JSON", exact=True).click()
    editor = order.get_by_label("JSON of order")
    written = '"tool": {\n    "type": "saw",\n    "teeth": 3\n  }'
    expect(editor).to_have_value(re.compile(re.escape(written)))
    order.get_by_role("button", name="Request").click()

    result = order.get_by_label("Answers to order").get_by_role("listitem")
    expect(result).to_contain_text("invalid_message")
    editor.fill("{")
    order.get_by_role("button", name="Send").click()
    expect(order.get_by_role("alert")).to_contain_text("This is not JSON")


@pytest.mark.parametrize("mode", [PLAIN, FRAMED])
def test_a_stream_is_cancelled(visit: Visit, mode: str) -> None:
    """Its items come one by one, and end when somebody has had enough."""
    visit.connect(mode, name="oak")
    ask = visit.card("ask")
    ask.get_by_label("question").fill("How?")
    ask.get_by_label("words").fill("1000")
    ask.get_by_role("button", name="Stream").click()

    result = ask.get_by_label("Answers to ask").locator("> li")
    expect(result.locator("ol li").nth(1)).to_have_text('{"text":"let"}')
    result.get_by_role("button", name="Cancel").click()

    expect(result).to_contain_text(re.compile(r"cancelled after \d+ items"))
    expect(visit.frames("cancel").first).to_be_visible()
    visit.expect_state("Connected")


def test_a_short_stream_ends(visit: Visit) -> None:
    """How many items there were, and how long it took."""
    visit.connect(PLAIN, name="oak")
    ask = visit.card("ask")
    ask.get_by_label("question").fill("How?")
    ask.get_by_label("words").fill("2")
    ask.get_by_role("button", name="Stream").click()

    result = ask.get_by_label("Answers to ask").locator("> li")
    expect(result).to_contain_text(re.compile(r"done: 2 items in \d+\.\d ms"))


def test_a_group_is_subscribed_to(visit: Visit) -> None:
    """What is published comes with its position; subscribing is refused readably."""
    visit.connect(FRAMED, name="elm")
    group = visit.card("room.{name}")
    name = group.get_by_role("textbox", name="name")
    expect(name).to_have_value("elm")
    group.get_by_role("button", name="Subscribe").click()
    expect(group.get_by_role("button", name="Unsubscribe")).to_be_visible()
    expect(group).to_contain_text("Subscribed")
    say = visit.card("say")
    say.get_by_label("text").fill("into the group")
    say.get_by_role("button", name="Request").click()

    heard = group.get_by_label("Publications of room.{name}")
    expect(heard).to_contain_text("into the group")
    group.get_by_role("button", name="Unsubscribe").click()
    expect(group).to_contain_text("Not subscribed")

    name.fill("office")
    group.get_by_label("position").fill("")
    group.get_by_role("button", name="Subscribe").click()
    expect(group).to_contain_text("not_allowed")


def test_a_refused_handshake_is_read(visit: Visit) -> None:
    """consumers.v1 tells the status and whether to return, and what let it through."""
    visit.page.get_by_role("link", name="/office").click()
    visit.connect()

    problem = visit.page.get_by_label("Connection", exact=True).get_by_role("alert")
    expect(problem).to_contain_text("4401 not authenticated")
    expect(problem).to_contain_text("get a new token and try once more")
    expect(visit.frames("goodbye")).to_be_visible()

    visit.connect(Token="sesame")
    visit.expect_state("Connected")
    expect(problem).to_be_hidden()


def test_wrong_parameters_are_named(visit: Visit) -> None:
    """A handshake that is refused for them says which, and why."""
    form = visit.page.get_by_label("Connection", exact=True)
    form.get_by_label("name").fill("oak")
    form.get_by_label("years").evaluate("input => input.removeAttribute('max')")
    visit.connect(years="500")

    problem = form.get_by_role("alert")
    expect(problem).to_contain_text("4400 bad request")
    expect(problem).to_contain_text("years: Expected `int` <= 120")


@pytest.mark.parametrize("mode", [PLAIN, FRAMED])
def test_text_is_sent_as_text(visit: Visit, mode: str) -> None:
    """A consumer of texts gets a field for one; a close is explained."""
    visit.page.get_by_role("link", name="/clock").click()
    visit.connect(mode)
    visit.page.get_by_label("Text", exact=True).fill("tick")
    visit.page.get_by_role("button", name="Send").click()

    expect(visit.frames("You said: tick")).to_be_visible()
    visit.page.get_by_role("button", name="Disconnect").click()
    expect(visit.frames("closed 1000")).to_contain_text("should not return")


def test_frames_are_filtered_and_cleared(visit: Visit) -> None:
    """What is not asked for is hidden, and counted."""
    visit.connect(PLAIN, name="oak")
    expect(visit.frames("joined")).to_be_visible()
    frames = visit.page.get_by_label("Frames", exact=True)

    frames.get_by_label("Filter frames").fill("joined guest")
    expect(visit.frames("connecting")).to_be_hidden()
    expect(visit.frames("joined")).to_be_visible()
    expect(frames).to_contain_text("1 of 3")
    frames.get_by_role("button", name="Clear").click()
    expect(visit.frames("joined")).to_have_count(0)


def test_frames_are_copied(visit: Visit, context: BrowserContext) -> None:
    """A line for each frame that is shown: time, direction, content."""
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit.connect(PLAIN, name="oak")
    expect(visit.frames("joined")).to_be_visible()
    frames = visit.page.get_by_label("Frames", exact=True)
    frames.get_by_label("Filter frames").fill("joined")
    frames.get_by_role("button", name="Copy", exact=True).click()
    expect(frames.get_by_role("button", name="Copied")).to_be_visible()

    copied = visit.page.evaluate("navigator.clipboard.readText()")
    line = r'\d+\.\d ms\treceived\t\{"type":"joined","name":"guest"\}'
    assert re.fullmatch(line, copied)


def test_a_server_that_stops_is_waited_for(context: BrowserContext) -> None:
    """The close is explained, and the page says when it tries again."""
    clock = App([WebSocketRoute("/clock", docs_page.Clock)], docs="/docs")
    with LiveServer(clock, stop_timeout=10, graceful_timeout=1) as server:
        visit = visit_of(context, server)
        visit.connect()
        visit.expect_state("Connected")

    expect(visit.frames("closed 1012")).to_contain_text("a client should return")
    state = visit.page.get_by_label("Connection", exact=True).get_by_role("status")
    expect(state).to_have_text(re.compile(r"Comes back in \d+ s…"))
    visit.page.get_by_role("button", name="Stop").click()
    expect(state).to_have_text("Not connected")
    visit.page.close()


def test_it_is_used_by_the_keyboard(visit: Visit) -> None:
    """Fill in, connect, and send with Ctrl+Enter, without a pointer."""
    visit.page.get_by_label(re.compile("^name")).first.focus()
    visit.page.keyboard.type("oak")
    visit.page.keyboard.press("Enter")
    visit.expect_state("Connected")
    visit.card("ask").get_by_label("question").focus()
    visit.page.keyboard.type("Why?")
    visit.page.keyboard.press("Control+Enter")

    answers = visit.page.get_by_label("Answers to ask")
    expect(answers).to_contain_text("12 items")


def test_it_fits_a_phone(visit: Visit) -> None:
    """Nothing is wider than the screen, and the frames are behind a switch."""
    visit.page.set_viewport_size({"width": 360, "height": 700})
    visit.connect(PLAIN, name="oak")
    visit.expect_state("Connected")
    expect(visit.frames("joined")).to_be_hidden()
    for shown in ("Consumer", "Frames"):
        visit.page.get_by_role("button", name=shown).click()
        width = visit.page.evaluate("document.scrollingElement.scrollWidth")
        assert width <= 360
    expect(visit.frames("joined")).to_be_visible()


def test_every_schema_makes_a_form(context: BrowserContext) -> None:
    """Whatever an application declares is shown, and what its forms say is JSON."""
    everything = App(list(applications.app.routes), docs="/docs")
    with LiveServer(everything, stop_timeout=10) as server:
        visit = visit_of(context, server)
        page = visit.page
        for link in page.get_by_role("navigation").get_by_role("link").all():
            link.click()
            for before, after in page.evaluate(WRITTEN):
                assert json.loads(before) == json.loads(after)
        assert visit.faults == []

        page.get_by_role("link", name="/chat/{channel}").click()
        rename = visit.card("rename")
        rename.get_by_role("button", name="Fill in the example").click()
        expect(rename.locator(".fields input").first).to_have_value("ann")
