"""The same tests of the rooms with consumers."""

import pytest

from consumers.testing import Refused, TestClient
from migrating.after_fastapi import Said, Say, app

pytestmark = pytest.mark.anyio


async def test_what_is_said_reaches_everybody() -> None:
    async with (
        TestClient(app) as client,
        client.connect("/rooms/tea?token=t-ada") as ada,
        client.connect("/rooms/tea?token=t-bob") as bob,
    ):
        await ada.send(Say("hello"))
        assert await ada.receive(Said) == Said("ada", "hello")
        assert await bob.receive(Said) == Said("ada", "hello")


async def test_who_has_no_token_stays_outside() -> None:
    async with TestClient(app) as client:
        with pytest.raises(Refused) as refused:
            async with client.connect("/rooms/tea"):
                pass
    assert refused.value.status == 403
