"""Admission: what a handshake must pass before the application sees it."""

import pytest

from consumers import App, WebSocketConsumer, WebSocketRoute
from consumers.testing import Refused, TestClient


async def test_who_is_not_admitted_reaches_nothing_of_the_application() -> None:
    """A page of another site is refused before its parameters are looked at."""
    reached: list[str] = []

    class Quiet(WebSocketConsumer):
        async def on_handshake(self, times: int) -> None:
            reached.append("on_handshake")

    async def authenticate(connection: object) -> None:
        reached.append("authenticate")

    app = App([WebSocketRoute("/{times}", Quiet)], authenticate=authenticate)
    async with TestClient(app) as client:
        headers = {"origin": "https://elsewhere.example"}
        with pytest.raises(Refused, match="403"):
            async with client.connect("/many", headers=headers):
                pass

    assert reached == []
