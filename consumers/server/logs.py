"""Logging of a process that only serves."""

from __future__ import annotations

import logging
import logging.config
from typing import Any, Final

from consumers.handshake.credentials import redacted
from consumers.logs import ConnectionLog, JSONFormatter
from consumers.observing import observe, observers_everywhere
from consumers.server.options import Options

__all__ = ["Redacting", "configure_logging"]

_LOGGERS: Final = ("consumers", "uvicorn")


def configure_logging(options: Options) -> None:
    """Show the servers' messages, and ours, on stderr.

    The application's own loggers are left as the application sets them up.
    """
    level = options.log_level.upper()
    handler: dict[str, Any] = {
        "class": "logging.StreamHandler",
        "formatter": options.log_format,
        "stream": "ext://sys.stderr",
        "filters": ["consumers"],
    }
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "text": {
                    "()": "uvicorn.logging.DefaultFormatter",
                    "fmt": "%(levelprefix)s %(message)s",
                },
                "json": {"()": JSONFormatter},
            },
            "filters": {"consumers": {"()": Redacting}},
            "handlers": {"consumers": handler},
            "loggers": {
                name: {"handlers": ["consumers"], "level": level, "propagate": False}
                for name in _LOGGERS
            },
        }
    )
    logged = any(isinstance(each, ConnectionLog) for each in observers_everywhere())
    if options.log_format == "json" and options.access_log and not logged:
        observe(ConnectionLog())
    if not options.access_log:
        for name in ("uvicorn.access", "consumers.access"):
            logging.getLogger(name).disabled = True


class Redacting(logging.Filter):
    """Takes credentials out of what is logged, tracebacks included.

    The lines of uvicorn's HTTP have the query in them, and those of its traces the
    whole scope; an exception's text may quote either.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Change what the record says; let it pass."""
        record.msg, record.args = redacted(record.getMessage()), None
        if record.exc_info and not record.exc_text:
            record.exc_text = _plain.formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = redacted(record.exc_text)
        return True


_plain: Final = logging.Formatter()
