"""The price feed in process: readers that keep up, and readers that don't."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from prices.app import app, market

from consumers.testing import ClientConnection, TestClient

SYMBOLS = 200
BUFFER = 4


@pytest.fixture
async def client() -> AsyncIterator[TestClient]:
    async with TestClient(app) as client:
        yield client


def latest() -> dict[str, float]:
    return {symbol: share.price for symbol, share in market.shares.items()}


async def snapshot(ws: ClientConnection) -> dict[str, dict[str, Any]]:
    message = await ws.receive_json()
    assert message["type"] == "snapshot"
    return {share["symbol"]: share for share in message["shares"]}


async def waiting(client: TestClient, ws: ClientConnection) -> list[Any]:
    """Return the changes that have come."""
    await client.settle()
    changes = []
    while ws._transport.unread:
        changes.append(await ws.receive_json())
    return changes


async def test_the_snapshot_comes_first_and_every_change_after_it(
    client: TestClient,
) -> None:
    """A reader that keeps up gets all prices, and then each change of each."""
    async with client.connect("/prices") as ws:
        known = await snapshot(ws)
        assert len(known) == SYMBOLS

        changes = 0
        for _ in range(100):
            await client.advance(0.02)
            for change in await waiting(client, ws):
                changes += 1
                share = known[change["symbol"]]
                assert change["change"] == share["change"] + 1
                share.update(change)

        assert {symbol: share["price"] for symbol, share in known.items()} == latest()
        assert changes == 100 * 3


async def test_a_stalled_reader_gets_the_latest_of_each(client: TestClient) -> None:
    """Whatever it missed, no more than one price of each symbol waits for it."""
    async with (
        client.connect("/prices") as stalled,
        client.connect("/prices") as fast,
    ):
        known = await snapshot(stalled)
        await snapshot(fast)
        await stalled.stall(BUFFER)
        received = 0
        for _ in range(20):
            await client.advance(0.5)
            received += len(await waiting(client, fast))
        assert received == 20 * 25 * 3

        await stalled.resume()
        changes = await waiting(client, stalled)

        # What is on its way to a reader can't be called back: so many and one more.
        assert len(changes) <= SYMBOLS + BUFFER + 1
        for change in changes:
            known[change["symbol"]].update(change)
        assert {symbol: share["price"] for symbol, share in known.items()} == latest()


async def test_nobody_who_reads_slowly_is_closed(client: TestClient) -> None:
    """After it has caught up, a slow reader gets every change again."""
    async with client.connect("/prices") as ws:
        await snapshot(ws)
        await ws.stall(0)
        await client.advance(10)
        await ws.resume()
        await waiting(client, ws)

        await client.advance(1)

        assert len(await waiting(client, ws)) == 50 * 3


async def test_a_reader_sends_nothing(client: TestClient) -> None:
    """A message from a reader closes with 1003."""
    async with client.connect("/prices") as ws:
        await snapshot(ws)
        await ws.send("hello")
        await waiting(client, ws)
        assert (await ws.receive_close()).code == 1003


async def test_the_page_is_served(client: TestClient) -> None:
    """It has all that it needs in it."""
    response = await client.request("GET", "/")
    assert response.status == 200
    assert b"https://" not in response.body
