"""What has gone through a connection, by both ways to a server."""

from typing import Any

import pytest

from consumers import WebSocketConsumer
from consumers.queues.direct import EXTENSION
from consumers.runtime.traffic import Traffic, count_traffic, traffic_of, waiting_for


class Direct:
    """A server's way past `receive` and `send`, which takes all."""

    shares = ()

    def __init__(self) -> None:
        self.takes = True
        self.events: list[Any] = []

    def take(self) -> Any:
        return self.events.pop() if self.events else None

    def write(self, event: Any) -> bool:
        return self.takes

    def write_data(self, data: bytes, is_text: bool) -> bool:
        return self.takes

    def frame(self, event: Any) -> bytes:
        return b"\x81\x02hi"

    def post(self, frame: bytes) -> bool:
        return self.takes

    async def receive(self) -> Any:
        return {"type": "websocket.receive", "text": "hi", "bytes": None}

    async def send(self, event: Any) -> None: ...


def connected() -> tuple[WebSocketConsumer, Direct, Traffic]:
    """Return a connection whose traffic is counted, and its server."""
    server = Direct()
    scope = {
        "type": "websocket",
        "path": "/",
        "headers": [],
        "extensions": {EXTENSION: server},
    }
    connection = WebSocketConsumer(scope, server.receive, server.send)
    count_traffic(connection)
    return connection, server, traffic_of(connection)


def figures(traffic: Traffic) -> tuple[int, int, int, int]:
    """Return all four counts."""
    return (
        *(traffic.messages_in, traffic.bytes_in),
        *(traffic.messages_out, traffic.bytes_out),
    )


async def test_events_are_counted() -> None:
    """Messages in both directions, and nothing else."""
    connection, _, traffic = connected()

    await connection._asgi_receive()
    await connection._inbox.next()
    await connection._asgi_send({"type": "websocket.send", "bytes": b"abc"})
    await connection._asgi_send({"type": "websocket.close", "code": 1000})

    assert figures(traffic) == (2, 4, 1, 3)


def test_the_short_way_stays_one() -> None:
    """What goes past `receive` and `send` is counted there, if it went."""
    connection, server, traffic = connected()
    direct = connection._direct
    assert direct is not None
    assert connection._take_now is not None
    server.events.append({"type": "websocket.receive", "text": "hé"})

    assert connection._take_now() is not None
    assert connection._take_now() is None
    assert direct.shares == ()
    assert direct.write({"type": "websocket.send", "text": "abc"})
    assert direct.write_data(b"abcd", True)
    assert direct.post(direct.frame({}))
    server.takes = False
    assert not direct.write({"type": "websocket.send", "text": "abc"})
    assert not direct.write_data(b"abcd", True)
    assert not direct.post(b"")

    assert figures(traffic) == (1, 3, 3, 11)


async def test_the_counted_way_is_the_server_s() -> None:
    """Its own receive and send are called by it too."""
    connection, _, _ = connected()
    assert connection._direct is not None

    assert (await connection._direct.receive())["text"] == "hi"
    await connection._direct.send({"type": "websocket.send", "text": ""})


def test_who_does_not_count_has_no_figures() -> None:
    """And nothing waits for a connection that keeps up."""
    server = Direct()
    scope = {"type": "websocket", "path": "/", "headers": []}
    connection = WebSocketConsumer(scope, server.receive, server.send)

    with pytest.raises(KeyError):
        traffic_of(connection)
    assert waiting_for(connection) is None
