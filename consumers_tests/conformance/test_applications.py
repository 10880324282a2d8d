"""Applications that know nothing of us, one of each framework, on each server."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from consumers_tests.server.live import PATIENCE, Process

from . import fastapi_app, starlette_app
from .servers import COMMANDS, Server, serving


def refusal(server: Server, path: str, **settings: Any) -> tuple[int, bytes]:
    """Return status and body with which a handshake is refused."""
    with (
        pytest.raises(InvalidStatus) as caught,
        server.connect(path, **settings),
    ):
        raise AssertionError
    return caught.value.response.status_code, bytes(caught.value.response.body or b"")


def test_starlette(loop: str) -> None:
    """Its endpoints and functions accept, refuse, echo and close as they say."""
    with serving(starlette_app.make(), loop) as server:
        with server.connect("/echo") as client:
            client.send("hello")
            assert client.recv(timeout=PATIENCE) == "Message text was: hello"
        headers = {"Cookie": "a=1; b=2", "X-Asked": "this"}
        with server.connect(
            "/everything/7?q=1", subprotocols=["a", "b"], additional_headers=headers
        ) as client:
            assert client.subprotocol == "b"
            assert client.response is not None
            assert client.response.headers["x-own"] == "yes"
            assert json.loads(client.recv(timeout=PATIENCE)) == {
                "url": f"ws://{server.host}:{server.port}/everything/7?q=1",
                "path": {"one": 7},
                "query": {"q": "1"},
                "cookies": {"a": "1", "b": "2"},
                "header": "this",
                "client": True,
                "state": "yes",
            }
            for message in (b"\x00\xff", "text", "enough"):
                client.send(message)
                assert client.recv(timeout=PATIENCE) == message
            with pytest.raises(ConnectionClosed) as caught:
                client.recv(timeout=PATIENCE)
            assert caught.value.rcvd is not None
            assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (
                4001,
                "as you say",
            )
        assert refusal(server, "/denied") == (401, b"not you")
        assert refusal(server, "/refused") == (403, b"")
        assert refusal(server, "/nowhere") == (403, b"")


def test_fastapi(loop: str) -> None:
    """Its dependencies refuse, and its chat tells the others who has left."""
    with serving(fastapi_app.make(), loop) as server:
        assert refusal(server, "/items/1")[0] == 403
        with server.connect("/items/1?token=t") as client:
            client.send('{"x": 1}')
            assert json.loads(client.recv(timeout=PATIENCE)) == {
                "item": 1,
                "token": "t",
                "said": {"x": 1},
            }
        with server.connect("/chat/1") as one:
            with server.connect("/chat/2") as two:
                two.send("hello")
                for client in (one, two):
                    assert client.recv(timeout=PATIENCE) == "Client #2 says: hello"
            assert one.recv(timeout=PATIENCE) == "Client #2 left the chat"


@pytest.mark.parametrize("asyncio_loop", ["asyncio", "uvloop"])
def test_channels_and_django(asyncio_loop: str) -> None:
    """A chat with Channels sends to its group, and Django answers beside it."""
    options = (*COMMANDS[asyncio_loop], "--no-access-log")
    good: dict[str, Any] = {"origin": "http://good.example"}
    with Process(
        *options, "--port", "0", "consumers_tests.conformance.channels_app:application"
    ) as process:
        server = process.server()
        assert refusal(server, "/ws/room/")[0] == 403
        with server.connect("/ws/room/", **good, subprotocols=["chat"]) as one:
            assert one.subprotocol == "chat"
            with server.connect("/ws/room/", **good) as two:
                two.send('{"message": "hello"}')
                for client in (one, two):
                    said = json.loads(client.recv(timeout=PATIENCE))
                    assert said == {"message": "hello"}
                two.close(4002)
            said = json.loads(one.recv(timeout=PATIENCE))
            assert said == {"message": "left with 4002"}
        url = f"http://{server.host}:{server.port}/"
        with urllib.request.urlopen(url, data=b"12345", timeout=PATIENCE) as answer:
            assert answer.read() == b"Django got 5 bytes"
