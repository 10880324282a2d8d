"""Keepalive: pings to the connections of one event loop, and deadlines for the answers.

One timer for all of them: a timer for each would cost more memory than what it guards.
All wait equally long, so those that are due are always the first ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final, Protocol

__all__ = ["Alive", "Keepalive"]

_GRAIN: Final = 0.05
"""Seconds by which a ping may be late, so that many can be sent in one turn."""


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

    __slots__ = ("_answers", "_interval", "_loop", "_pings", "_timeout", "_timer")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        interval: float | None,
        timeout: float | None,
    ) -> None:
        """Ping after ``interval`` seconds; the answer has ``timeout`` seconds.

        ``None``: nothing is pinged, and no answer is waited for.
        """
        self._loop = loop
        self._interval = interval
        self._timeout = timeout
        # {connection: when it is due}, in the order of that.
        self._pings: dict[Alive, float] = {}
        self._answers: dict[Alive, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, connection: Alive) -> None:
        """Ping a connection from now on, until it is forgotten."""
        if self._interval is not None:
            self._pings[connection] = self._loop.time() + self._interval
            if self._timer is None:
                self._wait(self._interval)

    def answered(self, connection: Alive) -> None:
        """Take note of a pong that answers the ping."""
        if self._answers.pop(connection, None) is not None:
            self.watch(connection)

    def forget(self, connection: Alive) -> None:
        """Leave a connection alone. Where nobody is left the timer runs out."""
        self._pings.pop(connection, None)
        self._answers.pop(connection, None)

    def _wait(self, seconds: float) -> None:
        assert self._interval is not None
        # Not longer than the interval: who is watched meanwhile must not be late.
        seconds = max(min(seconds, self._interval), _GRAIN)
        self._timer = self._loop.call_later(seconds, self._look)

    def _look(self) -> None:
        now = self._loop.time()
        try:
            for connection in _due(self._answers, now):
                connection.not_answered()
            for connection in _due(self._pings, now):
                if self._timeout is not None:
                    self._answers[connection] = now + self._timeout
                else:
                    assert self._interval is not None
                    self._pings[connection] = now + self._interval
                connection.ping()
        finally:
            # Also where one has failed: the others are due still.
            self._timer = None
            nexts = [
                next(iter(each.values()))
                for each in (self._pings, self._answers)
                if each
            ]
            if nexts:
                self._wait(min(nexts) - now)


def _due(waiting: dict[Alive, float], now: float) -> Iterator[Alive]:
    """Take out those whose time has come, one by one."""
    while waiting:
        connection, when = next(iter(waiting.items()))
        if when > now:
            return
        del waiting[connection]
        yield connection
