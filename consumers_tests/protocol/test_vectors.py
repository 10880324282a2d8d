"""The examples of the specification hold: on each event loop, in both codecs, live."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest

from consumers.close import CLOSE_CODES, should_return
from consumers.testing import LiveServer, TestClient

from .application import make_app
from .holding import InProcess, OverSockets, SocketPeer
from .vectors import CONVERSATIONS, PAGE, Conversation, Names, Step

CASES = [
    (conversation, codec)
    for conversation in CONVERSATIONS
    for codec in conversation.codecs
]
ROW = re.compile(r"^\| (\d{4}) \| (.*?) \| .* \| (.*) \|$", re.MULTILINE)


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def server(request: pytest.FixtureRequest) -> Iterator[LiveServer]:
    """Serve the application, on uvicorn and on trio."""
    with LiveServer(make_app(), backend=request.param, access_log=False) as server:
        yield server


@pytest.mark.parametrize(("conversation", "codec"), CASES, ids=str)
async def test_in_process(conversation: Conversation, codec: str) -> None:
    """A conversation goes as the page shows it."""
    foreseen = Step("", "close", 1011) not in conversation.steps
    async with (
        TestClient(make_app(), raise_server_exceptions=foreseen) as client,
        AsyncExitStack() as stack,
    ):
        await InProcess(client, codec, stack).hold(conversation)


@pytest.mark.parametrize(
    ("conversation", "codec"),
    [case for case in CASES if not case[0].lasts],
    ids=str,
)
def test_live(server: LiveServer, conversation: Conversation, codec: str) -> None:
    """It goes so over a socket, too."""
    url = server.url("")

    OverSockets(lambda: SocketPeer(url, codec)).hold(conversation)


def test_the_page_has_examples() -> None:
    """Blocks with arrows are found, each with something that is expected."""
    expecting = [
        conversation
        for conversation in CONVERSATIONS
        if any(step.kind in ("receive", "close") for step in conversation.steps)
    ]

    assert len(expecting) == len(CONVERSATIONS) > 25


@pytest.mark.parametrize(
    ("shown", "got"),
    [
        ({"a": "…"}, {}),
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": 1}, {"a": True}),
        ({"a": [1, 2]}, {"a": [1]}),
        (["«one»", "«one»"], ["1", "2"]),
        ("«known»", "something else"),
        ("lobby", "hall"),
        (1, 2),
    ],
)
def test_what_does_not_fit(shown: object, got: object) -> None:
    """A conversation that goes otherwise is noticed."""
    names = Names(lambda: "known", "lobby")
    assert names.sent("«known»") == "known"

    assert not names.fits(shown, got)


def test_close_codes_of_the_page() -> None:
    """All that have a meaning stand there, and with the right advice."""
    rows = ROW.findall(PAGE.read_text())
    advice = {int(code): returns for code, _, returns in rows}
    names = {int(code): name for code, name, _ in rows}

    assert {
        code: row.name for code, row in CLOSE_CODES.items()
    }.items() <= names.items()
    assert {code for code in range(4000, 5000) if should_return(code)} <= names.keys()
    assert {code for code, told in advice.items() if told != "no"} == {
        4401,
        *(code for code in names if should_return(code)),
    }
    assert advice[4401] == "with a new one, once"
