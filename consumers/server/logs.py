"""Logging of a process that only serves."""

from __future__ import annotations

import logging.config
from typing import Any, Final

from consumers.server.options import Options

__all__ = ["configure_logging"]

_LOGGERS: Final = ("consumers", "uvicorn")


def configure_logging(options: Options) -> None:
    """Show the servers' messages, and ours, on stderr.

    The application's own loggers are left as the application sets them up.
    """
    level = options.log_level.upper()
    handler: dict[str, Any] = {
        "class": "logging.StreamHandler",
        "formatter": "consumers",
        "stream": "ext://sys.stderr",
    }
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "consumers": {
                    "()": "uvicorn.logging.DefaultFormatter",
                    "fmt": "%(levelprefix)s %(message)s",
                }
            },
            "handlers": {"consumers": handler},
            "loggers": {
                name: {"handlers": ["consumers"], "level": level, "propagate": False}
                for name in _LOGGERS
            },
        }
    )
    if not options.access_log:
        for name in ("uvicorn.access", "consumers.access"):
            logging.getLogger(name).disabled = True
