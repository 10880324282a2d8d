"""Logs for machines: a line of JSON each, and one for each connection that has ended.

``consumers run --log-format json`` writes them. What a client has sent to be kept
secret is never a field of theirs: no query, header, cookie or subprotocol.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from .observing import Observer

if TYPE_CHECKING:
    from .close import CloseEvent
    from .consumer import WebSocketConsumer

__all__ = ["ConnectionLog", "JSONFormatter"]

log: Final = logging.getLogger("consumers.access")

_KNOWN: Final = frozenset(
    vars(logging.LogRecord("", 0, "", 0, "", (), None)) | {"message": "", "asctime": ""}
)
_NEVER: Final = frozenset({"color_message"})  # uvicorn's, with escape sequences
_encode: Final = msgspec.json.Encoder(enc_hook=str).encode


class ConnectionLog(Observer):
    """Logs each connection when it has ended, to ``consumers.access`` at level info.

    With the fields ``connection``, ``consumer``, ``path``, ``code``, ``initiator`` and
    ``seconds``; a refused handshake has ``status`` in place of the code.
    """

    def closed(
        self, connection: WebSocketConsumer, event: CloseEvent, seconds: float
    ) -> None:
        """Log the end of a connection."""
        self._log(
            connection,
            "connection %s of %s ended after %.3f s: %d, by the %s",
            (seconds, event.code, event.initiator),
            {"code": event.code, "initiator": event.initiator, "seconds": seconds},
        )

    def refused(
        self, connection: WebSocketConsumer, status: int | None, seconds: float
    ) -> None:
        """Log a handshake that came to nothing."""
        self._log(
            connection,
            "connection %s of %s was not accepted after %.3f s: %s",
            (seconds, "the client left" if status is None else status),
            {"status": status, "seconds": seconds},
        )

    def _log(
        self,
        connection: WebSocketConsumer,
        text: str,
        said: tuple[Any, ...],
        fields: dict[str, Any],
    ) -> None:
        if not log.isEnabledFor(logging.INFO):
            return
        name = type(connection).__qualname__
        fields["seconds"] = round(fields["seconds"], 3)
        path = connection.scope.get("path", "")
        log.info(
            text,
            connection.id,
            name,
            *said,
            extra={
                "connection": connection.id,
                "consumer": name,
                "path": path,
                **fields,
            },
        )


class JSONFormatter(logging.Formatter):
    """Writes a record as one line of JSON, what was passed as ``extra`` included."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(
                timespec="milliseconds"
            ),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name, value in vars(record).items():
            if name not in _KNOWN and name not in _NEVER:
                line.setdefault(name, value)
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            line["exception"] = record.exc_text
        return _encode(line).decode()
