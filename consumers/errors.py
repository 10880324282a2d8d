"""The exceptions of this package, as one tree.

::

    ConsumersError
    ├── ConfigurationError         a class, table or setting is wrong: told at start-up
    ├── StateError                 our caller's fault: the call does not fit the state
    ├── InvalidMessage             the client's fault: has a `close_code`
    ├── InvalidParameters          the client's fault: path or query, refused with 400
    ├── MessageNotEncodable        our caller's fault: the codec can't send this value
    ├── MessageError               answers the sender of a message, who stays connected
    ├── NotAllowed                 the client may not do this
    ├── LayerUnavailable           the broker behind the groups can't be reached
    ├── SubscriptionOverflow       the reader of a subscription is too slow
    ├── PublicationsLost           the broker has lost what a subscription waits for
    └── ConnectionClosed           nobody's fault: the peer is gone
                                   (also a starlette.websockets.WebSocketDisconnect)
    Rejected                       ends the hook that called `reject()`: no Exception

Facts are attributes; ``str()`` makes the sentence from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starlette.websockets import WebSocketDisconnect

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from .history import Position
    from .over_limit import LimitName

__all__ = [
    "ConfigurationError",
    "ConnectionClosed",
    "ConsumersError",
    "InvalidMessage",
    "InvalidParameters",
    "LayerUnavailable",
    "MessageError",
    "MessageNotEncodable",
    "NotAllowed",
    "PublicationsLost",
    "Rejected",
    "StateError",
    "SubscriptionOverflow",
    "mark_logged",
    "shorten",
    "was_logged",
]

_LOGGED = "_consumers_logged"


def shorten(value: object, limit: int = 80) -> str:
    """Return ``repr(value)``, cut to ``limit`` characters for an error's text."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def mark_logged(error: BaseException) -> None:
    """Take note that an exception is in the log, with its traceback.

    It is raised to the server all the same, which servers of ours need not tell again.
    """
    vars(error)[_LOGGED] = True  # a class may refuse attributes


def was_logged(error: BaseException) -> bool:
    """Tell whether an exception, or each one in a group, is in the log already."""
    if isinstance(error, BaseExceptionGroup) and _LOGGED not in vars(error):
        return all(map(was_logged, error.exceptions))
    return _LOGGED in vars(error)


class ConsumersError(Exception):
    """The root of all errors that this package raises on purpose."""


class ConfigurationError(ConsumersError, TypeError):
    """A class, a route or a setting can't work.

    Raised when the class or the table is made, never when a client comes. A
    ``TypeError``, since Python's own complaints about a definition are.
    """


class StateError(ConsumersError, RuntimeError):
    """The call does not fit the state that the connection is in.

    The fault of the code that called. A ``RuntimeError``, as a second close is in the
    interface that this one follows.
    """


class InvalidMessage(ConsumersError, ValueError):
    """A client's message is not what the consumer reads.

    The client's fault: the connection is closed with ``close_code`` and the server is
    told nothing. Pull-style code may catch it and go on.
    """

    def __init__(
        self,
        close_code: int,
        reason: str,
        detail: str = "",
        code: str = "invalid_message",
        limit: LimitName | None = None,
    ) -> None:
        super().__init__(close_code, reason, detail, code, limit)
        self.close_code = close_code
        """1003: wrong kind of frame; 1007: not decodable; 1008: violates the schema, or
        is beyond another limit; 1009: too many bytes; 4429: too many messages."""
        self.reason = reason
        """A fixed text that may be shown to the client."""
        self.detail = detail
        """What exactly was wrong, for logs; it may quote the client's data."""
        self.code = code
        """What its sender is answered with, where messages have types and it closes
        nothing: ``invalid_message``, ``too_large`` or ``rate_limited``."""
        self.limit = limit
        """Which of the limits for one message it is beyond: ``message_bytes``,
        ``message_items`` or ``message_depth``."""

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


class InvalidParameters(ConsumersError, ValueError):
    """Path or query parameters could not be converted.

    The client's fault: the handshake is refused with 400 and ``errors`` as JSON.
    """

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__(errors)
        self.errors = errors
        """``{parameter: what is wrong with it}``, all of them."""

    def __str__(self) -> str:
        return "; ".join(f"{name}: {text}" for name, text in self.errors.items())


class MessageNotEncodable(ConsumersError, TypeError):
    """A codec can't send this value. The fault of the code that sends."""


class LayerUnavailable(ConsumersError, ConnectionError):
    """What carries publications between processes can't be reached, or not in time.

    Nobody's fault in the program; an ``OSError``. Whether the call was carried out is
    open: a publication with an ``idempotency_key`` can be published again.
    """


class SubscriptionOverflow(ConsumersError):
    """A subscription was not read fast enough, and its membership has ended.

    The fault of the code that reads it, or of who publishes too much. A group with
    another ``outbox`` policy has publications dropped instead.
    """

    def __init__(
        self, group: str, policy: object, position: Position | None = None
    ) -> None:
        super().__init__(group, policy, position)
        self.group = group
        """The group's name."""
        self.policy = policy
        """What the group declares as its ``outbox``."""
        self.position = position
        """After what was read last: ``groups.subscribe(group, since=position)`` goes on
        there, in a group with history."""

    def __str__(self) -> str:
        return (
            f"the subscription to {self.group} is read too slowly: more waits than its "
            f"limits and {self.policy!r} allow"
        )


class PublicationsLost(ConsumersError):
    """Between two publications of a subscription others are lost, for good.

    Nobody's fault in the program: the broker has lost its data, or they have run out
    before they could be fetched. The subscription goes on.
    """

    def __init__(self, group: str, position: Position | None = None) -> None:
        super().__init__(group, position)
        self.group = group
        """The group's name."""
        self.position = position
        """Before what comes next."""

    def __str__(self) -> str:
        return f"publications to {self.group} before {self.position} are lost"


class MessageError(ConsumersError):
    """The answer to a message that can't be done, for the eyes of its sender.

    Raised where a message is handled it is sent to the client, which stays connected::

        raise MessageError("no_such_room", "rooms are red and blue")

    A client raises it from ``request``, with what the server has answered.
    """

    def __init__(self, code: str, detail: Any = None) -> None:
        super().__init__(code, detail)
        self.code = code
        """What programs go by. The framework's own: ``invalid_message``,
        ``unknown_type``, ``too_large``, ``not_allowed``, ``rate_limited``, ``timeout``,
        ``cancelled`` and ``internal``."""
        self.detail = detail
        """A text, or anything that has a JSON form; ``None``: nothing more is said."""

    def __str__(self) -> str:
        return self.code if self.detail is None else f"{self.code}: {self.detail}"


class NotAllowed(ConsumersError, PermissionError):
    """The client may not do this.

    Raised by a method that ``@subscribes`` marks, to refuse, and by ``subscribe`` where
    the consumer has no such method for a group. A message's sender is answered with the
    error ``not_allowed``, without the text; elsewhere the connection ends by it.
    """


class ConnectionClosed(ConsumersError, WebSocketDisconnect):
    """The peer of a connection is gone.

    Raised by every form of ``receive`` and ``send``, on every server, after a
    checkpoint. Left uncaught in a hook of its own connection it ends the hook silently;
    anywhere else it is an error like any other.
    """

    def __init__(
        self, connection: HTTPConnection[Any], code: int = 1006, reason: str = ""
    ) -> None:
        # `args` hold all there is, so that the exception can be copied and pickled.
        Exception.__init__(self, connection, code, reason)
        self.connection = connection
        """Whose peer is gone."""
        self.code = code
        """As in :class:`~consumers.close.CloseEvent`."""
        self.reason = reason
        """As in :class:`~consumers.close.CloseEvent`."""

    def __str__(self) -> str:
        text = f"the client is gone (code {self.code})"
        return f"{text}: {self.reason}" if self.reason else text


class Rejected(BaseException):
    """Ends the hook that rejected its connection.

    Not an ``Exception``, so that ``except Exception`` does not swallow it. Whoever does
    swallow it gets it again at the next call on the connection, and at the hook's end.
    """

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status
        """The HTTP status of the refusal."""

    def __str__(self) -> str:
        return f"the connection was refused with status {self.status}"
