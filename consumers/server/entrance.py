"""The entrance to a uvicorn server: its ``http`` option, which meets each connection.

::

    uvicorn app:app --http consumers.server.entrance:Entrance

A connection that begins with the usual request for a WebSocket becomes one at once.
Every other one is uvicorn's own: what an HTTP protocol makes to read a request costs as
much as all else of a WebSocket's beginning.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, Final, NamedTuple
from weakref import WeakKeyDictionary

from uvicorn.config import Config
from uvicorn.server import ServerState

from consumers.server.asyncio_writing import Shared
from consumers.server.uvicorn import Protocol, shared_by
from consumers.server.uvicorn_http import Http, Waits

__all__ = ["Entrance"]


class _House(NamedTuple):
    """What is behind the entrance of one server."""

    loop: asyncio.AbstractEventLoop
    waits: Waits
    ours: type[Protocol] | None
    """Who serves WebSockets, if that is of ours."""
    shared: Shared | None
    """What all of those have in common."""


_houses: Final[WeakKeyDictionary[Config, _House]] = WeakKeyDictionary()


class Entrance(asyncio.Protocol):
    """A connection of which nothing has been read yet.

    It is a WebSocket until it asks for something else: to change a transport's protocol
    takes two system calls. Where another class serves WebSockets it is uvicorn's.
    """

    header_timeout: ClassVar[float | None] = 20.0
    """Seconds from the connection's beginning, or the first byte of a later request, to
    the end of its headers. ``None``: no limit. Set it in a subclass, and name that in
    ``--http``."""
    body_timeout: ClassVar[float | None] = 30.0
    """Seconds between two pieces of a request's body; set likewise."""

    def __new__(
        cls,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> Any:
        """Begin as uvicorn's own protocols do."""
        loop = _loop or asyncio.get_running_loop()
        house = _houses.get(config)
        if house is None or house.loop is not loop:
            house = _houses[config] = cls._build(config, loop)
        _, waits, ours, shared = house
        if ours is None:
            return Http(config, server_state, app_state, waits)
        return ours(config, server_state, app_state, loop, shared, waits)

    @classmethod
    def _build(cls, config: Config, loop: asyncio.AbstractEventLoop) -> _House:
        waits = Waits(loop, cls.header_timeout, cls.body_timeout)
        ours: Any = config.ws_protocol_class
        if not (isinstance(ours, type) and issubclass(ours, Protocol)):
            return _House(loop, waits, None, None)
        return _House(loop, waits, ours, shared_by(config, loop, ours))
