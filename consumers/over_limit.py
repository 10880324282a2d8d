"""Over limit: how often each limit was exceeded, and the lines that tell of it.

Counted for the whole process, beside the refusals: the metrics and the inspector ask
for it. Strangers decide how often that is, so that a log gets one line a second of each
limit at most.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import Final, Literal, Protocol, TypeAlias, get_args

from .errors import InvalidMessage, mark_logged, was_logged
from .seldom import Seldom

__all__ = ["LimitName", "exceeded", "note_misfit", "over_limit"]

LimitName: TypeAlias = Literal[
    "byte_rate",
    "connections",
    "connections_per_address",
    "connections_per_user",
    "disconnect_timeout",
    "groups",
    "handler_timeout",
    "handshake_timeout",
    "header_timeout",  # of a server of ours, as all that are not of `Limits`
    "heartbeat_timeout",
    "idle_timeout",
    "limit_concurrency",
    "message_bytes",
    "message_depth",
    "message_items",
    "message_rate",
    "outbox",  # in messages or bytes, by `Limits` or by a group's policy
    "ws_max_frames",
    "ws_max_size",
]
"""What can be exceeded; a closed set, since each becomes a metric's label."""

over_limit: Final[Counter[str]] = Counter()
"""How often a limit was exceeded since the process began, by its name.

Of messages that come too fast each counts that was answered, slowed down or closed for;
where there is only a warning, each ``burst`` of them counts once."""

_seldom: Final = {
    name: Seldom(logging.getLogger("consumers")) for name in get_args(LimitName)
}


class Named(Protocol):
    """A connection."""

    @property
    def id(self) -> str:
        """What names it."""
        ...


def exceeded(
    limit: LimitName, text: str, *values: object, by: Named | None = None
) -> None:
    """Count that a limit was exceeded; log ``text % values``, once a second at most.

    Args:
        limit: Its name.
        text: What is too much, and what becomes of it.
        values: Of the text; nothing that a client may keep secret.
        by: Whose connection it is, where there is one.
    """
    over_limit[limit] += 1
    if by is not None:
        text, values = (
            f"connection %s of %s {text}",
            (by.id, type(by).__name__, *values),
        )
    _seldom[limit].warn(text, *values)


def note_misfit(connection: Named, error: BaseException | None) -> None:
    """Count a message that is beyond a limit, if that is what is wrong with it.

    Once, however many learn of the error: whoever receives, and what ends by it.
    """
    if (
        isinstance(error, InvalidMessage)
        and error.limit is not None
        and not was_logged(error)
    ):
        mark_logged(error)
        exceeded(
            error.limit,
            "got a message beyond limits.%s: %s",
            error.limit,
            error.detail,
            by=connection,
        )
