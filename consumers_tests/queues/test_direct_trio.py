"""The same extension on trio, with clients over sockets: whose frames are shared."""

from __future__ import annotations

import socket
from typing import Any

from consumers import App, Groups, WebSocketConsumer, WebSocketRoute
from consumers.queues.direct import EXTENSION
from consumers.server.frames import text_frame
from consumers_tests.server.frames.clients import client_frame
from consumers_tests.server.live import KINDS, Server, handshake, in_thread

LONG = "x" * 1000


class Member(WebSocketConsumer):
    """Answers, and then publishes to all what is long enough to be compressed."""

    async def on_connect(self) -> None:
        await self.join("room")

    async def on_receive(self, message: str) -> None:
        await self.send("here")
        if message == "publish":
            await self.publish("room", LONG)


class Counting:
    """The server's own extension, which notes what frames are made of."""

    def __init__(self, direct: Any, made: list[Any]) -> None:
        self._direct = direct
        self._made = made

    def frame(self, event: Any) -> bytes:
        self._made.append(event)
        frame: bytes = self._direct.frame(event)
        return frame

    def __getattr__(self, name: str) -> Any:
        return getattr(self._direct, name)


def member(
    server: Server, offer: str | None = None, message: bytes = b"hello"
) -> socket.socket:
    """Return a client that has joined, and was answered."""
    request = handshake("/", Sec_WebSocket_Extensions=offer)
    client = server.raw(request + client_frame(0x81, message))
    got = b""
    while not got.endswith(text_frame(b"here")):
        got += client.recv(1)
    return client


def publication(client: socket.socket) -> bytes:
    """Return the next frame that a client gets."""
    head = client.recv(2, socket.MSG_WAITALL)
    size = head[1]
    if size == 126:
        head += client.recv(2, socket.MSG_WAITALL)
        size = int.from_bytes(head[2:], "big")
    return head + client.recv(size, socket.MSG_WAITALL)


def test_frames_of_other_compressions_are_others() -> None:
    """Who agreed on compression gets a frame that those who agreed on it share."""
    made: list[Any] = []
    served = App([WebSocketRoute("/", Member)], groups=Groups())

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            direct = scope["extensions"][EXTENSION]
            scope["extensions"] = {EXTENSION: Counting(direct, made)}
        await served(scope, receive, send)

    with in_thread(app, KINDS["trio"], ws_per_message_deflate=True) as server:
        clients = [
            member(server),
            member(server, "permessage-deflate; server_no_context_takeover"),
            member(server, "permessage-deflate; server_no_context_takeover"),
            member(server, "permessage-deflate"),
            member(server, message=b"publish"),
        ]
        plain, one, other, own, publisher = map(publication, clients)
        for client in clients:
            client.close()

    assert plain == publisher == text_frame(LONG.encode())
    assert one == other
    assert len(one) < 50
    assert own[0] == one[0] == 0xC1
    assert [event["text"] for event in made] == [LONG] * 2
