"""The record: what is left of connections that have ended, and of their errors."""

from __future__ import annotations

import time
from collections import Counter, deque
from traceback import format_exception
from typing import TYPE_CHECKING, Final

import msgspec

from .shown import show_text

if TYPE_CHECKING:
    from .tap import Tap

__all__ = ["End", "Failure", "Record"]

_KEPT: Final = 100
"""Ends, and errors, that are remembered: a page shows no more."""

_TRACEBACK: Final = 12_000
"""Characters that are kept of a traceback, from its end."""


class End(msgspec.Struct, frozen=True):
    """A connection that has ended."""

    number: int
    at: float
    """Seconds since 1970."""
    consumer: str
    path: str
    address: str
    code: int
    """The close code; of a refused handshake the HTTP status."""
    reason: str
    by: str
    """``"client"``, ``"server"``, ``"network"`` or ``"refused"``."""
    seconds: float


class Failure(msgspec.Struct, frozen=True):
    """An exception that ended a connection."""

    number: int
    at: float
    consumer: str
    path: str
    error: str


class Record:
    """What one application's connections have left behind, in this process."""

    def __init__(self) -> None:
        self.opened = 0
        self.received = 0
        """Messages of connections that have ended."""
        self.sent = 0
        self.codes: Counter[str] = Counter()
        """``{close code, or "refused" and the status: how many}``."""
        self.ends: deque[End] = deque(maxlen=_KEPT)
        self.failures: deque[Failure] = deque(maxlen=_KEPT)
        self._tracebacks: deque[str] = deque(maxlen=_KEPT)  # of each of these
        self.number = 0
        """Of the latest entry of both."""

    def ended(self, tap: Tap, error: BaseException | None) -> None:
        """Take note of an end, and of what it has raised."""
        now = time.time()
        self.received += tap.received
        self.sent += tap.sent
        code, reason, by = tap.how
        self.codes[f"refused {code}" if by == "refused" else str(code)] += 1
        self.number += 1
        seen = tap.consumer, tap.path
        seconds = round(now - tap.since, 3)
        self.ends.append(
            End(self.number, now, *seen, tap.address, code, reason, by, seconds)
        )
        if isinstance(error, Exception | BaseExceptionGroup):
            self.number += 1
            text = "".join(format_exception(error))[-_TRACEBACK:]
            told = show_text(text, _TRACEBACK)
            name = show_text(f"{type(error).__name__}: {error}", 200)
            self.failures.append(Failure(self.number, now, *seen, name))
            self._tracebacks.append(told)

    def traceback(self, number: int) -> str | None:
        """Return how a failure came about, if it is remembered."""
        for failure, told in zip(self.failures, self._tracebacks, strict=True):
            if failure.number == number:
                return told
        return None
