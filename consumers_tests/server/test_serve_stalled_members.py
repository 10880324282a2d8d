"""A group's member that stops reading is gone in time, whatever its server can do."""

from __future__ import annotations

import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from consumers import App, DropOldest, Group, Groups, Limits, WebSocketConsumer
from consumers import WebSocketRoute as Route
from consumers_tests.server.live import (
    KINDS,
    PATIENCE,
    Kind,
    Server,
    handshake,
    in_thread,
)

pytestmark = [
    pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS),
    pytest.mark.may_skip,
    pytest.mark.skipif(sys.platform != "linux", reason="TCP_USER_TIMEOUT is Linux's"),
]

PIECE = "x" * 64 * 1024
TIMEOUT = 0.5
"""The server's `unacknowledged_timeout`, in seconds."""


class Stage:
    """An application with two rooms, and a client of it that reads nothing."""

    def __init__(self) -> None:
        self.joined = threading.Event()
        self.closed: list[int] = []
        self.left = threading.Event()
        """Set in `on_disconnect`."""
        self.ended = threading.Event()
        """Set when the server's call of the application is over."""
        stage = self

        class Member(WebSocketConsumer):
            limits = Limits(outbox_messages=20, outbox_bytes=2**30, close_timeout=0.2)

            async def on_connect(self, room: str) -> None:
                await self.join(room)
                stage.joined.set()

            async def on_disconnect(self, code: int) -> None:
                stage.closed.append(code)
                stage.left.set()

        self.groups = Groups(
            declared=[Group("closing"), Group("dropping", outbox=DropOldest())]
        )
        self._app = App([Route("/{room}", Member)], groups=self.groups)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await self._app(scope, receive, send)
        finally:
            if scope["type"] == "websocket":
                self.ended.set()

    def fill(self, room: str) -> None:
        """Publish more than the buffers on the way and the outbox hold."""
        for _ in range(200):
            self.groups.sync.publish(room, PIECE)

    def stalled(self, server: Server, room: str) -> socket.socket:
        """Connect a client that reads nothing, whose buffers are small."""
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(PATIENCE)
        client.connect((server.host, server.port))
        client.sendall(handshake(f"/{room}"))
        assert self.joined.wait(PATIENCE)
        return client


def is_there(server: Server, client: socket.socket) -> bool:
    """Tell whether the kernel still has the server's end of a connection."""
    ports = [f"{port:04X}" for port in (server.port, client.getsockname()[1])]
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    ends = [[end.split(":")[1] for end in line.split()[1:3]] for line in lines]
    return ports in ends


def test_who_is_closed_with_1013_is_gone(kind: Kind) -> None:
    """The application's part ends after `close_timeout`, the socket by the kernel."""
    stage, control = Stage(), Stage()
    with (
        in_thread(control, kind, unacknowledged_timeout=None, graceful_timeout=0.2) as (
            without
        ),
        control.stalled(without, "closing") as stays,
        in_thread(stage, kind, unacknowledged_timeout=TIMEOUT) as server,
        stage.stalled(server, "closing") as goes,
    ):
        control.fill("closing")
        begun = time.monotonic()
        stage.fill("closing")
        assert stage.left.wait(PATIENCE)
        assert stage.closed == [1013]
        assert stage.ended.wait(PATIENCE)
        while is_there(server, goes):
            assert time.monotonic() - begun < PATIENCE
            time.sleep(0.01)  # the kernel tells nobody
        took = time.monotonic() - begun

        # Stalled for longer, with nobody to end it.
        assert is_there(without, stays)
        assert took < TIMEOUT + 5


def test_who_misses_some_is_gone_too(kind: Kind) -> None:
    """A policy that keeps the connection leaves it to the kernel, which finds it."""
    stage = Stage()
    with (
        in_thread(stage, kind, unacknowledged_timeout=TIMEOUT) as server,
        stage.stalled(server, "dropping") as client,
    ):
        begun = time.monotonic()
        stage.fill("dropping")
        assert stage.groups.counters.dropped_oldest > 100
        assert stage.left.wait(PATIENCE)
        assert stage.ended.wait(PATIENCE)
        assert not is_there(server, client)

        assert stage.closed in ([1005], [1006])  # uvicorn tells no other
        assert time.monotonic() - begun < TIMEOUT + 5
