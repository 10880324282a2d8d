"""The registry: the connections that are open on one event loop.

Who lets connections go at a deploy, counts them, or shows them asks here.
"""

from __future__ import annotations

from threading import local
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .life import Life

__all__ = ["Registry", "current_registry"]


class Registry:
    """The connections of one event loop, of all its applications."""

    __slots__ = ("closed", "draining", "lives", "servers")

    def __init__(self) -> None:
        self.lives: set[Life] = set()
        """Those whose first event is awaited or was read, until they have ended."""
        self.draining = False
        """Whether the server is about to end, so that readiness checks fail."""
        self.closed = False
        """Whether it accepts nothing more, so that who still comes is refused."""
        self.servers = 0
        """How many servers run in the event loop, as far as they are ours."""


class _Current(local):
    """Of each thread, which runs one event loop at a time."""

    def __init__(self) -> None:
        self.registry = Registry()


_current: Final = _Current()


def current_registry() -> Registry:
    """Return the registry of the running event loop.

    By the thread and not by a context variable: that takes 20 times as long, and each
    connection asks.
    """
    return _current.registry
