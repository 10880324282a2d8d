"""Direct: the ASGI extension ``consumers.frames``, which servers of ours offer.

It stands beside ``receive`` and ``send`` and never replaces them: what has to wait goes
there. Where a middleware has put something of its own in their place, nothing goes past
it.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final, Protocol

from starlette.types import Receive, Scope, Send

from consumers.codecs import Event

__all__ = ["EXTENSION", "Direct", "direct_of"]

EXTENSION: Final = "consumers.frames"
"""Its name, in ``scope["extensions"]``."""


class Direct(Protocol):
    """One connection's way past ``receive`` and ``send``, for what need not wait."""

    @property
    def shares(self) -> Hashable | None:
        """Connections where this is equal may be sent the same frame.

        ``None``: this one needs frames of its own. Known once the handshake was
        accepted.
        """
        ...

    def take(self) -> Event | None:
        """Return the next message, if one is there; ``None``: await ``receive``."""
        ...

    def write(self, event: Event) -> bool:
        """Send a ``websocket.send`` event at once; ``False``: await ``send`` with it.

        Nothing has happened then: the peer is gone, does not read fast enough, or much
        was sent on this event loop, so that others have their turn first.
        """
        ...

    def write_data(self, data: bytes, is_text: bool) -> bool:
        """Send a message as :meth:`write` does, but whose turn it is does not matter.

        For a publication, or the one reply to what was received. A text comes encoded
        as UTF-8.
        """
        ...

    def frame(self, event: Event) -> bytes:
        """Return the frame of a ``websocket.send`` event."""
        ...

    def post(self, frame: bytes) -> bool:
        """Send a frame with others that are due to this peer; ``False``: as `write`.

        It goes out when the event loop has its next turn, at the latest, in order with
        all else that is sent.
        """
        ...

    async def receive(self) -> Any:
        """Receive as the application does."""
        ...

    async def send(self, event: Any) -> None:
        """Send as the application does."""
        ...


def direct_of(scope: Scope, receive: Receive, send: Send) -> Direct | None:
    """Return the extension, if the server has it and nobody stands in between."""
    extensions = scope.get("extensions")
    direct: Direct | None = extensions.get(EXTENSION) if extensions else None
    if direct is None or receive != direct.receive or send != direct.send:
        return None
    return direct
