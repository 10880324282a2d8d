"""Corking: what connections have to write, written once per turn of the event loop."""

from __future__ import annotations

import asyncio
from typing import Protocol

__all__ = ["Cork", "Corked"]


class Corked(Protocol):
    """A connection that gathers what it has to write."""

    def flush(self) -> None:
        """Write what was gathered."""
        ...


class Cork:
    """Those connections of one server that have gathered something."""

    __slots__ = ("_loop", "held")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.held: list[Corked] = []
        """Who is flushed at the loop's next turn. Where there is somebody, others may
        be added right here."""

    def hold(self, connection: Corked) -> None:
        """Have a connection flushed at the loop's next turn."""
        if not self.held:
            self._loop.call_soon(self._pull)
        self.held.append(connection)

    def _pull(self) -> None:
        held = iter(self.held)
        self.held = []
        try:
            for connection in held:
                connection.flush()
        finally:
            # Nobody is left, unless one has failed.
            for connection in held:
                self.hold(connection)
