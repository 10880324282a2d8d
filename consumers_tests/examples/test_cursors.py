"""The cursor board in process: who sees which pointers, and how often."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import pytest
from cursors.app import app

from consumers.testing import ClientConnection, TestClient

VISITORS = 8
RATE = 30
"""Batches that somebody may get in a second."""


@pytest.fixture
async def client() -> AsyncIterator[TestClient]:
    async with TestClient(app) as client:
        yield client


@pytest.fixture
def board() -> str:
    return f"/{uuid4().hex}/live"


async def drain(client: TestClient, ws: ClientConnection) -> list[Any]:
    """Return the messages that have come."""
    await client.settle()
    await ws.send({"type": "look", "name": "end", "hue": 0})
    await client.advance(1)
    messages: list[Any] = []
    while True:
        message = await ws.receive_json()
        if isinstance(message, dict) and any(
            each["name"] == "end" for each in message.get("here", ())
        ):
            return messages
        messages.append(message)


async def test_everybody_sees_all_pointers_thirty_times_a_second(
    client: TestClient, board: str
) -> None:
    """Whoever moves how fast: a list of the others' latest places, 30 times a second.

    Each visitor moves 100 times a second for a second.
    """
    async with AsyncExitStack() as stack:
        pages = []
        for number in range(VISITORS):
            connecting = client.connect(board, query={"name": f"v{number}"})
            pages.append(await stack.enter_async_context(connecting))
        own = [(await page.receive_json())["you"] for page in pages]
        await client.advance(1)  # all know of all

        for step in range(100):
            for page in pages:
                await page.send({"type": "move", "x": step / 100, "y": 0.5})
            await client.advance(0.01)
        await client.advance(1)

        for page, who in zip(pages, own, strict=True):
            batches = [m for m in await drain(client, page) if isinstance(m, list)]
            last = {each["who"]: each["x"] for batch in batches for each in batch}
            assert len(batches) <= RATE + 2  # at both ends of the second
            assert len(batches) >= RATE - 2
            assert last == dict.fromkeys(set(own) - {who}, 0.99)
            for batch in batches:
                names = [each["who"] for each in batch]
                assert len(set(names)) == len(names)


async def test_who_is_here_has_a_name_and_a_colour(
    client: TestClient, board: str
) -> None:
    """The first message lists all visitors; who comes, changes and leaves is told."""
    query = {"name": "Ana", "hue": "120"}
    async with client.connect(board, query=query) as ana:
        first = await ana.receive_json()
        me = {"who": first["you"], "name": "Ana", "hue": 120}
        assert first["visitors"] == [me]
        await client.advance(1)
        assert await ana.receive_json() == {
            "type": "visitors",
            "here": [me],
            "left": [],
        }

        async with client.connect(board, query={"name": "Bo"}) as bo:
            welcome = await bo.receive_json()
            assert [each["name"] for each in welcome["visitors"]] == ["Ana", "Bo"]
            await client.advance(1)
            told = await ana.receive_json()
            assert [each["name"] for each in told["here"]] == ["Bo"]

            await bo.send({"type": "look", "name": "Bob", "hue": 7})
            await client.advance(1)
            told = await ana.receive_json()
            assert told["here"] == [{"who": welcome["you"], "name": "Bob", "hue": 7}]

        await client.advance(1)
        assert await ana.receive_json() == {
            "type": "visitors",
            "here": [],
            "left": [welcome["you"]],
        }


async def test_boards_are_apart(client: TestClient, board: str) -> None:
    """Who is on one board sees nothing of another."""
    async with client.connect(board) as ana, client.connect("/other/live") as bo:
        await client.advance(1)
        await drain(client, bo)
        await ana.send({"type": "move", "x": 0.5, "y": 0.5})
        await client.advance(1)
        await bo.receive_nothing()


@pytest.mark.parametrize(
    "message",
    [
        {"type": "move", "x": 2, "y": 0},
        {"type": "move", "x": 0},
        {"type": "look", "name": "x" * 25, "hue": 0},
        {"type": "look", "name": "Ana", "hue": 360},
    ],
)
async def test_what_can_not_be_closes(
    client: TestClient, board: str, message: dict[str, Any]
) -> None:
    """A place off the board, and a name or colour that is none, close with 1008."""
    async with client.connect(board) as ws:
        await ws.receive_json()
        await ws.send(message)
        assert (await ws.receive_close()).code == 1008


async def test_the_page_is_served(client: TestClient) -> None:
    """Each board has its page, with all that it needs in it."""
    for path in ("/", "/sketch"):
        response = await client.request("GET", path)
        assert response.status == 200
        assert b"https://" not in response.body
