"""A call: one message on its way through the method that takes it, to its answer."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from anyio import CancelScope

    from consumers.protocol.writing import Id
    from consumers.runtime.answered import Entry

    from .receivers import Receiver

__all__ = ["Call", "current_call"]


class Call:
    """One message, while it is handled."""

    __slots__ = (
        "answered",
        "cancelled",
        "entry",
        "id",
        "key",
        "message",
        "published",
        "receiver",
        "scope",
    )

    def __init__(
        self,
        id: Id,  # noqa: A002
        message: Any,
        receiver: Receiver,
        key: str | None = None,
    ) -> None:
        self.id = id
        """What its sender calls it; ``None``: nobody waits for the answer."""
        self.message = message
        """The message itself."""
        self.receiver = receiver
        """What takes it."""
        self.key = key
        """Its idempotency key, the sender's name included."""
        self.published = 0
        """How many publications it has made."""
        self.scope: CancelScope | None = None
        """Around its own task, if it has one."""
        self.cancelled = False
        """Whether its sender does not want the answer any more."""
        self.answered = False
        """Whether all of the answer was sent."""
        self.entry: Entry | None = None
        """Where its answer is remembered by its key."""

    def publication_key(self) -> str | None:
        """Return the idempotency key of its next publication, if it has one itself."""
        if self.key is None:
            return None
        self.published += 1
        return f"{self.key}.{self.published}"


current_call: Final[ContextVar[Call | None]] = ContextVar(
    "consumers.call", default=None
)
"""The call that the current task works on, where it has an idempotency key."""
