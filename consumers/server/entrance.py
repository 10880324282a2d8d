"""The entrance to a uvicorn server: its ``http`` option, which meets each connection.

::

    uvicorn app:app --http consumers.server.entrance:Entrance

A connection that begins with the usual request for a WebSocket becomes one at once.
Every other one is uvicorn's own: what an HTTP protocol makes to read a request costs as
much as all else of a WebSocket's beginning.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.importer import import_from_string
from uvicorn.server import ServerState

from consumers.server.frames import read_request
from consumers.server.uvicorn import Protocol

__all__ = ["Entrance"]

_HTTP: Final = import_from_string("uvicorn.protocols.http.auto:AutoHTTPProtocol")


class Entrance(asyncio.Protocol):
    """A connection of which nothing has been read yet."""

    __slots__ = ("_app_state", "_config", "_loop", "_state", "transport")

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Begin as uvicorn's own protocols do."""
        self._config = config
        self._state = server_state
        self._app_state = app_state
        self._loop = _loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first bytes."""
        # Not asked whether it is one: uvloop's transports are none of asyncio's.
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._state.connections.add(self)  # type: ignore[arg-type]

    def data_received(self, data: bytes) -> None:
        """Hand the connection over to who serves what it asks for."""
        self._state.connections.discard(self)
        arguments = (self._config, self._state, self._app_state, self._loop)
        ours: Any = self._config.ws_protocol_class
        request = None
        if isinstance(ours, type) and issubclass(ours, Protocol):
            request = read_request(data)
        if request is not None:
            websocket = ours(*arguments)
            self.transport.set_protocol(websocket)
            websocket.connection_made(self.transport)
            websocket.begin(b"GET", *request)
            return
        http: asyncio.Protocol = _HTTP(*arguments)
        self.transport.set_protocol(http)
        http.connection_made(self.transport)
        http.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection that has asked for nothing."""
        self._state.connections.discard(self)

    def shutdown(self) -> None:
        """Close: the server ends. Called by uvicorn."""
        self.transport.close()
