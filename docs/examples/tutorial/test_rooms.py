"""Tests of the chat."""

import pytest

from consumers.testing import TestClient
from rooms import Left, Said, Say, app

pytestmark = pytest.mark.anyio


async def test_what_is_said_reaches_everybody() -> None:
    async with (
        TestClient(app) as client,
        client.connect("/chat/lobby?name=Ada") as ada,
        client.connect("/chat/lobby?name=Bob") as bob,
    ):
        await ada.send(Say("hello"))
        assert await ada.receive(Said) == Said("Ada", "hello")
        assert await bob.receive(Said) == Said("Ada", "hello")


async def test_other_channels_hear_nothing() -> None:
    async with (
        TestClient(app) as client,
        client.connect("/chat/lobby") as lobby,
        client.connect("/chat/attic") as attic,
    ):
        await lobby.send(Say("hello"))
        await lobby.receive(Said)
        await attic.receive_nothing()


async def test_who_vanishes_has_left() -> None:
    async with (
        TestClient(app) as client,
        client.connect("/chat/lobby") as ada,
        client.connect("/chat/lobby?name=Bob") as bob,
    ):
        await bob.drop()
        assert await ada.receive(Left) == Left("Bob")
