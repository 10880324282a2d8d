"""Refusals: how many handshakes were refused, and why.

Counted in one place for the whole process, since those who refuse are many and those
who ask are few: the metrics and the inspector.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, Literal, TypeAlias

__all__ = ["RefusalReason", "count_refusal", "refused"]

RefusalReason: TypeAlias = Literal[
    "allow",  # a rule says that this user may not
    "auth",  # who it is could not be told
    "draining",  # the server is about to end
    "header_timeout",  # the headers of a request took too long
    "host",  # the Host header names none of ours
    "limit_address",  # too many connections from one address
    "limit_total",  # too many connections
    "limit_user",  # too many connections of one user
    "not_found",  # no route matches
    "origin",  # a page of another origin wanted to connect
    "parameters",  # the path or the query does not fit
    "timeout",  # the handshake took too long
]
"""Why a handshake was refused; a closed set, since each becomes a metric's label."""

refused: Final[Counter[str]] = Counter()
"""How many handshakes were refused since the process began, by reason."""


def count_refusal(reason: RefusalReason) -> None:
    """Count a handshake that is being refused."""
    refused[reason] += 1
