"""Traffic: what has gone through a connection, where an observer wants it counted.

Messages are counted where they meet the server. A server's way past ``receive`` and
``send`` stays one, with the counting in between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from consumers.queues.outbox import can_step

if TYPE_CHECKING:
    from collections.abc import Hashable

    from consumers.codecs import Event
    from consumers.queues.direct import Direct
    from consumers.websocket import WebSocket

__all__ = ["Traffic", "count_traffic", "traffic_of", "waiting_for"]

_KEY: Final = "consumers.traffic"


class Traffic:
    """What has gone through one connection; messages of `consumers.v1` included."""

    __slots__ = ("bytes_in", "bytes_out", "messages_in", "messages_out")

    def __init__(self) -> None:
        self.messages_in = 0
        """Messages of the client's that were read."""
        self.messages_out = 0
        """Messages and publications that were given to the server."""
        self.bytes_in = 0
        """What they hold, before compression and without frames' heads."""
        self.bytes_out = 0
        """The same of what was sent; ready frames count with their heads."""

    def count_in(self, event: Event) -> None:
        """Count an event that was received."""
        if event["type"] == "websocket.receive":
            self.messages_in += 1
            self.bytes_in += _size(event)

    def count_out(self, event: Event) -> None:
        """Count an event that was sent."""
        if event["type"] == "websocket.send":
            self.messages_out += 1
            self.bytes_out += _size(event)


def _size(event: Event) -> int:
    text = event.get("text")
    if text is None:
        return len(event.get("bytes") or b"")
    # A lone surrogate has no form in UTF-8; what sends it says so.
    return len(text) if text.isascii() else len(text.encode(errors="replace"))


class _Counted:
    """A server's `Direct`, with what goes through it counted."""

    __slots__ = ("_direct", "_traffic")

    def __init__(self, direct: Direct, traffic: Traffic) -> None:
        self._direct = direct
        self._traffic = traffic

    @property
    def shares(self) -> Hashable | None:
        return self._direct.shares

    def take(self) -> Event | None:
        event = self._direct.take()
        if event is not None:
            self._traffic.count_in(event)
        return event

    def write(self, event: Event) -> bool:
        written = self._direct.write(event)
        if written:
            self._traffic.count_out(event)
        return written

    def write_data(self, data: bytes, is_text: bool) -> bool:
        written = self._direct.write_data(data, is_text)
        if written:
            self._traffic.messages_out += 1
            self._traffic.bytes_out += len(data)
        return written

    def frame(self, event: Event) -> bytes:
        return self._direct.frame(event)

    def post(self, frame: bytes) -> bool:
        posted = self._direct.post(frame)
        if posted:
            self._traffic.messages_out += 1
            self._traffic.bytes_out += len(frame)
        return posted

    async def receive(self) -> Any:
        return await self._direct.receive()

    async def send(self, event: Any) -> None:
        await self._direct.send(event)


def count_traffic(connection: WebSocket) -> None:
    """Have a connection's traffic counted; before its first event is read."""
    traffic = connection.scope[_KEY] = Traffic()
    server_receive, server_send = connection._asgi_receive, connection._asgi_send

    async def receive() -> Any:
        event = await server_receive()
        traffic.count_in(event)
        return event

    async def send(event: Event) -> None:
        await server_send(event)
        traffic.count_out(event)

    connection._asgi_receive = connection._inbox._receive = receive
    connection._asgi_send = send
    # It waits only where the server's waits, and may be stepped as that may.
    connection._steps_or_none = can_step(server_send)
    if connection._direct is not None:
        connection._direct = counted = _Counted(connection._direct, traffic)
        connection._take_now = counted.take


def traffic_of(connection: WebSocket) -> Traffic:
    """Return what has gone through a connection whose traffic is counted.

    Raises:
        KeyError: It is not: no observer of it has ``counts_traffic``.
    """
    traffic: Traffic = connection.scope[_KEY]
    return traffic


def waiting_for(connection: WebSocket) -> tuple[int, int] | None:
    """Return how many publications, and bytes, wait for a client that reads slowly.

    ``None``: nothing does.
    """
    if connection._outbox is None:
        return None
    return connection._ledger.messages, connection._ledger.bytes
