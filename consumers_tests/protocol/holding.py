"""Hold a conversation of the page: in process, or over a socket."""

from __future__ import annotations

import json
import socket
from collections import defaultdict, deque
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from itertools import count
from typing import Any, Final, Protocol
from uuid import uuid4

import msgspec
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from consumers.protocol import VERSION
from consumers.testing import ClientConnection, TestClient

from .foreign_frames import Ended, Frames, Lost
from .vectors import Conversation, Names, Step

__all__ = ["ForeignPeer", "InProcess", "OverSockets", "SocketPeer"]

PATIENCE: Final = 20.0
_conversations = count(1)


def choose() -> str:
    """Return what no other client chooses."""
    return uuid4().hex


class InProcess:
    """Holds a conversation through the test kit."""

    def __init__(self, client: TestClient, codec: str, stack: AsyncExitStack) -> None:
        self._client = client
        self._codec = codec
        self._stack = stack
        self._names = Names(choose)
        self._connections: dict[str, ClientConnection] = {}
        self._waiting: defaultdict[str, deque[Any]] = defaultdict(deque)

    async def hold(self, conversation: Conversation) -> None:
        """Take each step; then nothing more may come."""
        for step in conversation.steps:
            await getattr(self, step.kind)(step)
        for who, connection in self._connections.items():
            assert not self._waiting[who]
            if who == "" and connection.closed is None:
                await connection.receive_nothing()

    async def connects(self, step: Step) -> None:
        binary = step.plain and self._codec == "msgpack"
        self._connections[step.who] = await self._stack.enter_async_context(
            self._client.connect(
                f"/msgpack{step.value}" if binary else step.value,
                subprotocols=[] if step.plain else [f"{VERSION}+{self._codec}"],
            )
        )

    async def breaks(self, step: Step) -> None:
        await self._connections[step.who].drop()

    async def passes(self, step: Step) -> None:
        await self._client.advance(step.value)

    async def send(self, step: Step) -> None:
        connection, frame = self._connections[step.who], self._names.sent(step.value)
        if self._codec == "json":
            await connection.send_json(frame)
        else:
            await connection.send_msgpack(frame)

    async def text(self, step: Step) -> None:
        await self._connections[step.who].send_text(step.value)

    async def binary(self, step: Step) -> None:
        await self._connections[step.who].send_bytes(step.value)

    async def receive(self, step: Step) -> None:
        waiting, connection = self._waiting[step.who], self._connections[step.who]
        while not waiting:
            if self._codec == "json":
                got = await connection.receive_json()
            else:
                got = await connection.receive_msgpack()
            waiting.extend(got if isinstance(got, list) else [got])
        got = waiting.popleft()
        assert self._names.fits(step.value, got), f"{step.value} is not {got}"

    async def close(self, step: Step) -> None:
        assert not self._waiting[step.who]
        event = await self._connections[step.who].receive_close()
        assert event.code == step.value


class Peer(Protocol):
    """A client of one connection at a time."""

    def open(self, path: str, *, plain: bool) -> None: ...
    def send(self, frame: Any) -> None: ...
    def send_raw(self, data: str | bytes) -> None: ...
    def receive(self) -> Any: ...
    def closed(self) -> int: ...
    def drop(self) -> None: ...


class SocketPeer:
    """A client that is no more than a codec."""

    def __init__(self, url: str, codec: str) -> None:
        self._url = url
        self._codec = codec
        self._waiting: deque[Any] = deque()

    def open(self, path: str, *, plain: bool) -> None:
        """Connect."""
        offered: Any = None if plain else [f"{VERSION}+{self._codec}"]
        if plain and self._codec == "msgpack":
            path = f"/msgpack{path}"
        self._ws = connect(
            self._url + path, subprotocols=offered, proxy=None
        ).__enter__()
        assert self._ws.subprotocol == (offered and offered[0])

    def send(self, frame: Any) -> None:
        """Send a frame."""
        if self._codec == "json":
            self._ws.send(json.dumps(frame))
        else:
            self._ws.send(msgspec.msgpack.encode(frame))

    def send_raw(self, data: str | bytes) -> None:
        """Send a message."""
        self._ws.send(data)

    def receive(self) -> Any:
        """Wait for a frame."""
        while not self._waiting:
            data = self._ws.recv(timeout=PATIENCE)
            if isinstance(data, str):
                got = json.loads(data)
            else:
                got = msgspec.msgpack.decode(data)
            self._waiting.extend(got if isinstance(got, list) else [got])
        return self._waiting.popleft()

    def closed(self) -> int:
        """Wait for the close, and return its code."""
        with pytest.raises(ConnectionClosed) as caught:
            self._ws.recv(timeout=PATIENCE)
        assert caught.value.rcvd is not None
        return caught.value.rcvd.code

    def drop(self) -> None:
        """Break the connection."""
        with suppress(OSError):
            self._ws.socket.shutdown(socket.SHUT_RDWR)
        self._ws.close()


class ForeignPeer:
    """The client that is made of the page alone, frame by frame."""

    def __init__(self, url: str) -> None:
        self._client = Frames(url)
        self._first: list[Any] = []

    def open(self, path: str, *, plain: bool) -> None:
        """Connect."""
        assert not plain
        self._first = [self._client.open(path)]

    def send(self, frame: Any) -> None:
        """Send a frame."""
        self._client.send(frame)

    def send_raw(self, data: str | bytes) -> None:
        """Send a message."""
        self._client.ws.send(data)

    def receive(self) -> Any:
        """Wait for a frame."""
        return self._first.pop() if self._first else self._client.receive()

    def closed(self) -> int:
        """Wait for the close, and return its code."""
        with pytest.raises((Ended, Lost)) as caught:
            self._client.receive()
        code: int = caught.value.args[0]
        return code

    def drop(self) -> None:
        """Break the connection."""
        self._client.drop()
        self._client.ws.close()


class OverSockets:
    """Holds a conversation with a server that is shared with others."""

    def __init__(self, make: Callable[[], Peer]) -> None:
        self._make = make
        self._names = Names(choose, f"lobby-{next(_conversations)}")
        self._peers: dict[str, Peer] = {}

    def hold(self, conversation: Conversation) -> None:
        """Take each step."""
        try:
            for step in conversation.steps:
                self._take(step)
        finally:
            for peer in self._peers.values():
                peer.drop()

    def _take(self, step: Step) -> None:
        if step.kind == "connects":
            if step.who not in self._peers:
                self._peers[step.who] = self._make()
            self._peers[step.who].open(step.value, plain=step.plain)
            return
        peer = self._peers[step.who]
        if step.kind == "breaks":
            peer.drop()
        elif step.kind == "send":
            peer.send(self._names.sent(step.value))
        elif step.kind in ("text", "binary"):
            peer.send_raw(step.value)
        elif step.kind == "receive":
            got = peer.receive()
            assert self._names.fits(step.value, got), f"{step.value} is not {got}"
        else:
            assert step.kind == "close"
            assert peer.closed() == step.value
