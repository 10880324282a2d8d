"""Close codes: which may travel, who sends which, and should the client return.

Sources: RFC 6455 7.4 and the IANA registry it created; "may be sent" follows RFC 6455
7.4.1 and 7.4.2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Self, TypeAlias

from msgspec import Struct

__all__ = [
    "CLOSE_CODES",
    "MAX_REASON_BYTES",
    "WEBSOCKET_CLOSE_CODES",
    "CaughtCodes",
    "CloseCode",
    "CloseEvent",
    "catches",
    "check_code",
    "check_reason",
    "refusal_code",
    "should_return",
]

MAX_REASON_BYTES: Final = 123
"""A control frame carries 125 bytes, two of which are the code (RFC 6455 5.5)."""


@dataclass(frozen=True, slots=True)
class CloseCode:
    """What one code of the registry means."""

    code: int
    """The number on the wire, or the one that an API reports when nothing came."""

    name: str
    """Its name in the registry."""

    sent_by: Literal["either", "client", "server", "nobody"]
    """Who puts it into a close frame. ``"nobody"``: it is only ever reported."""

    returns: bool
    """Whether a client that wants to stay should connect again."""

    when: str
    """When it occurs, in one sentence."""


CLOSE_CODES: Final[dict[int, CloseCode]] = {
    row.code: row
    for row in (
        CloseCode(1000, "normal closure", "either", False, "the work is done"),
        CloseCode(
            1001,
            "going away",
            "either",
            True,
            "a tab was closed, a server stops, or the connection was idle for too long",
        ),
        CloseCode(
            1002, "protocol error", "either", False, "a frame broke the protocol"
        ),
        CloseCode(
            1003,
            "unsupported data",
            "either",
            False,
            "text came in place of bytes, or any message at a push-only consumer",
        ),
        CloseCode(
            1005, "no status received", "nobody", False, "the close frame had no code"
        ),
        CloseCode(
            1006,
            "abnormal closure",
            "nobody",
            True,
            "the connection broke, or was refused",
        ),
        CloseCode(
            1007,
            "invalid data",
            "either",
            False,
            "a message was not what its codec reads",
        ),
        CloseCode(
            1008,
            "policy violation",
            "either",
            False,
            "a message violates the schema, or a limit",
        ),
        CloseCode(1009, "message too big", "either", False, "a message was too large"),
        CloseCode(
            1010, "mandatory extension", "client", False, "an extension was not agreed"
        ),
        CloseCode(
            1011,
            "internal error",
            "server",
            True,
            "the application raised an exception",
        ),
        CloseCode(1012, "service restart", "server", True, "the server restarts"),
        CloseCode(
            1013,
            "try again later",
            "server",
            True,
            "the client reads too slowly, or a message took too long",
        ),
        CloseCode(1014, "bad gateway", "server", True, "a proxy had no answer"),
        CloseCode(1015, "TLS handshake", "nobody", False, "TLS could not be set up"),
    )
}
"""The registry: ``{code: what it means}``."""

WEBSOCKET_CLOSE_CODES: Final = {row.code: row.name for row in CLOSE_CODES.values()}
"""``{code: name}`` of the standard codes; applications use 4000-4999."""

_APPLICATION_CODES: Final = range(3000, 5000)
_REFUSALS: Final = range(4400, 4600)
_RETURNING_STATUSES: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


def check_code(code: int) -> int:
    """Return ``code`` if it may be put into a close frame.

    Raises:
        ValueError: It may not: only 1000-1003, 1007-1014 and 3000-4999 travel.

    Source: RFC 6455 7.4.1 (1005, 1006 and 1015 "MUST NOT be set as a status code in a
    Close control frame by an endpoint"), 7.4.2.
    """
    known = CLOSE_CODES.get(code)
    travels = code in _APPLICATION_CODES if known is None else known.sent_by != "nobody"
    if travels and type(code) is not bool and isinstance(code, int):
        return code
    raise ValueError(
        f"a close code must be 1000-1003, 1007-1014 or 3000-4999, got {code!r}; "
        "use 4000-4999 for the application's own"
    )


def check_reason(reason: str) -> str:
    """Return ``reason`` if it fits into a close frame.

    Raises:
        TypeError: It is not a string.
        ValueError: It takes more than 123 bytes of UTF-8.

    Source: RFC 6455 5.5, 5.5.1.
    """
    if not isinstance(reason, str):
        raise TypeError(f"a close reason must be a string, got {reason!r}")
    size = len(reason.encode())
    if size > MAX_REASON_BYTES:
        raise ValueError(
            f"a close reason must be at most {MAX_REASON_BYTES} bytes of UTF-8, "
            f"got {size}; send the details as a message before the close"
        )
    return reason


def refusal_code(status: int) -> int:
    """Return the close code that stands for an HTTP status: 4000 + status.

    Browsers show a script only 1006 for a refused handshake, whatever its status; a
    connection that is accepted and closed at once with this code tells it why.
    """
    return 4000 + status


def should_return(code: int) -> bool:
    """Tell whether a client that wants to stay should connect again after ``code``.

    Codes for refused handshakes (4400-4599) follow their HTTP status. Of an
    application's other codes only the application knows; they count as final.
    """
    if code in _REFUSALS:
        return code - 4000 in _RETURNING_STATUSES
    known = CLOSE_CODES.get(code)
    return known is not None and known.returns


CaughtCodes: TypeAlias = "tuple[int, ...] | Callable[..., Any] | None"
"""A client's close codes that are no error: a tuple, the built-in ``all``, or ``None``
for 1000, 1001 and 1005, which is what a browser's ``close()`` without a code makes."""

_CAUGHT_BY_DEFAULT: Final = frozenset({1000, 1001, 1005})


def catches(caught: CaughtCodes, code: int) -> bool:
    """Tell whether ``code`` is one of those that are no error."""
    if caught is None:
        return code in _CAUGHT_BY_DEFAULT
    return caught is all or (isinstance(caught, tuple) and code in caught)


class CloseEvent(Struct, frozen=True):  # made for each connection, faster than others
    """How a connection ended."""

    code: int
    """Our own code after our close, else what the server reports (1005: the client gave
    none, 1006: the connection broke or was refused)."""

    reason: str = ""
    """The text that came or went with the code. A client's text is untrusted."""

    was_clean: bool | None = None
    """Whether both close frames were exchanged; ``None`` where no server tells."""

    initiator: Literal["client", "server", "network"] = "client"
    """Who ended it. ``"network"``: it broke, or the client vanished without a frame."""

    status: int | None = None
    """The HTTP status with which the handshake was refused, if it was."""

    @classmethod
    def reported(cls, event: Mapping[str, Any]) -> Self:
        """Return what a server's ``websocket.disconnect`` event tells.

        Source: ASGI WebSocket, "Disconnect - receive event".
        """
        code = event.get("code") or 1005
        return cls(
            code,
            event.get("reason") or "",
            None if code == 1005 else code != 1006,
            "network" if code == 1006 else "server" if code == 1012 else "client",
        )
