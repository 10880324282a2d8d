"""A test over a real socket, with any client."""

from collections.abc import Callable

import pytest
from echo import app
from websockets.sync.client import connect

from consumers.testing import LiveServer


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_echo(live_server: Callable[..., LiveServer], backend: str) -> None:
    server = live_server(app, backend=backend)
    with connect(server.url("/echo")) as ws:
        ws.send("hello")
        assert ws.recv(timeout=5) == "You said: hello"
