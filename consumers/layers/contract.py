"""The contract that a layer keeps.

A layer carries publications between the processes of one application. Each process has
one layer, which its groups feed with what is published here, and which hands back what
was published anywhere, this process included. Of a publication a layer reads the
``group``; what it delivers is a publication again.

``consumers_tests/layers/conformance.py`` holds the tests that every layer must pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

__all__ = ["Deliver", "Layer"]

Deliver: TypeAlias = "Callable[[Any], None]"
"""What a layer calls with each publication for this process. Never waits."""


class Layer(Protocol):
    """Carries publications between processes."""

    @property
    def local(self) -> bool:
        """Whether it ends at this process.

        Then nothing of a publication is encoded for it, and what is published is
        delivered before :meth:`publish` returns.
        """
        ...

    async def start(self, deliver: Deliver) -> None:
        """Connect, and hand every publication to ``deliver`` from now on.

        Called once per event loop, before anything else. Cancelling leaves it stopped.

        Raises:
            OSError: What it connects to can't be reached.
        """
        ...

    async def stop(self) -> None:
        """Disconnect. Called once after :meth:`start`, also when that failed."""
        ...

    async def publish(self, publication: Any) -> None:
        """Carry a publication to every process that subscribes to its group.

        Publications of one task to one group arrive in the order of its calls.
        Cancelling leaves it open whether the publication arrives.
        """
        ...

    async def subscribe(self, group: str) -> None:
        """Have the group's publications delivered; when it returns they are."""
        ...

    async def unsubscribe(self, group: str) -> None:
        """Have them delivered no longer."""
        ...
