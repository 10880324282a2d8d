"""`consumers.v1` over each server: negotiation, frames, refusals, the end."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any, Self

import anyio
import msgspec
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from consumers import (
    App,
    Group,
    Groups,
    History,
    Limits,
    WebSocketConsumer,
    WebSocketRoute,
    receives,
    subscribes,
)
from consumers.testing import LiveServer

from .live import KINDS, PATIENCE, new_key

JSON, MSGPACK = "consumers.v1+json", "consumers.v1+msgpack"
LOG = Group("log.{name}", history=History(size=100))


class Say(msgspec.Struct, tag="say"):
    name: str
    text: str


class Ask(msgspec.Struct, tag="ask"):
    pass


class Long(msgspec.Struct, tag="long"):
    pass


class Count(msgspec.Struct, tag="count"):
    to: int


class End(msgspec.Struct, tag="end"):
    code: int


class Chat(WebSocketConsumer):
    limits = Limits(inbox=8)

    @receives
    async def say(self, message: Say) -> str:
        await self.publish(LOG(message.name), message.text)
        return message.text.upper()

    @receives
    async def ask(self, message: Ask) -> Any:
        return await self.request("why?")

    @receives
    async def long(self, message: Long) -> None:
        await anyio.sleep_forever()

    @receives
    async def count(self, message: Count) -> AsyncIterator[int]:
        for number in range(message.to):
            yield number

    @receives
    async def stop(self, message: End) -> None:
        if message.code == 1011:
            raise ZeroDivisionError
        await self.close(message.code, retry=3)

    @subscribes(LOG)
    async def watch(self, name: str) -> str:
        return name


class Beating(Chat):
    limits = Limits(heartbeat=0.2, heartbeat_timeout=1.0)


class Full(WebSocketConsumer):
    async def on_handshake(self) -> None:
        await self.reject(503, {"why": "full"}, {"retry-after": "5"})


def make_app() -> App:
    return App(
        [
            WebSocketRoute("/chat", Chat),
            WebSocketRoute("/beating", Beating),
            WebSocketRoute("/full", Full),
        ],
        groups=Groups("memory://", [LOG]),
    )


class Client:
    """A connection, frame by frame."""

    def __init__(self, ws: ClientConnection) -> None:
        self.ws = ws

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.ws.close()

    def send(self, kind: str, **fields: Any) -> None:
        """Send a frame."""
        frame = {"type": kind, **fields}
        packed = self.ws.subprotocol == MSGPACK
        self.ws.send(msgspec.msgpack.encode(frame) if packed else json.dumps(frame))

    def receive(self) -> Any:
        """Wait for a frame."""
        data = self.ws.recv(timeout=PATIENCE)
        return (
            json.loads(data) if isinstance(data, str) else msgspec.msgpack.decode(data)
        )

    def closed(self) -> int:
        """Wait for the close frame, and return its code."""
        with pytest.raises(ConnectionClosed) as caught:
            self.receive()
        assert caught.value.rcvd is not None
        return caught.value.rcvd.code


class Server:
    """One server with the application of this file."""

    def __init__(self, server: LiveServer) -> None:
        self.server = server

    def connect(self, path: str, *offered: str) -> Client:
        """Connect, offering subprotocols."""
        ws = connect(
            self.server.url(path),
            subprotocols=[*offered],  # type: ignore[list-item]
            proxy=None,
            compression=None,
            open_timeout=PATIENCE,
        )
        return Client(ws.__enter__())


@pytest.fixture(scope="module")
def server(kind: str) -> Iterator[Server]:
    backend, options, ws = KINDS[kind]
    with LiveServer(
        make_app(),
        backend=(backend, options),
        ready_timeout=PATIENCE,
        stop_timeout=PATIENCE,
        ws=ws,
        access_log=False,
    ) as live:
        yield Server(live)


@pytest.mark.parametrize("protocol", [JSON, MSGPACK])
def test_a_conversation(server: Server, protocol: str) -> None:
    """Requests, a stream, a subscription, and a question of the server's."""
    with server.connect("/chat", "other", protocol) as client:
        assert client.ws.subprotocol == protocol
        assert client.receive()["type"] == "welcome"
        client.send("subscribe", id=1, group="log.a")
        assert client.receive()["snapshot"] == "a"
        client.send("request", id=2, message={"type": "say", "name": "a", "text": "hi"})
        frames = [client.receive(), client.receive()]
        assert {frame["type"]: frame["message"] for frame in frames} == {
            "publication": "hi",
            "reply": "HI",
        }
        client.send("request", id=3, message={"type": "count", "to": 3})
        items = [client.receive() for _ in range(4)]
        assert [item.get("message") for item in items] == [0, 1, 2, None]
        client.send("request", id=4, message={"type": "ask"})
        asked = client.receive()
        client.send("reply", id=asked["id"], message="because")
        assert client.receive() == {"type": "reply", "id": 4, "message": "because"}


def test_what_was_missed_comes_after_a_break(server: Server) -> None:
    """In order and once, by the position."""
    name = new_key()
    with server.connect("/chat", JSON) as client:
        client.receive()
        client.send("subscribe", id=1, group=f"log.{name}")
        position = client.receive()["position"]
    with server.connect("/chat", JSON) as client:
        client.receive()
        for number in range(3):
            message = {"type": "say", "name": name, "text": str(number)}
            client.send("request", id=1, message=message)
            assert client.receive()["message"] == str(number)
        client.send("subscribe", id=2, group=f"log.{name}", position=position)
        assert client.receive()["recovered"] is True
        assert [client.receive()["message"] for _ in range(3)] == ["0", "1", "2"]


def test_cancel_and_ping_overtake_a_handler(server: Server) -> None:
    """Read while it works."""
    with server.connect("/chat", JSON) as client:
        client.receive()
        client.send("request", id=1, message={"type": "long"})
        client.send("ping")
        assert client.receive() == {"type": "pong"}
        client.send("cancel", id=1)
        assert client.receive() == {"type": "error", "id": 1, "code": "cancelled"}


@pytest.mark.parametrize(
    ("code", "goodbye"),
    [
        (4000, {"code": 4000, "reconnect": True, "after": 3}),
        (1011, {"code": 1011, "reconnect": True}),
    ],
)
def test_goodbye_comes_before_the_close(
    server: Server, code: int, goodbye: dict[str, Any]
) -> None:
    """With the same code."""
    with server.connect("/chat", JSON) as client:
        client.receive()
        client.send("message", message={"type": "end", "code": code})
        assert client.receive() == {"type": "goodbye", **goodbye}
        assert client.closed() == code


@pytest.mark.parametrize(
    ("path", "goodbye"),
    [
        ("/nowhere", {"code": 4404, "reconnect": False}),
        (
            "/full",
            {"code": 4503, "reconnect": True, "after": 5, "detail": {"why": "full"}},
        ),
    ],
)
@pytest.mark.parametrize("protocol", [JSON, MSGPACK])
def test_a_refusal_can_be_read(
    server: Server, path: str, goodbye: dict[str, Any], protocol: str
) -> None:
    """It is accepted with the subprotocol, told, and closed."""
    with server.connect(path, protocol) as client:
        assert client.ws.subprotocol == protocol
        assert client.receive() == {"type": "goodbye", **goodbye}
        assert client.closed() == goodbye["code"]


def test_who_is_silent_is_pinged_and_closed(server: Server) -> None:
    """By the clock of the event loop."""
    with server.connect("/beating", JSON) as client:
        assert client.receive()["heartbeat"] == 0.2
        for _ in range(2):
            assert client.receive() == {"type": "ping"}
            client.send("pong")
        assert client.receive() == {"type": "ping"}
        assert client.receive()["code"] == 4408
        assert client.closed() == 4408


def test_a_shutdown_says_to_come_back(kind: str) -> None:
    """With 1012 where the server leaves the application the time for it."""
    backend, options, ws = KINDS[kind]
    with LiveServer(
        make_app(),
        backend=(backend, options),
        ready_timeout=PATIENCE,
        stop_timeout=PATIENCE,
        ws=ws,
        access_log=False,
    ) as live:
        client = Server(live).connect("/chat", JSON)
        assert client.receive()["type"] == "welcome"
    frames = []
    with client, suppress(ConnectionClosed):
        while True:
            frames.append(client.receive())

    assert [frame for frame in frames if not frame.get("reconnect")] == []
    assert client.ws.close_code in (1001, 1006, 1012)
