"""What metrics and traces call things by: few names, whatever clients do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyio import get_cancelled_exc_class

from consumers.close import CLOSE_CODES
from consumers.errors import ConnectionClosed, InvalidMessage, MessageError, NotAllowed
from consumers.runtime.answering import TookTooLong

if TYPE_CHECKING:
    from consumers.consumer import WebSocketConsumer

__all__ = ["consumer_name", "name_of_code", "outcome_of"]


def consumer_name(connection: WebSocketConsumer) -> str:
    """Return a consumer class's name: there are as many as the program has."""
    return type(connection).__qualname__


def name_of_code(code: int) -> str:
    """Return a close code's label: ``"3xxx"`` and ``"4xxx"`` for the open ranges.

    A client may send each of their 2,000.
    """
    return str(code) if code in CLOSE_CODES else f"{code // 1000}xxx"


def outcome_of(error: BaseException | None) -> str:
    """Return what came of handling a message.

    ``"rejected"``: its sender was told what is wrong with it. ``"timeout"``: it took
    longer than it may. ``"gone"``: the client left meanwhile. ``"failed"``: an
    exception that nobody had thought of.
    """
    match error:
        case None:
            return "ok"
        case TookTooLong() | MessageError(code="timeout"):
            return "timeout"
        case MessageError() | NotAllowed() | InvalidMessage():
            return "rejected"
        case ConnectionClosed():
            return "gone"
        case _ if isinstance(error, get_cancelled_exc_class()):
            return "cancelled"
        case _:
            return "failed"
