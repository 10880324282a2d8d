"""How a connection is to end, by what its hooks and tasks have raised."""

from __future__ import annotations

import logging
from typing import Final, NoReturn

from anyio import get_cancelled_exc_class
from starlette.exceptions import HTTPException, WebSocketException

from consumers.errors import (
    ConnectionClosed,
    InvalidMessage,
    InvalidParameters,
    LayerUnavailable,
    NotAllowed,
    Rejected,
    mark_logged,
)
from consumers.handshake.connection import Connection
from consumers.handshake.refusal import Denial, end_by, leaves
from consumers.handshake.refusals import count_refusal
from consumers.over_limit import exceeded, note_misfit

__all__ = ["Verdict"]

log: Final = logging.getLogger("consumers")


class Verdict:
    """How one connection is to end: by its failures, or else by the first reason."""

    __slots__ = ("_connection", "closing", "failures", "refusal")

    def __init__(self, connection: Connection) -> None:
        """Begin with no reason to end."""
        self._connection = connection
        self.failures: list[BaseException] = []
        """What goes to the server when all has ended."""
        self.closing: tuple[int, str] | None = None
        """Code and reason after accept, where no failure decides."""
        self.refusal: Denial | None = None
        """The same before accept: status, content and headers."""

    def judge(self, error: BaseException, *, silent: bool, over: bool) -> bool:
        """Decide by ``error`` how the connection ends; tell whether it ends now.

        What a client did wrong, a refusal, and the client's leaving are no failures.

        Args:
            error: What was raised.
            silent: Whether the client's leaving ends silently whatever has raised it.
            over: Whether the end is decided, and this can only be told.
        """
        causes = list(leaves(error))
        known = [each for each in causes if self._is_known(each, silent, over)]
        if len(known) == len(causes):
            for cause in known:
                self.take_note(cause)
            unnoticed = (ConnectionClosed, get_cancelled_exc_class())
            return not all(isinstance(cause, unnoticed) for cause in known)
        if known and isinstance(error, BaseExceptionGroup):
            # By a function, since before 3.13 it takes no method.
            error = error.split(lambda each: each in known)[1] or error
        self.failures.append(error)
        log.error(
            "connection %s of %s: an exception %s",
            self._connection.id,
            type(self._connection).__name__,
            "after its end" if over else "ends it with 1011",
            exc_info=error,
        )
        mark_logged(error)
        return True

    def _is_known(self, error: BaseException, silent: bool, over: bool) -> bool:
        if isinstance(error, ConnectionClosed):
            return error.connection is self._connection and silent
        if isinstance(error, HTTPException | WebSocketException | InvalidParameters):
            return not over
        if isinstance(error, NotAllowed):
            return not over
        if isinstance(error, LayerUnavailable):
            log.warning("connection %s: %s", self._connection.id, error)
            return True
        return isinstance(error, Rejected | InvalidMessage | get_cancelled_exc_class())

    def take_note(self, error: BaseException) -> None:
        """Take over from a known error how the connection ends: the first counts."""
        note_misfit(self._connection, error)
        closing, refusal = end_by(error)
        self.closing = self.closing or closing
        self.refusal = self.refusal or refusal

    def cancelled(self) -> None:
        """Say how a connection ends that is cancelled from outside: by a shutdown."""
        self.closing = self.closing or (1012, "")
        self.refusal = self.refusal or (503, None, None)

    def of_open(self) -> tuple[int, str]:
        """Return the code and the reason for a connection that is open."""
        return (1011, "") if self.failures else self.closing or (1000, "")

    def of_connecting(self, *, late: bool) -> Denial:
        """Return the refusal of one that was not accepted.

        Args:
            late: Whether its handshake took too long.
        """
        if self.failures:
            return (500, None, None)
        if late and self.refusal is None:
            count_refusal("timeout")
            exceeded(
                "handshake_timeout",
                "refused with 408: limits.handshake_timeout is over",
                by=self._connection,
            )
            return (408, None, None)
        return self.refusal or (403, None, None)

    def raise_failures(self) -> NoReturn:
        """Raise what goes to the server: the exception itself, a group if several."""
        if len(self.failures) == 1:
            raise self.failures[0]
        raise BaseExceptionGroup(
            "several hooks or tasks of a connection failed", self.failures
        )
