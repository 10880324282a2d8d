"""The first bytes of a connection, and who serves it then."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from uvicorn import Config
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from consumers import App, WebSocketConsumer, WebSocketRoute
from consumers.server.entrance import Entrance
from consumers.testing import LiveServer
from consumers_tests.server.frames.clients import client_frame
from consumers_tests.server.frames.test_request import USUAL

PATIENCE = 10


class Echo(WebSocketConsumer):
    """Sends back what it gets."""

    async def on_receive(self, message: str) -> None:
        """Send it back."""
        await self.send(message)


@pytest.fixture(params=["auto", "websockets-sansio"])
def live(request: pytest.FixtureRequest) -> Iterator[LiveServer]:
    """Serve with the entrance before our own WebSockets, and before uvicorn's."""
    app = App([WebSocketRoute("/chat/{room}", Echo)])
    with LiveServer(app, ws=request.param, access_log=False) as server:
        yield server


def dial(live: LiveServer) -> socket.socket:
    """Connect, and send nothing."""
    host, _, port = live.url("").removeprefix("ws://").partition(":")
    return socket.create_connection((host, int(port)), timeout=PATIENCE)


def read_all(link: socket.socket) -> bytes:
    """Read until the server ends the connection."""
    answer = b""
    while part := link.recv(4096):
        answer += part
    return answer


def test_a_usual_client(live: LiveServer) -> None:
    """A client that sends its request whole is served."""
    with connect(live.url("/chat/7"), proxy=None) as client:
        client.send("hello")
        assert client.recv(timeout=PATIENCE) == "hello"


@pytest.mark.parametrize("at", [1, 20, 60, len(USUAL) - 1])
def test_a_request_in_two_parts(live: LiveServer, at: int) -> None:
    """A request that comes in parts is served like one that comes whole."""
    with dial(live) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.sendall(USUAL[:at])
        link.sendall(USUAL[at:])
        assert link.recv(4096).startswith(b"HTTP/1.1 101 ")


def test_a_plain_request(live: LiveServer) -> None:
    """What asks for no WebSocket is answered by uvicorn's HTTP."""
    with dial(live) as link:
        link.sendall(b"GET /chat/7 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = read_all(link)

    assert answer.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 426 "))


def test_what_is_no_http(live: LiveServer) -> None:
    """Who speaks something else is told so."""
    with dial(live) as link:
        link.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert read_all(link).startswith(b"HTTP/1.1 400 ")


def test_a_wrong_handshake() -> None:
    """A request for a WebSocket that opens none is answered with the reason."""
    app = App([WebSocketRoute("/chat/{room}", Echo)])
    with LiveServer(app, access_log=False) as live, dial(live) as link:
        link.sendall(USUAL.replace(b"Version: 13", b"Version: 12"))
        answer = read_all(link)

    assert answer.startswith(b"HTTP/1.1 426 ")
    assert b"sec-websocket-version: 13\r\n" in answer


@pytest.mark.parametrize("at", [0, 3, 8])
def test_frames_right_behind_the_request(at: int) -> None:
    """Who does not wait for the answer is read from the first frame on."""
    app = App([WebSocketRoute("/chat/{room}", Echo)])
    said = client_frame(0x81, b"one") + client_frame(0x81, b"two")
    with LiveServer(app, access_log=False) as live, dial(live) as link:
        link.sendall(USUAL + said[:at])
        answer = link.recv(4096)
        link.sendall(said[at:])
        while answer.count(b"\x81") < 2 and (part := link.recv(4096)):
            answer += part

    assert answer.startswith(b"HTTP/1.1 101 ")
    assert answer.endswith(b"\x81\x03one\x81\x03two")


def test_who_says_nothing_does_not_hold_up_the_end() -> None:
    """A connection that has asked for nothing is closed when the server ends."""
    app = App([WebSocketRoute("/chat/{room}", Echo)])
    with LiveServer(app, access_log=False, stop_timeout=PATIENCE) as live:
        link = dial(live)
        with connect(live.url("/chat/7"), proxy=None) as client:  # both are accepted
            client.send("hello")
            client.recv(timeout=PATIENCE)
    with link:
        assert read_all(link) == b""


def test_it_is_told_of_by_its_name() -> None:
    """The names that the documentation gives are found."""
    config = Config(
        Echo,
        http="consumers.server.entrance:Entrance",
        ws="consumers.server.uvicorn:Protocol",
        log_config=None,  # which the process of all other tests would have from now on
    )
    config.load()

    assert config.http_protocol_class is Entrance


def test_a_client_that_leaves_at_once(live: LiveServer) -> None:
    """Who connects and leaves without a word leaves nothing behind."""
    for _ in range(3):
        dial(live).close()
    with connect(live.url("/chat/7"), proxy=None) as client:
        client.close()
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=PATIENCE)
