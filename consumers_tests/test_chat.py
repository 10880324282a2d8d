"""The chat example in process: what its consumer promises, and what its page may do."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import pytest
from chat.app import LATEST, LISTED, PAGE, app, groups, spoken
from chat.messages import Moves, Said, SomebodyTypes, Taken, Welcome
from msgspec import Struct

from consumers.testing import ClientConnection, TestClient

T = TypeVar("T")

GONE = 3.0
"""Seconds after which somebody who left is told to have left."""


class Line(Struct):
    """What is said in a room, as it comes to a page."""

    group: str
    position: str
    message: Said


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
    client: TestClient, room: str, name: str, since: str = ""
) -> AsyncIterator[tuple[ClientConnection, Welcome]]:
    """Enter a room; give the connection and its first message, once all know."""
    query = {"name": name, **({"since": since} if since else {})}
    async with client.connect(f"/r/{room}", query=query) as ws:
        welcome = await ws.receive(Welcome)
        assert name in welcome.people
        yield ws, welcome


async def arrivals(client: TestClient, *pages: ClientConnection) -> None:
    """Let everybody be told who has come, and forget that they were."""
    await client.advance(1)
    for page in pages:
        await page.receive(Moves)


async def say(ws: ClientConnection, text: str, line: str = "") -> None:
    await ws.send({"type": "say", "text": text, "id": line or uuid4().hex})


async def said(ws: ClientConnection) -> str:
    """Wait for one's own line, and for the word that it is taken."""
    line = await ws.receive(Line)
    assert await ws.receive(Taken) == Taken(line.message.id)
    return line.position


async def lines(ws: ClientConnection, count: int) -> list[str]:
    return [(await ws.receive(Line)).message.text for _ in range(count)]


# -- rooms -----------------------------------------------------------------------------


async def test_what_is_said_reaches_everybody_in_the_room(
    client: TestClient, room: str
) -> None:
    """The speaker too gets it back, with the time and the position in the history."""
    async with (
        entered(client, room, "Ana") as (ana, _),
        entered(client, room, "Bo") as (bo, _),
    ):
        await arrivals(client, ana, bo)
        await say(ana, "hello", "line-1")

        heard = await ana.receive(Line)
        assert (heard.message.author, heard.message.text) == ("Ana", "hello")
        assert heard.message.at.tzinfo is not None
        assert await bo.receive(Line) == heard
        assert await ana.receive(Taken) == Taken("line-1")
        await bo.receive_nothing()


async def test_a_line_that_is_sent_twice_is_said_once(
    client: TestClient, room: str
) -> None:
    """A page that does not know whether its line arrived may send it again."""
    async with entered(client, room, "Ana") as (ana, _):
        await arrivals(client, ana)
        await say(ana, "hello", "line-1")
        await said(ana)
        await say(ana, "hello", "line-1")

        assert await ana.receive(Taken) == Taken("line-1")
        await ana.receive_nothing()
        assert len((await groups.history(spoken(room))).publications) == 1


async def test_rooms_are_apart(client: TestClient, room: str) -> None:
    """Nothing that happens in one room is seen in another."""
    async with (
        entered(client, room, "Ana") as (ana, _),
        entered(client, f"{room[:-2]}-2", "Bo") as (bo, _),
    ):
        await arrivals(client, ana, bo)
        await say(ana, "hello")

        await said(ana)
        await bo.receive_nothing()


async def test_who_comes_for_the_first_time_gets_the_latest_lines(
    client: TestClient, room: str
) -> None:
    """As many as a page wants, in the order in which they were said."""
    texts = [str(number) for number in range(LATEST + 3)]
    for text in texts:
        await groups.publish(spoken(room), Said("Ana", text, text))

    async with entered(client, room, "Bo") as (bo, welcome):
        assert (welcome.recovered, welcome.replayed) == (False, LATEST)
        assert await lines(bo, LATEST) == texts[3:]


async def test_who_returns_gets_what_was_missed(client: TestClient, room: str) -> None:
    """With the position of the last line it had, a page gets the lines after it."""
    async with entered(client, room, "Ana") as (ana, _):
        await arrivals(client, ana)
        async with entered(client, room, "Bo") as (bo, _):
            await arrivals(client, ana, bo)
            await say(ana, "one")
            position = await said(ana)
            assert await lines(bo, 1) == ["one"]
        for text in ("two", "three"):
            await say(ana, text)
            await said(ana)

        async with entered(client, room, "Bo", position) as (bo, welcome):
            assert (welcome.recovered, welcome.replayed) == (True, 2)
            assert await lines(bo, 2) == ["two", "three"]


async def test_who_missed_nothing_is_told_so(client: TestClient, room: str) -> None:
    """The first message says where the room stands, also where nobody has spoken."""
    async with entered(client, room, "Ana") as (_, welcome):
        assert welcome.replayed == 0

    async with entered(client, room, "Ana", welcome.position) as (ana, again):
        assert (again.recovered, again.replayed) == (True, 0)
        await ana.receive_nothing()


async def test_what_can_not_be_recovered_is_told(client: TestClient, room: str) -> None:
    """A position of a history that is lost gets the latest lines, and is told so."""
    await groups.publish(spoken(room), Said("Ana", "new", "line-1"))

    async with entered(client, room, "Bo", "17.elsewhere") as (bo, welcome):
        assert (welcome.recovered, welcome.replayed) == (False, 1)
        assert await lines(bo, 1) == ["new"]


async def test_the_first_page_learns_how_many_are_where(client: TestClient) -> None:
    """`/rooms` counts the people in the listed rooms, and tells of no other."""
    async with entered(client, LISTED[1], "Ana"), entered(client, "secret", "Bo"):
        counts = (await client.request("GET", "/rooms")).json()

    assert counts == {room: int(room == LISTED[1]) for room in LISTED}


# -- people ----------------------------------------------------------------------------


async def test_everybody_learns_who_comes_and_goes(
    client: TestClient, room: str
) -> None:
    """Who was there first is told of who came, and some seconds later of who left."""
    async with entered(client, room, "Ana") as (ana, _):
        await arrivals(client, ana)
        async with entered(client, room, "Bo") as (_, welcome):
            assert welcome.people == ["Ana", "Bo"]
            await client.advance(1)
            assert await ana.receive(Moves) == Moves(["Bo"], [])

        await ana.receive_nothing()
        await client.advance(GONE)
        assert await ana.receive(Moves) == Moves([], ["Bo"])


async def test_who_leaves_soon_after_another_is_told_too(
    client: TestClient, room: str
) -> None:
    """Of each it is told, whoever else has left in the seconds before."""
    async with entered(client, room, "Ana") as (ana, _):
        await client.advance(1)
        async with entered(client, room, "Bo"):
            async with entered(client, room, "Cy"):
                await client.advance(1)
            await client.advance(1)
        for _ in range(2):
            await ana.receive(Moves)

        await client.advance(2 * GONE)
        went = (await ana.receive(Moves)).went + (await ana.receive(Moves)).went
        assert went == ["Cy", "Bo"]


async def test_a_reload_is_no_leaving(client: TestClient, room: str) -> None:
    """Who is back within two seconds was never gone, for the others."""
    async with entered(client, room, "Ana") as (ana, _):
        await arrivals(client, ana)
        async with entered(client, room, "Bo"):
            await arrivals(client, ana)
        await client.advance(1)

        async with entered(client, room, "Bo"):
            await client.advance(GONE)
            assert await ana.receive(Moves) == Moves(["Bo"], [])  # whom the page knows
            await ana.receive_nothing()


async def test_who_comes_during_a_reload_sees_who_reloads(
    client: TestClient, room: str
) -> None:
    """Two pages that are reloaded at once have each other in their lists."""
    async with entered(client, room, "Ana"), entered(client, room, "Bo"):
        await client.advance(1)

    async with (
        entered(client, room, "Ana") as (ana, seen_by_ana),
        entered(client, room, "Bo") as (_, seen_by_bo),
    ):
        await client.advance(1)
        told = await ana.receive(Moves)

        assert sorted({*seen_by_ana.people, *told.came}) == ["Ana", "Bo"]
        assert sorted(seen_by_bo.people) == ["Ana", "Bo"]


async def test_several_tabs_are_one_person(client: TestClient, room: str) -> None:
    """A name is listed once, and until its last tab is closed."""
    async with entered(client, room, "Ana") as (ana, _):
        await arrivals(client, ana)
        async with entered(client, room, "Bo"):
            await arrivals(client, ana)
            async with entered(client, room, "Bo") as (_, welcome):
                assert welcome.people == ["Ana", "Bo"]

            await client.advance(GONE)
            await ana.receive_nothing()

        await client.advance(GONE)
        assert await ana.receive(Moves) == Moves([], ["Bo"])


async def test_who_loses_the_network_is_gone(client: TestClient, room: str) -> None:
    """A connection that breaks without a close counts no longer."""
    async with (
        entered(client, room, "Ana") as (ana, _),
        entered(client, room, "Bo") as (bo, _),
    ):
        await arrivals(client, ana)
        await bo.drop()
        await client.advance(GONE)

        assert await ana.receive(Moves) == Moves([], ["Bo"])


async def test_who_types_is_told_to_the_others(client: TestClient, room: str) -> None:
    """A typing notice names its sender, and does not come back to it."""
    async with (
        entered(client, room, "Ana") as (ana, _),
        entered(client, room, "Bo") as (bo, _),
    ):
        await arrivals(client, ana, bo)
        await ana.send({"type": "typing"})

        assert await bo.receive(SomebodyTypes) == SomebodyTypes("Ana")
        await ana.receive_nothing()


async def test_who_gives_no_name_is_a_guest(client: TestClient, room: str) -> None:
    """A name need not be given."""
    async with client.connect(f"/r/{room}") as ws:
        assert (await ws.receive(Welcome)).people == ["guest"]


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
        {"type": "say", "id": "1", "text": ""},
        {"type": "say", "id": "1", "text": " \n "},
        {"type": "say", "id": "1", "text": "x" * 2001},
        {"type": "say", "id": "x" * 37, "text": "hello"},
        {"type": "said", "id": "1", "author": "Bo", "text": "I am Bo"},
    ],
)
async def test_a_message_that_can_not_be_closes(
    client: TestClient, room: str, message: dict[str, str]
) -> None:
    """Only the page's own messages are taken, and nothing of others is kept."""
    async with entered(client, room, "Ana") as (ana, _):
        await ana.send(message)
        assert (await ana.receive_close()).code == 1008

    async with entered(client, room, "Bo") as (_, welcome):
        assert welcome.replayed == 0


@pytest.mark.parametrize("since", ["17", "x.y", "-1.abc", "17.a b"])
async def test_a_position_that_can_not_be_is_refused(
    client: TestClient, room: str, since: str
) -> None:
    """What no server has given is a mistake, and not a history that is lost."""
    async with client.connect(f"/r/{room}", query={"since": since}) as ws:
        assert (await ws.receive_close()).code == 4400


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
