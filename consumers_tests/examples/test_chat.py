"""The chat example in process: what its consumer promises."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from chat.app import LATEST, LISTED, app, groups, spoken
from chat.messages import Back, Moves, Said
from msgspec import convert

from consumers.testing import TestClient
from consumers_tests.examples.chatting import arrivals, connected, entered

GONE = 3.0
"""Seconds after which somebody who left is told to have left."""


@pytest.fixture
def room() -> str:
    """Return a room that nobody has been in."""
    return uuid4().hex


@pytest.fixture
async def client() -> AsyncIterator[TestClient]:
    async with TestClient(app) as client:
        yield client


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
        await ana.say("hello", "line-1")

        heard = await ana.line()
        assert (heard.message.author, heard.message.text) == ("Ana", "hello")
        assert (heard.group, heard.message.id) == (f"chat.{room}", "line-1")
        assert heard.message.at.tzinfo is not None
        assert await bo.line() == heard
        await bo.ws.receive_nothing()


@pytest.mark.parametrize("keys", [("key", "key"), ("key", "another")])
async def test_a_line_that_is_sent_twice_is_said_once(
    client: TestClient, room: str, keys: tuple[str, str]
) -> None:
    """By itself or by its writer, the page sends again what it knows nothing of."""
    async with entered(client, room, "Ana") as (ana, _):
        await arrivals(client, ana)
        await ana.say("hello", "line-1", keys[0])
        position = await ana.said()
        await ana.say("hello", "line-1", keys[1])

        assert (await ana.message("reply"))["message"]["position"] == position
        await ana.ws.receive_nothing()
        assert len((await groups.history(spoken(room))).publications) == 1


async def test_rooms_are_apart(client: TestClient, room: str) -> None:
    """Nothing that happens in one room is seen in another."""
    async with (
        entered(client, room, "Ana") as (ana, _),
        entered(client, f"{room[:-2]}-2", "Bo") as (bo, _),
    ):
        await arrivals(client, ana, bo)
        await ana.say("hello")

        await ana.said()
        await bo.ws.receive_nothing()


@pytest.mark.parametrize("group", ["chat.elsewhere", "here.elsewhere"])
async def test_a_connection_is_for_one_room(
    client: TestClient, room: str, group: str
) -> None:
    """Nobody listens at the doors of others."""
    async with connected(client, room, "Ana") as ana:
        await ana.ask(type="subscribe", group=group)

        assert (await ana.message("error"))["code"] == "not_allowed"


async def test_who_comes_for_the_first_time_gets_the_latest_lines(
    client: TestClient, room: str
) -> None:
    """As many as a page wants, in the order in which they were said."""
    texts = [str(number) for number in range(LATEST + 3)]
    for text in texts:
        await groups.publish(spoken(room), Said("Ana", text, text))

    async with entered(client, room, "Bo") as (bo, subscribed):
        assert not subscribed["recovered"]
        assert await bo.lines(LATEST) == texts[3:]


async def test_who_returns_gets_what_was_missed(client: TestClient, room: str) -> None:
    """With the position of the last line it had, a page gets the lines after it."""
    async with entered(client, room, "Ana") as (ana, _):
        await arrivals(client, ana)
        await ana.say("one")
        position = await ana.said()
        for text in ("two", "three"):
            await ana.say(text)
            await ana.said()

        async with connected(client, room, "Bo") as bo:
            subscribed = await bo.return_to(position)
            assert subscribed["recovered"]
            assert await bo.lines(2) == ["two", "three"]


async def test_who_returns_learns_what_is_new(client: TestClient, room: str) -> None:
    """What was missed is older than the time that comes first, what follows is not."""
    await groups.publish(spoken(room), Said("Ana", "had", "1"))
    position = (await groups.history(spoken(room))).position
    await groups.publish(spoken(room), Said("Ana", "missed", "2"))

    async with connected(client, room, "Bo") as bo:
        await bo.ask(type="subscribe", group=f"chat.{room}", position=str(position))
        back = convert(await bo.pushed(), Back)
        await bo.message("subscribed")
        await groups.publish(spoken(room), Said("Ana", "new", "3"))

        missed, new = await bo.line(), await bo.line()
        assert missed.message.at < back.at <= new.message.at


async def test_who_missed_nothing_is_told_so(client: TestClient, room: str) -> None:
    """The room says where it stands, also where nobody has spoken."""
    async with entered(client, room, "Ana") as (_, subscribed):
        position = subscribed["position"]

    async with connected(client, room, "Ana") as ana:
        again = await ana.return_to(position)
        assert (again["recovered"], again["position"]) == (True, position)
        await ana.ws.receive_nothing()


async def test_what_can_not_be_recovered_is_told(client: TestClient, room: str) -> None:
    """A position of a history that is lost gets the latest lines, and is told so."""
    await groups.publish(spoken(room), Said("Ana", "new", "line-1"))

    async with connected(client, room, "Bo") as bo:
        await bo.ask(type="subscribe", group=f"chat.{room}", position="17.elsewhere")
        assert not (await bo.message("subscribed"))["recovered"]
        assert await bo.lines(1) == ["new"]


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
        async with entered(client, room, "Bo") as (bo, _):
            assert bo.people == ["Ana", "Bo"]
            await client.advance(1)
            assert await ana.moves() == Moves(["Bo"], [])

        await ana.ws.receive_nothing()
        await client.advance(GONE)
        assert await ana.moves() == Moves([], ["Bo"])


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
            await ana.moves()

        await client.advance(2 * GONE)
        went = (await ana.moves()).went + (await ana.moves()).went
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
            assert await ana.moves() == Moves(["Bo"], [])  # whom the page knows
            await ana.ws.receive_nothing()


async def test_who_comes_during_a_reload_sees_who_reloads(
    client: TestClient, room: str
) -> None:
    """Two pages that are reloaded at once have each other in their lists."""
    async with entered(client, room, "Ana"), entered(client, room, "Bo"):
        await client.advance(1)

    async with (
        entered(client, room, "Ana") as (ana, _),
        entered(client, room, "Bo") as (bo, _),
    ):
        await client.advance(1)
        told = await ana.moves()

        assert sorted({*ana.people, *told.came}) == ["Ana", "Bo"]
        assert sorted(bo.people) == ["Ana", "Bo"]


async def test_several_tabs_are_one_person(client: TestClient, room: str) -> None:
    """A name is listed once, and until its last tab is closed."""
    async with entered(client, room, "Ana") as (ana, _):
        await arrivals(client, ana)
        async with entered(client, room, "Bo"):
            await arrivals(client, ana)
            async with entered(client, room, "Bo") as (bo, _):
                assert bo.people == ["Ana", "Bo"]

            await client.advance(GONE)
            await ana.ws.receive_nothing()

        await client.advance(GONE)
        assert await ana.moves() == Moves([], ["Bo"])


async def test_who_loses_the_network_is_gone(client: TestClient, room: str) -> None:
    """A connection that breaks without a close counts no longer."""
    async with (
        entered(client, room, "Ana") as (ana, _),
        entered(client, room, "Bo") as (bo, _),
    ):
        await arrivals(client, ana)
        await bo.ws.drop()
        await client.advance(GONE)

        assert await ana.moves() == Moves([], ["Bo"])


async def test_who_types_is_told_to_the_others(client: TestClient, room: str) -> None:
    """A typing notice names its sender, and does not come back to it."""
    async with (
        entered(client, room, "Ana") as (ana, _),
        entered(client, room, "Bo") as (bo, _),
    ):
        await arrivals(client, ana, bo)
        await ana.ws.send({"type": "message", "message": {"type": "typing"}})

        notice = {"group": f"here.{room}", "message": {"type": "types", "name": "Ana"}}
        assert await bo.message("publication") == notice
        await ana.ws.receive_nothing()


async def test_who_gives_no_name_is_a_guest(client: TestClient, room: str) -> None:
    """A name need not be given."""
    async with connected(client, room) as tab:
        await tab.enter()
        assert tab.people == ["guest"]


# -- what is not taken -----------------------------------------------------------------


async def refusal(client: TestClient, room: str, name: str) -> int:
    """Return the close code that a page gets, which a script can read."""
    async with client.connect(
        f"/r/{room}", query={"name": name}, subprotocols=["consumers.v1+json"]
    ) as ws:
        goodbye = await ws.receive_json()
        assert (goodbye["type"], goodbye["reconnect"]) == ("goodbye", False)
        return (await ws.receive_close()).code


@pytest.mark.parametrize("name", ["", "  ", " Ana", "Ana\nBo", "Ana\n", "x" * 41])
async def test_a_name_that_can_not_be_is_refused(
    client: TestClient, room: str, name: str
) -> None:
    """The page learns of it, and that it need not try again."""
    assert await refusal(client, room, name) == 4400


@pytest.mark.parametrize("room", ["a.b", "x" * 33, "a b", "a%0A"])
async def test_a_room_that_can_not_be_is_refused(client: TestClient, room: str) -> None:
    """A room's name is short, and made of letters, digits, dashes and underscores."""
    assert await refusal(client, room, "Ana") == 4400


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"type": "say", "id": "1", "text": ""}, "invalid_message"),
        ({"type": "say", "id": "1", "text": " \n "}, "invalid_message"),
        ({"type": "say", "id": "1", "text": "x" * 2001}, "invalid_message"),
        ({"type": "say", "id": "x" * 37, "text": "hello"}, "invalid_message"),
        ({"type": "said", "id": "1", "author": "Bo", "text": "Bo!"}, "unknown_type"),
    ],
)
async def test_a_message_that_can_not_be_is_answered(
    client: TestClient, room: str, message: dict[str, str], code: str
) -> None:
    """Only the page's own messages are taken; the conversation goes on after others."""
    async with entered(client, room, "Ana") as (ana, _):
        await arrivals(client, ana)
        await ana.ask(type="request", message=message)
        assert (await ana.message("error"))["code"] == code

        await ana.say("well then")
        await ana.said()
    assert len((await groups.history(spoken(room))).publications) == 1


@pytest.mark.parametrize("position", ["17", "x.y", "-1.abc", "17.a b"])
async def test_a_position_that_can_not_be_is_refused(
    client: TestClient, room: str, position: str
) -> None:
    """What no server has given is a mistake, and not a history that is lost."""
    async with connected(client, room, "Ana") as ana:
        await ana.ask(type="subscribe", group=f"chat.{room}", position=position)

        assert (await ana.message("error"))["code"] == "invalid_message"
