"""Expiry: a connection ends when the credential does that it was opened with.

One task for all connections of an event loop does it, that of the heartbeats, and a
connection whose credential does not end has no part in it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from .heartbeats import current_heartbeats

__all__ = ["Expiry", "seconds_left"]

_EXPIRED: Final = 4401
"""Closes it. As 401, 'unauthorized': its client may come back with another one."""


class Host(Protocol):
    """The connection, as far as it matters here."""

    def end(self, code: int, reason: str) -> None:
        """Begin to close. Never waits."""
        ...

    def spawn(self, function: Callable[[], Awaitable[Any]]) -> None:
        """Start a task that ends with the connection."""
        ...


def seconds_left(user: object) -> float | None:
    """Return the seconds until a user's credential ends; ``None``: it does not."""
    expires: datetime | None = getattr(user, "expires", None)
    if expires is None:
        return None
    return max(0.0, (expires - datetime.now(UTC)).total_seconds())


class Expiry:
    """The end of one connection's credential."""

    __slots__ = ("_beats", "_host", "_number")

    def __init__(self, host: Host) -> None:
        """Begin with a credential that does not end."""
        self._beats = current_heartbeats()
        self._host = host
        self._number = -1  # what is due has it; none has this one

    def set(self, seconds: float | None) -> None:
        """Close when the seconds have passed, instead of when was said before."""
        self._beats.forget(self._number)
        if seconds is None:
            return
        if seconds > 0:
            self._number = self._beats.tell(self, seconds)
        else:
            self.look()

    def look(self) -> None:
        """Close: it is time."""
        self._host.end(_EXPIRED, "the credential has expired")

    def spawn(self, function: Callable[[], Awaitable[Any]]) -> None:
        """Start a task that ends with the connection."""
        self._host.spawn(function)
