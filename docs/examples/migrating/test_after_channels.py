"""The same test of the chat with consumers."""

import pytest

from consumers import Identity
from consumers.testing import TestClient
from migrating.after_channels import Say, app
from migrating.after_groups import Said


@pytest.mark.anyio
@pytest.mark.usefixtures("database")
async def test_what_is_said_reaches_everybody() -> None:
    async with (
        TestClient(app) as client,
        client.connect("/ws/chat/tea", identity=Identity("1", name="ada")) as ada,
        client.connect("/ws/chat/tea", identity=Identity("2", name="bob")) as bob,
    ):
        await ada.send(Say("hello"))
        assert await ada.receive(Said) == Said("ada", "hello")
        assert await bob.receive(Said) == Said("ada", "hello")
        await bob.receive_nothing()
