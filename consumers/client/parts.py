"""`Parts`: what outlives a client's connections, and each of them works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec import Raw

from consumers.errors import MessageError

from .answering import Answering
from .credentials import Credentials
from .inbox import Inbox
from .outgoing import Outgoing
from .subscription import Subscriptions
from .wire import Wire

__all__ = ["Parts"]


@dataclass(frozen=True, slots=True)
class Parts:
    """What one client is made of."""

    wire: Wire
    """Reads and writes frames."""
    outgoing: Outgoing
    """What waits to be sent or answered."""
    messages: Inbox[Raw]
    """What the server has pushed."""
    answering: Answering
    """Answers the server's requests."""
    credentials: Credentials
    """The token that is shown."""
    deadline: float
    """Seconds that an answer may take, and a connection to open."""
    unread: int
    """How many messages, publications or items may wait to be read, each for itself."""
    on_error: Callable[[MessageError], object]
    """Is told what the server could not do of what nobody waits for."""
    subscriptions: Subscriptions = field(default_factory=Subscriptions)
    """The groups that the client gets publications of."""
