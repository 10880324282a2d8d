"""The blocking client's connections, and the server that each group's commands go to.

A connection is one thread's while it holds it. What every new one is told and asked is
in :meth:`Servers._greet`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import redis
from redis.connection import (
    Connection,
    ConnectionInterface,
    ConnectionPool,
    SSLConnection,
    UnixDomainSocketConnection,
)

from .address import Address
from .names import slot_of
from .scripts import PUBLISH

__all__ = ["Server", "Servers", "Slots"]

CONNECT_TIMEOUT: Final = 3.0
"""Seconds in which a server must accept a connection."""

READ_TIMEOUT: Final = 5.0
"""Seconds in which it must answer."""

_CONNECTIONS: Final = 2**16
"""How many there may be: as many as threads call at the same time."""

T = TypeVar("T")


class Slots(NamedTuple):
    """Who has a part of a cluster's slots."""

    first: int
    last: int
    place: tuple[str, int]


class Server:
    """One server, and the connections to it."""

    def __init__(self, kind: type[Any], settings: dict[str, Any]) -> None:
        self._runs: WeakKeyDictionary[ConnectionInterface, str] = WeakKeyDictionary()
        self._pool: Any = ConnectionPool(
            kind,
            _CONNECTIONS,
            redis_connect_func=self._greet,
            # The first answers are lists, and nothing is told without being asked.
            protocol=2,
            driver_info=None,
            socket_connect_timeout=CONNECT_TIMEOUT,
            socket_timeout=READ_TIMEOUT,
            **settings,
        )

    def close(self) -> None:
        """Close the connections that no thread holds."""
        self._pool.disconnect(inuse_connections=False)

    @contextmanager
    def connection(self) -> Iterator[tuple[Any, str]]:
        """Hold a connection that works, or did a moment ago; with the server's run.

        Raises:
            redis.RedisError: There is none to be had.
        """
        connection = self._pool.get_connection()
        try:
            yield connection, self._runs[connection]
        except BaseException:
            # Answers may be under way that whoever holds it next would take for theirs.
            connection.disconnect()
            raise
        finally:
            self._pool.release(connection)

    def _greet(self, connection: Any) -> None:
        """Log in, learn which run of the server this is, and teach it a script."""
        connection.on_connect()
        commands = [("INFO", "server"), ("SCRIPT", "LOAD", PUBLISH.text)]
        connection.send_packed_command(connection.pack_commands(commands))
        info = connection.read_response()
        connection.read_response()
        run = info.partition(b"run_id:")[2].partition(b"\r")[0]
        self._runs[connection] = run.decode()


class Servers:
    """The server at an address, or all of the cluster that it belongs to."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._lock = threading.Lock()
        self._first = (address.path or address.host, address.port)
        self._known: dict[tuple[str, int], Server] = {}
        self._slots: tuple[Slots, ...] = ()

    def close(self) -> None:
        """Close the connections that no thread holds."""
        for server in list(self._known.values()):
            server.close()

    def divide(
        self, items: Sequence[T], group_of: Callable[[T], str]
    ) -> list[tuple[Server, list[T]]]:
        """Return which items go to which server, those of a server in their order.

        Raises:
            redis.RedisError: It is a cluster, and can't be asked who has what.
        """
        if not self._address.cluster:
            return [(self._at(self._first), list(items))]
        slots = self._slots or self._look()
        divided: dict[tuple[str, int], list[T]] = {}
        for item in items:
            slot = slot_of(group_of(item))
            for first, last, place in slots:
                if first <= slot <= last:
                    divided.setdefault(place, []).append(item)
                    break
            else:
                raise redis.exceptions.ClusterDownError(f"nobody has slot {slot}")
        return [(self._at(place), batch) for place, batch in divided.items()]

    def look_again(self) -> None:
        """Take nothing for granted any more: neither connections nor who has what."""
        self._slots = ()
        self.close()

    def _look(self) -> tuple[Slots, ...]:
        failure: redis.RedisError | None = None
        for place in (*self._known, self._first):
            try:
                with self._at(place).connection() as (connection, _):
                    connection.send_command("CLUSTER", "SLOTS")
                    rows = connection.read_response()
            except redis.RedisError as error:
                failure = error
                continue
            self._slots = tuple(_read(row, place[0]) for row in rows)
            return self._slots
        assert failure is not None
        raise failure

    def _at(self, place: tuple[str, int]) -> Server:
        with self._lock:
            server = self._known.get(place)
            if server is None:
                server = self._known[place] = self._make(*place)
            return server

    def _make(self, host: str, port: int) -> Server:
        address = self._address
        settings: dict[str, Any] = {"db": address.db}
        if address.password:
            settings |= {"username": address.username or None}
            settings |= {"password": address.password}
        if address.path:
            return Server(UnixDomainSocketConnection, {**settings, "path": host})
        settings |= {"host": host, "port": port}
        if not address.tls:
            return Server(Connection, settings)
        settings["ssl_cert_reqs"] = "required" if address.verify else "none"
        if address.ca_certs:
            settings["ssl_ca_certs"] = address.ca_certs
        return Server(SSLConnection, settings)


def _read(row: Any, asked: str) -> Slots:
    """Return a row of the answer to CLUSTER SLOTS; a server may not know its name."""
    first, last, (host, port, *_) = row[:3]
    name = host.decode() if host and host != b"?" else asked
    return Slots(first, last, (name, port))
