"""What a test is told when a connection did not go as it expected."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.datastructures import Headers

from consumers.close import CloseEvent
from consumers.errors import ConsumersError, shorten

__all__ = ["Closed", "Refused"]


class Refused(ConsumersError):
    """The application refused the handshake.

    Its text shows status and body.
    """

    def __init__(
        self, status: int, headers: Headers, body: bytes, code: int = 1006
    ) -> None:
        super().__init__(status, headers, body, code)
        self.status = status
        """The HTTP status: 403 for a close before the accept, 500 after an exception
        or when the application returned without an answer."""
        self.headers = headers
        """The headers of the response; names don't care about case."""
        self.body = body
        """The body of the response."""
        self.code = code
        """The code that the application closed with, which no real client gets to see;
        1006 where it sent a response, as a browser would report."""

    def json(self) -> Any:
        """Return the body, decoded from JSON.

        Raises:
            msgspec.DecodeError: It is not JSON.
        """
        return msgspec.json.decode(self.body)

    def __str__(self) -> str:
        text = f"the handshake was refused with {self.status}"
        if self.code not in (1000, 1006):
            text += f" (by a close with {self.code})"
        return f"{text}: {shorten(self.body, 400)}" if self.body else text


class Closed(ConsumersError):
    """The connection ended while the test expected something else.

    Its text shows code, reason and the messages that came before.
    """

    def __init__(self, event: CloseEvent, expected: str, came: str) -> None:
        super().__init__(event, expected, came)
        self.event = event
        """How the connection ended."""
        self.expected = expected
        """What the test waited for."""
        self.came = came
        """The last messages that came before, as text."""

    @property
    def code(self) -> int:
        """The close code."""
        return self.event.code

    @property
    def reason(self) -> str:
        """The text that came with the code."""
        return self.event.reason

    def __str__(self) -> str:
        reason = f" ({self.reason})" if self.reason else ""
        return (
            f"expected {self.expected}, got a close by the {self.event.initiator} "
            f"with {self.code}{reason}; {self.came}"
        )
