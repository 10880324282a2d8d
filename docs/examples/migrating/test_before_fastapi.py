"""Tests of the rooms with FastAPI's own WebSockets."""

import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from migrating.before_fastapi import app


def test_what_is_said_reaches_everybody() -> None:
    client = TestClient(app)
    with (
        client.websocket_connect("/rooms/tea?token=t-ada") as ada,
        client.websocket_connect("/rooms/tea?token=t-bob") as bob,
    ):
        ada.send_json({"type": "say", "text": "hello"})
        said = {"type": "said", "name": "ada", "text": "hello"}
        assert ada.receive_json() == said
        assert bob.receive_json() == said


def test_who_has_no_token_stays_outside() -> None:
    client = TestClient(app)
    with (
        pytest.raises(WebSocketDisconnect) as refused,
        client.websocket_connect("/rooms/tea"),
    ):
        pass
    assert refused.value.code == 1008
