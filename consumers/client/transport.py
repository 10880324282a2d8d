"""What carries a client's messages: one connection, without a word of the protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeAlias

__all__ = ["Dial", "Ended", "Transport"]


class Ended(Exception):
    """A connection has ended, or did not come about. Every transport raises it."""

    def __init__(
        self,
        code: int,
        reason: str = "",
        after: float | None = None,
        *,
        offline: bool = False,
    ) -> None:
        super().__init__(code, reason, after)
        self.code = code
        """The close code; 1006: it broke; 4000 + status: the handshake was refused."""
        self.reason = reason
        """The text that came with it, or what went wrong."""
        self.after = after
        """The seconds after which the server said it may be tried again."""
        self.offline = offline
        """Whether there is no network, as far as that can be told."""


class Transport(Protocol):
    """One open connection."""

    @property
    def subprotocol(self) -> str | None:
        """What the server chose of what it was offered."""
        ...

    async def send(self, message: str | bytes) -> None:
        """Hand a message over, as text or as bytes; wait while the server is slow.

        Raises:
            Ended: The message was not handed over.
        """
        ...

    async def receive(self) -> str | bytes:
        """Wait for the next message.

        Raises:
            Ended: All that came was received.
        """
        ...

    async def close(self, code: int, reason: str) -> None:
        """Say goodbye; ``receive`` goes on until the other side has answered."""
        ...


Dial: TypeAlias = Callable[
    [str, Sequence[str], Mapping[str, str]], AbstractAsyncContextManager[Transport]
]
"""Opens a connection to a URL, offering subprotocols, with headers; the end of the
context drops it. Raises `Ended` where it can't."""
