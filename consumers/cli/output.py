"""What all commands print with."""

from __future__ import annotations

import re
import sys
from typing import Final, TextIO

import msgspec
from rich.console import Console
from rich.text import Text

from consumers.errors import ConfigurationError
from consumers.server.loading import describe

__all__ = ["console", "json_line", "show_error", "show_line"]

_PIPE_WIDTH: Final = 400
"""Columns where there is no terminal: a reading program wants no line breaks."""


# What a terminal takes for commands, and JSON lets through.
_CONTROLS: Final = re.compile(r"[\x7f-\x9f]")


def console(stream: TextIO | None = None) -> Console:
    """Return a console on stdout, or on the given stream."""
    file = stream or sys.stdout
    return Console(
        file=file, width=None if file.isatty() else _PIPE_WIDTH, highlight=False
    )


def json_line(value: object) -> str:
    """Return a value as JSON, in which nothing is a command for the terminal."""
    text = msgspec.json.encode(value, enc_hook=repr).decode()
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


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
