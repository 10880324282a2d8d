"""What the client raises beside the errors that both sides have.

What a server answers is a ``MessageError``, and what can't be sent raises a
``MessageNotEncodable``: both are those of :mod:`consumers.errors`. A request that is
not answered in time raises Python's own ``TimeoutError``.
"""

from __future__ import annotations

from typing import Any

from consumers.errors import ConsumersError, shorten

__all__ = ["Closed", "ConnectionLost", "OfflineFull", "Overflow", "UnexpectedMessage"]


class Closed(ConsumersError):
    """The client is closed for good: it will not connect again.

    By its own ``close()``, or since the server has said so by its close code.
    """

    def __init__(self, code: int, reason: str = "", detail: Any = None) -> None:
        super().__init__(code, reason, detail)
        self.code = code
        """The close code; 4000 + status for a refused handshake."""
        self.reason = reason
        """The text that came with it, or what made the connection fail."""
        self.detail = detail
        """What the server said beside it: of a refused handshake ``{"errors": …}``."""

    def __str__(self) -> str:
        parts = [f"the client is closed (code {self.code})", self.reason]
        if self.detail is not None:
            parts.append(shorten(self.detail))
        return ": ".join(filter(None, parts))


class ConnectionLost(ConsumersError, ConnectionError):
    """The connection broke in the middle of a stream, which can't be taken up again.

    Nobody's fault in the program; an ``OSError``. The client connects again by itself,
    and the stream can be asked for once more.
    """

    def __init__(self) -> None:
        super().__init__()

    def __str__(self) -> str:
        return "the connection was lost in the middle of a stream"


class OfflineFull(ConsumersError):
    """So many messages wait for a connection that no other one is taken.

    The fault of the code that sends; what it wanted to send is not sent.
    """

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self.most = most
        """How many wait."""

    def __str__(self) -> str:
        return (
            f"at most {self.most} messages may wait for a connection, got one more; "
            "wait for client.ready(), or connect(..., offline=...)"
        )


class Overflow(ConsumersError):
    """What the server sends is not read fast enough, and some of it is lost.

    The fault of the code that reads. It is raised where the lost ones would have come;
    pushes can be read on, a stream is over.
    """

    def __init__(self, what: str, most: int) -> None:
        super().__init__(what, most)
        self.what = what
        """What is read too slowly."""
        self.most = most
        """How many may wait unread."""

    def __str__(self) -> str:
        return (
            f"at most {self.most} {self.what} may wait unread, and more came; read "
            "faster, or connect(..., unread=...)"
        )


class UnexpectedMessage(ConsumersError, ValueError):
    """What the server has sent is not of the type that was asked for.

    The fault of either side's types. The message counts as received.
    """

    def __init__(self, kind: object, detail: str) -> None:
        super().__init__(kind, detail)
        self.kind = kind
        """What was expected."""
        self.detail = detail
        """What is wrong with it."""

    def __str__(self) -> str:
        return f"a message of type {shorten(self.kind)} was expected; {self.detail}"
