"""A project of a user's: a directory with modules, as the current one."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

ECHO = "from consumers_tests.server.apps import app, make, wsgi, not_an_application\n"

_LOGGERS = (
    "consumers",
    "uvicorn",
    "uvicorn.access",
    "consumers.access",
)


class Project:
    """A directory in which modules can be written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, text: str) -> Path:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text))
        return file

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Take back what loading and serving change in this process."""
        before = set(sys.modules)
        path = list(sys.path)
        loggers = [logging.getLogger(name) for name in _LOGGERS]
        state = [(x.handlers[:], x.level, x.propagate, x.disabled) for x in loggers]
        try:
            yield
        finally:
            sys.path[:] = path
            for name in set(sys.modules) - before:
                file = getattr(sys.modules[name], "__file__", None)
                if file is None or file.startswith(str(self.path)):
                    del sys.modules[name]
            for logger, (handlers, level, propagate, disabled) in zip(
                loggers, state, strict=True
            ):
                logger.handlers[:] = handlers
                logger.setLevel(level)
                logger.propagate = propagate
                logger.disabled = disabled
