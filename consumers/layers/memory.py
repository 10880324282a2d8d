"""The layer of an application that is one process."""

from __future__ import annotations

from typing import Any, Final

from .contract import Deliver

__all__ = ["MemoryLayer"]


class MemoryLayer:
    """Delivers what is published in this process to this process."""

    local: Final = True

    def __init__(self) -> None:
        self._deliver: Deliver | None = None

    async def start(self, deliver: Deliver) -> None:
        """Deliver from now on."""
        self._deliver = deliver

    async def stop(self) -> None:
        """Deliver no longer."""
        self._deliver = None

    async def publish(self, publication: Any) -> None:
        """Deliver at once."""
        if self._deliver is not None:
            self._deliver(publication)

    async def subscribe(self, group: str) -> None:
        """Do nothing: all that is published here is delivered here."""

    async def unsubscribe(self, group: str) -> None:
        """Do nothing: without members there is nobody to deliver to."""
