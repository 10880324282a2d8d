"""Keepalive: pings to the connections of one loop, and deadlines for the answers."""

from __future__ import annotations

import asyncio
from typing import Protocol

from consumers.server.deadlines import Deadlines

__all__ = ["Alive", "Keepalive"]


class Alive(Protocol):
    """A connection that is pinged."""

    def ping(self) -> None:
        """Send a ping."""
        ...

    def not_answered(self) -> None:
        """Give the connection up: the answer did not come in time."""
        ...


class Keepalive:
    """Who is to be pinged when, and whose answer is due."""

    __slots__ = ("_answers", "_next", "_pings")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        interval: float | None,
        timeout: float | None,
    ) -> None:
        """Ping after ``interval`` seconds; the answer has ``timeout`` seconds.

        ``None``: nothing is pinged, and no answer is waited for.
        """
        self._pings = Deadlines[Alive](loop, interval, self._ping)
        self._answers = Deadlines[Alive](loop, timeout, _not_answered)
        # What follows a ping: its answer, or the next one.
        self._next = self._pings if timeout is None else self._answers

    def watch(self, connection: Alive) -> None:
        """Ping a connection from now on, until it is forgotten."""
        self._pings.begin(connection)

    def answered(self, connection: Alive) -> None:
        """Take note of a pong that answers the ping."""
        if self._answers.waiting.pop(connection, None) is not None:
            self._pings.begin(connection)

    def forget(self, connection: Alive) -> None:
        """Leave a connection alone."""
        self._pings.waiting.pop(connection, None)
        self._answers.waiting.pop(connection, None)

    def _ping(self, connection: Alive) -> None:
        self._next.begin(connection)
        connection.ping()


def _not_answered(connection: Alive) -> None:
    connection.not_answered()
