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

from consumers.server.uvicorn import Protocol

__all__ = ["Entrance"]

_HTTP: Final = import_from_string("uvicorn.protocols.http.auto:AutoHTTPProtocol")


class Entrance(asyncio.Protocol):
    """A connection of which nothing has been read yet.

    It is a WebSocket until it asks for something else: to change a transport's protocol
    takes two system calls. Where another class serves WebSockets it is uvicorn's.
    """

    def __new__(
        cls,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> Any:
        """Begin as uvicorn's own protocols do."""
        ours: Any = config.ws_protocol_class
        if not (isinstance(ours, type) and issubclass(ours, Protocol)):
            return _HTTP(config, server_state, app_state, _loop)
        connection = ours(config, server_state, app_state, _loop)
        connection.others = _HTTP
        return connection
