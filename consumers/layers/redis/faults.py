"""What goes wrong on the way to a server, in one line; and whose report it is."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import Final

import anyio
from coredis.exceptions import (
    ConnectionError,  # noqa: A004  the broker's client calls it so; it is no OSError
    ReadOnlyError,
)

__all__ = ["FAILURES", "Lost", "contained", "reason_of"]


class Lost(Exception):
    """The link is lost; what was under way may have been carried out."""


FAILURES: Final = (
    Lost,
    # Also while the server still reads its data; and where it is a replica by now.
    ConnectionError,
    ReadOnlyError,
    OSError,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.EndOfStream,
)
"""What the loss of a connection may be raised as."""

_UNKNOWN: Final = ("NOAUTH", "HELLO must be called")

contained: Final[ContextVar[bool]] = ContextVar(
    "consumers.layers.contained", default=False
)
"""Whether what goes wrong in this task is reported by us."""

# The client logs with a traceback what it raises as well. What comes of that we say
# ourselves; where the application uses the client by itself, nothing changes.
logging.getLogger("coredis").addFilter(lambda _: not contained.get())


def reason_of(error: BaseException | None) -> str:
    """Return in one line why a server can't be reached."""
    while error is not None:
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        elif error.__cause__ is not None:
            error = error.__cause__
        else:
            break
    if error is None:
        return "not connected yet"
    reason = " ".join(str(error).split()) or type(error).__name__
    # What a server without a password for us has to say is long, and not that.
    return "a password is needed" if reason.startswith(_UNKNOWN) else reason
