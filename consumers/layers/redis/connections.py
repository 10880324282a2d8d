"""Single connections to a server: made, opened, prepared."""

from __future__ import annotations

from typing import Any, Final, NoReturn

import anyio
from anyio import create_task_group
from anyio.abc import TaskStatus
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from coredis.connection import (
    BaseConnection,
    TCPConnection,
    TCPLocation,
    UnixDomainSocketConnection,
    UnixDomainSocketLocation,
)
from coredis.exceptions import AuthorizationError, RedisError

from consumers.clock import move_on_after

from .address import Address
from .faults import FAILURES, Lost, contained, reason_of
from .scripts import SCRIPTS

__all__ = ["OPENING", "Ready", "ask_once", "connection_to", "prepare", "run"]

OPENING: Final = 5.0
"""Seconds in which a connection must be there."""


class Ready(TaskStatus[None]):
    """Tells when a connection is open."""

    def __init__(self) -> None:
        self.event = anyio.Event()
        """Set from then on."""

    def started(self, value: None = None) -> None:
        """Take note that it is."""
        self.event.set()


def connection_to(address: Address) -> BaseConnection:
    """Make a connection that is still to be run."""
    who: dict[str, Any] = {
        "username": address.username or None,
        "password": address.password or None,
        "db": address.db,
    }
    if address.path:
        return UnixDomainSocketConnection(UnixDomainSocketLocation(address.path), **who)
    place = TCPLocation(address.host, address.port)
    tls = address.ssl_context()
    return TCPConnection(place, ssl_context=tls, socket_keepalive=True, **who)


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


async def ask_once(connection: BaseConnection, *command: Any) -> Any:
    """Return the answer to one command, on a connection that serves nothing else.

    Raises:
        Lost: It can't be had.
        RedisError: The server refuses it.
    """
    ready, failures = Ready(), list[Exception]()
    answer: Any = None

    async def live() -> None:
        contained.set(True)
        try:
            await run(connection, ready)
        except Exception as error:
            failures.append(error)
            tasks.cancel_scope.cancel()

    async with create_task_group() as tasks:
        tasks.start_soon(live)
        with move_on_after(OPENING) as opening:
            await ready.event.wait()
            try:
                answer = await connection.create_request(*command)
            except (*FAILURES, RedisError) as error:
                failures.append(error)
        tasks.cancel_scope.cancel()
    if answer is not None:
        return answer
    if opening.cancelled_caught or not failures:
        raise Lost(f"no answer within {OPENING:g} seconds")
    if isinstance(failures[0], RedisError):
        raise failures[0]
    raise Lost(reason_of(failures[0])) from None


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
