"""Where a connection stands, and what may be done there: one table, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

__all__ = [
    "CLOSED",
    "CLOSING",
    "CONNECTING",
    "ENDED",
    "OPEN",
    "REFUSED",
    "TRANSITIONS",
    "WHY",
    "Action",
    "State",
]


class State(Enum):
    """Where a connection stands."""

    CONNECTING = auto()
    """The client waits for the answer to its handshake."""
    OPEN = auto()
    """Messages go both ways."""
    CLOSING = auto()
    """Our close was begun; nothing is sent or received any more."""
    CLOSED = auto()
    """The peer is gone."""
    REFUSED = auto()
    """The handshake was refused."""
    ENDED = auto()
    """``on_disconnect`` runs, or has run."""

    __hash__ = object.__hash__  # Enum's own is a call of a function


# For what every connection passes: before Python 3.12 an attribute of an enum is slow.
CONNECTING: Final = State.CONNECTING
OPEN: Final = State.OPEN
CLOSING: Final = State.CLOSING
CLOSED: Final = State.CLOSED
REFUSED: Final = State.REFUSED
ENDED: Final = State.ENDED


class Action(Enum):
    """What may happen to a connection; the value is the verb for errors."""

    ACCEPT = "accept"
    REFUSE = "reject"
    SEND = "send"
    RECEIVE = "receive"
    CLOSE = "close"
    JOIN = "join"
    LEAVE = "learn that the client left"
    END = "end"

    __hash__ = object.__hash__


TRANSITIONS: Final[Mapping[State, Mapping[Action, State]]] = {
    State.CONNECTING: {
        Action.ACCEPT: State.OPEN,
        Action.REFUSE: State.REFUSED,
        Action.CLOSE: State.REFUSED,
        Action.LEAVE: State.CLOSED,
        Action.END: State.ENDED,
    },
    State.OPEN: {
        Action.SEND: State.OPEN,
        Action.RECEIVE: State.OPEN,
        Action.JOIN: State.OPEN,
        Action.CLOSE: State.CLOSING,
        Action.REFUSE: State.CLOSING,
        Action.LEAVE: State.CLOSED,
        Action.END: State.ENDED,
    },
    State.CLOSING: {
        Action.RECEIVE: State.CLOSING,
        Action.LEAVE: State.CLOSING,
        Action.END: State.ENDED,
    },
    State.CLOSED: {
        Action.RECEIVE: State.CLOSED,
        Action.LEAVE: State.CLOSED,
        Action.END: State.ENDED,
    },
    State.REFUSED: {Action.LEAVE: State.REFUSED, Action.END: State.ENDED},
    State.ENDED: {Action.LEAVE: State.ENDED, Action.END: State.ENDED},
}
"""``{state: {what may happen: the state after it}}``; all else is a mistake.

Receiving goes on after the end, to hand out what came before it, then the end itself.
"""

WHY: Final[Mapping[State, str]] = {
    State.CONNECTING: "the connection was not accepted yet; await accept() first",
    State.OPEN: (
        "the connection was accepted already; leave accept() out, or set auto_accept = "
        "False"
    ),
    State.CLOSING: "the connection was closed with {code}",
    State.CLOSED: "the client is gone (code {code})",
    State.REFUSED: "the handshake was refused with status {status}",
    State.ENDED: (
        "the connection has ended (code {code}); on_disconnect can clean up and publish"
    ),
}
"""Why something can't be done, for errors."""
