"""Tests that let time pass, break the network, replace a provider."""

import pytest

from consumers import Identity
from consumers.testing import Closed, Refused, TestClient
from howto import background, providers, publish, refuse, slow

pytestmark = pytest.mark.anyio


async def test_time_passes_when_told() -> None:
    async with (
        TestClient(background.app) as client,
        client.connect("/ticker?every=60") as ws,
    ):
        await ws.receive_nothing()
        await client.advance(120)
        assert [await ws.receive(), await ws.receive()] == ["tick 1", "tick 2"]


async def test_a_refusal_has_a_status() -> None:
    async with TestClient(refuse.app) as client:
        with pytest.raises(Refused, match="401: b'who are you"):
            async with client.connect("/theatre"):
                pass


async def test_a_client_that_reads_nothing_is_let_go() -> None:
    async with (
        TestClient(slow.app) as client,
        client.connect("/feed") as feed,
        client.connect("/control") as control,
    ):
        await feed.stall()
        for number in range(200):
            await control.send({"number": number})
        await client.settle()
        await feed.resume()
        with pytest.raises(Closed, match="1013"):
            async for _message in feed:  # what fitted into the buffers
                pass


async def test_a_provider_is_replaced() -> None:
    fakes = {providers.database: lambda: providers.Database("a fake")}
    async with (
        TestClient(providers.app, overrides=fakes) as client,
        client.connect("/orders", headers={"x-tenant": "me"}) as ws,
    ):
        await ws.send("tea")
        assert await ws.receive() == "tea for me in a fake"


async def test_somebody_is_logged_in() -> None:
    async with (
        TestClient(publish.app) as client,
        client.connect("/prices/TEA", identity=Identity("42")) as ws,
    ):
        await publish.groups.publish_to_user("42", {"note": "hello"})
        assert await ws.receive(dict[str, str]) == {"note": "hello"}
