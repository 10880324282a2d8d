"""What all commands print with."""

from __future__ import annotations

import sys
from typing import Final, TextIO

from rich.console import Console
from rich.text import Text

from consumers.errors import ConfigurationError
from consumers.server.loading import describe

__all__ = ["console", "show_error", "show_line"]

_PIPE_WIDTH: Final = 400
"""Columns where there is no terminal: a reading program wants no line breaks."""


def console(stream: TextIO | None = None) -> Console:
    """Return a console on stdout, or on the given stream."""
    file = stream or sys.stdout
    return Console(
        file=file, width=None if file.isatty() else _PIPE_WIDTH, highlight=False
    )


def show_error(error: ConfigurationError) -> None:
    """Print what is wrong as the last line on stderr.

    Before it comes the traceback of the application's own code, if that raised.
    """
    own_traceback, line = describe(error)
    console(sys.stderr).print(Text(own_traceback), soft_wrap=True, end="")
    show_line(line)


def show_line(line: str) -> None:
    """Print what has gone wrong as a line on stderr."""
    told = Text.assemble(("error: ", "bold red"), line)
    console(sys.stderr).print(told, soft_wrap=True)
