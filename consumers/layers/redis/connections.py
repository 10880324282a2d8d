"""Single connections to a server: made, opened, prepared."""

from __future__ import annotations

from typing import Any, NoReturn

import anyio
from anyio.abc import TaskStatus
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from coredis.connection import (
    BaseConnection,
    TCPConnection,
    TCPLocation,
    UnixDomainSocketConnection,
    UnixDomainSocketLocation,
)
from coredis.exceptions import AuthorizationError

from .address import Address
from .faults import Lost
from .scripts import SCRIPTS

__all__ = ["Ready", "connection_to", "prepare", "run"]


class Ready(TaskStatus[None]):
    """Tells when a connection is open."""

    def __init__(self) -> None:
        self.event = anyio.Event()
        """Set from then on."""

    def started(self, value: None = None) -> None:
        """Take note that it is."""
        self.event.set()


def connection_to(
    address: Address, host: str | None = None, port: int | None = None
) -> BaseConnection:
    """Make a connection that is still to be run.

    Args:
        address: Where to, and who we are there.
        host: Another server of the same cluster.
        port: Its port.
    """
    who: dict[str, Any] = {
        "username": address.username or None,
        "password": address.password or None,
        "db": address.db,
    }
    if address.path:
        return UnixDomainSocketConnection(UnixDomainSocketLocation(address.path), **who)
    place = TCPLocation(host or address.host, port or address.port)
    return TCPConnection(
        place, ssl_context=address.ssl_context(), socket_keepalive=True, **who
    )


async def run(connection: BaseConnection, ready: Ready) -> NoReturn:
    """Connect, and stay so until the connection is lost.

    Raises:
        Lost: The server has closed it.
        RedisError: It could not be made, or was lost otherwise.
    """
    try:
        await connection.run(task_status=ready)
        raise Lost("the server has closed the connection")
    finally:
        # It opens its streams when it is made, but closes them only if it comes to be.
        for each in vars(connection).values():
            if isinstance(each, MemoryObjectReceiveStream | MemoryObjectSendStream):
                each.close()


async def prepare(commands: BaseConnection) -> str:
    """Make the scripts known to the server; return which run of it this is.

    It is told by nothing but INFO; "" where we may not ask.

    Raises:
        RedisError: The server refuses them, or the connection was lost.
    """
    loading = [commands.create_request(b"SCRIPT LOAD", each.text) for each in SCRIPTS]
    for request in loading:
        await request
    try:
        info: Any = await commands.create_request(b"INFO", b"server")
    except AuthorizationError:
        return ""
    lines = (line.partition(b":") for line in info.splitlines())
    return next((str(run, "ascii") for name, _, run in lines if name == b"run_id"), "")
