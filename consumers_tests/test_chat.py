"""The chat example in process: what its consumer promises, and what its page may do."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import pytest
from chat.app import LISTED, PAGE, app
from chat.history import History
from chat.messages import Here, Said, SomebodyTypes, Welcome

from consumers.testing import ClientConnection, TestClient

T = TypeVar("T")


@pytest.fixture
def room() -> str:
    """Return a room that nobody has been in."""
    return uuid4().hex


@pytest.fixture
async def client() -> AsyncIterator[TestClient]:
    async with TestClient(app) as client:
        yield client


@asynccontextmanager
async def entered(
    client: TestClient, room: str, name: str
) -> AsyncIterator[tuple[ClientConnection, list[Said]]]:
    """Enter a room; give the connection and what was said there before."""
    async with client.connect(f"/r/{room}", query={"name": name}) as ws:
        welcome = await ws.receive(Welcome)
        assert name in (await ws.receive(Here)).people
        yield ws, welcome.history


async def say(ws: ClientConnection, text: str) -> None:
    await ws.send({"type": "say", "text": text})


async def next_said(ws: ClientConnection) -> tuple[str, str]:
    said = await ws.receive(Said)
    return said.author, said.text


# -- rooms -----------------------------------------------------------------------------


async def test_what_is_said_reaches_everybody_in_the_room(
    client: TestClient, room: str
) -> None:
    """The speaker too gets it back, with the time and an id that the server gave it."""
    async with (
        entered(client, room, "Ana") as (ana, _),
        entered(client, room, "Bo") as (bo, _),
    ):
        await ana.receive(Here)
        await say(ana, "hello")

        heard = await ana.receive(Said)
        assert (heard.author, heard.text) == ("Ana", "hello")
        assert heard.at.tzinfo is not None
        assert await bo.receive(Said) == heard


async def test_rooms_are_apart(client: TestClient, room: str) -> None:
    """Nothing that happens in one room is seen in another."""
    async with (
        entered(client, room, "Ana") as (ana, _),
        entered(client, f"{room[:-2]}-2", "Bo") as (bo, _),
    ):
        await say(ana, "hello")

        assert await next_said(ana) == ("Ana", "hello")
        await bo.receive_nothing()


async def test_who_joins_gets_the_history_first(client: TestClient, room: str) -> None:
    """What was said before is the first message, in the order in which it was said."""
    async with entered(client, room, "Ana") as (ana, before):
        assert before == []
        for text in ("one", "two", "three"):
            await say(ana, text)
            await next_said(ana)

    async with entered(client, room, "Bo") as (_, history):
        assert [said.text for said in history] == ["one", "two", "three"]


def test_the_history_of_a_room_is_bounded() -> None:
    """Of each room only so many of the latest messages are kept."""
    history = History(messages=3)
    for number in range(10):
        history.add("lobby", Said("Ana", str(number)))

    assert [said.text for said in history.of("lobby")] == ["7", "8", "9"]


def test_the_number_of_rooms_with_a_history_is_bounded() -> None:
    """The room in which nothing was said for the longest time is forgotten."""
    history = History(rooms=2)
    for room in ("attic", "cellar", "attic", "hall"):
        history.add(room, Said("Ana", "hello"))

    assert [len(history.of(room)) for room in ("attic", "cellar", "hall")] == [2, 0, 1]


async def test_the_first_page_learns_how_many_are_where(client: TestClient) -> None:
    """`/rooms` counts the people in the listed rooms, and tells of no other."""
    async with entered(client, LISTED[1], "Ana"), entered(client, "secret", "Bo"):
        counts = (await client.request("GET", "/rooms")).json()

    assert counts == {room: int(room == LISTED[1]) for room in LISTED}


# -- people ----------------------------------------------------------------------------


async def test_everybody_learns_who_comes_and_goes(
    client: TestClient, room: str
) -> None:
    """The list of who is here is sent at each change, in the order of coming."""
    async with entered(client, room, "Ana") as (ana, _):
        async with entered(client, room, "Bo"):
            assert await ana.receive(Here) == Here(["Ana", "Bo"])

        assert await ana.receive(Here) == Here(["Ana"])


async def test_several_tabs_are_one_person(client: TestClient, room: str) -> None:
    """A name is listed once, and until its last tab is closed."""
    async with entered(client, room, "Ana") as (ana, _):
        async with entered(client, room, "Bo"):
            async with entered(client, room, "Bo"):
                for _ in range(2):
                    assert await ana.receive(Here) == Here(["Ana", "Bo"])

            assert await ana.receive(Here) == Here(["Ana", "Bo"])

        assert await ana.receive(Here) == Here(["Ana"])


async def test_who_loses_the_network_is_gone(client: TestClient, room: str) -> None:
    """A connection that breaks without a close counts no longer."""
    async with (
        entered(client, room, "Ana") as (ana, _),
        entered(client, room, "Bo") as (bo, _),
    ):
        await ana.receive(Here)
        await bo.drop()

        assert await ana.receive(Here) == Here(["Ana"])


async def test_who_types_is_told_to_the_others(client: TestClient, room: str) -> None:
    """A typing notice names its sender, and does not come back to it."""
    async with (
        entered(client, room, "Ana") as (ana, _),
        entered(client, room, "Bo") as (bo, _),
    ):
        await ana.receive(Here)
        await ana.send({"type": "typing"})

        assert await bo.receive(SomebodyTypes) == SomebodyTypes("Ana")
        await ana.receive_nothing()


async def test_who_gives_no_name_is_a_guest(client: TestClient, room: str) -> None:
    """A name need not be given."""
    async with client.connect(f"/r/{room}") as ws:
        await ws.receive(Welcome)
        assert await ws.receive(Here) == Here(["guest"])


# -- what is not taken -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "  ", " Ana", "Ana\nBo", "Ana\n", "x" * 41])
async def test_a_name_that_can_not_be_is_refused(
    client: TestClient, room: str, name: str
) -> None:
    """The page learns of it by close code 4400, which a script can read."""
    async with client.connect(f"/r/{room}", query={"name": name}) as ws:
        assert (await ws.receive_close()).code == 4400


@pytest.mark.parametrize("room", ["a.b", "x" * 33, "a b", "a%0A"])
async def test_a_room_that_can_not_be_is_refused(client: TestClient, room: str) -> None:
    """A room's name is short, and made of letters, digits, dashes and underscores."""
    async with client.connect(f"/r/{room}", query={"name": "Ana"}) as ws:
        assert (await ws.receive_close()).code == 4400


@pytest.mark.parametrize(
    "message",
    [
        {"type": "say", "text": ""},
        {"type": "say", "text": " \n "},
        {"type": "say", "text": "x" * 2001},
        {"type": "said", "author": "Bo", "text": "I am Bo"},
    ],
)
async def test_a_message_that_can_not_be_closes(
    client: TestClient, room: str, message: dict[str, str]
) -> None:
    """Only the page's own messages are taken, and nothing of others is kept."""
    async with entered(client, room, "Ana") as (ana, _):
        await ana.send(message)
        assert (await ana.receive_close()).code == 1008

    async with entered(client, room, "Bo") as (_, history):
        assert history == []


# -- the page --------------------------------------------------------------------------

SCRIPTS = sorted(PAGE.glob("*.js"))
PAGES = sorted(PAGE.glob("*.html"))


def references(page: Path) -> Iterator[str]:
    """Yield the address of each file that a page names."""
    yield from re.findall(r'(?:src|href)="([^"#]+)"', page.read_text())


@pytest.mark.parametrize("path", ["/", "/r/lobby"])
async def test_pages_allow_nothing_but_their_own_files(
    client: TestClient, path: str
) -> None:
    """The policy lets in no inline script or style, and no text is taken for HTML."""
    response = await client.request("GET", path)
    policy = response.headers["content-security-policy"].split("; ")

    assert response.status == 200
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert not [rule for rule in policy if "unsafe" in rule or "*" in rule]


async def test_every_file_that_a_page_names_is_served(client: TestClient) -> None:
    """All of them are ours: addresses without a host."""
    named = {address for page in PAGES for address in references(page)}

    assert named >= {"/static/style.css", "/static/room.js", "/static/icon.svg"}
    for address in named:
        assert (await client.request("GET", address)).status == 200


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.name))
def test_scripts_write_text_and_never_html(script: Path) -> None:
    """No script has a word by which text could become HTML or code."""
    words = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|Function\("
    )

    assert re.findall(words, script.read_text()) == []
