"""Each server that the framework meets, and how a test talks to it."""

from __future__ import annotations

import socket
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from consumers.testing import LiveServer
from consumers_tests.server.hostile import RESET
from consumers_tests.server.live import PATIENCE

from .application import Served

__all__ = ["KINDS", "PATIENCE", "Live", "closed", "new_key", "serve", "vanish"]

LEGACY = "uvicorn.protocols.websockets.websockets_impl:WebSocketProtocol"

with warnings.catch_warnings():
    # uvicorn's protocol on the old half of `websockets`: both warn when imported.
    warnings.simplefilter("ignore")
    import uvicorn.protocols.websockets.websockets_impl  # noqa: F401

KINDS: dict[str, tuple[str, dict[str, Any], str]] = {
    "ours": ("asyncio", {}, "auto"),
    "ours-uvloop": ("asyncio", {"use_uvloop": True}, "auto"),
    "sansio": ("asyncio", {}, "websockets-sansio"),
    "sansio-uvloop": ("asyncio", {"use_uvloop": True}, "websockets-sansio"),
    "wsproto": ("asyncio", {}, "wsproto"),
    "legacy": ("asyncio", {}, LEGACY),
    "trio": ("trio", {}, "auto"),
}
"""``{name: (backend, its options, uvicorn's WebSocket protocol)}``."""


@dataclass
class Live:
    """The application of this folder on one of the servers."""

    kind: str
    server: LiveServer
    served: Served

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        host, _, port = self.server.url("").removeprefix("ws://").partition(":")
        return host, int(port)

    def connect(self, path: str, **settings: Any) -> ClientConnection:
        """Connect a client; it is used as a context manager."""
        defaults = {"open_timeout": PATIENCE, "close_timeout": PATIENCE}
        client: ClientConnection = connect(
            self.server.url(path),
            **{"proxy": None, "compression": None, **defaults, **settings},
        )
        return client

    def told(self, key: str) -> Any:
        """Wait for what a connection tells next."""
        return self.served.told[key].get(timeout=PATIENCE)


@contextmanager
def serve(kind: str, **settings: Any) -> Iterator[Live]:
    """Serve the application of this folder; the end of the block stops it."""
    backend, backend_options, ws = KINDS[kind]
    served = Served()
    with LiveServer(
        served,
        backend=(backend, backend_options),
        ready_timeout=PATIENCE,
        stop_timeout=PATIENCE,
        **{"ws": ws, "access_log": False, **settings},
    ) as server:
        yield Live(kind, server, served)


def new_key() -> str:
    """Return a name that no other connection has."""
    return uuid.uuid4().hex


def closed(client: ClientConnection) -> tuple[int, str]:
    """Return code and reason with which the server ends the connection."""
    with pytest.raises(ConnectionClosed) as caught:
        client.recv(timeout=PATIENCE)
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code, caught.value.rcvd.reason


def vanish(client: ClientConnection, reset: bool) -> None:
    """End a connection without a close frame."""
    if reset:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        # The other half of a socket that is in use is closed by its reader.
        client.socket.shutdown(socket.SHUT_RD)
    else:
        client.socket.shutdown(socket.SHUT_RDWR)
