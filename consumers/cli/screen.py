"""`Screen`: shows what comes, to a user who types or to a program that reads."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import Final

from rich.console import Console
from rich.highlighter import JSONHighlighter
from rich.text import Text

from consumers.cli.keyboard import PROMPT, Keyboard
from consumers.cli.output import console, json_line

__all__ = ["Screen"]

_CLEARED: Final = "\r\x1b[K"


class Screen:
    """Prints messages and notes; the line that is being typed stays below them.

    Raises:
        BrokenPipeError: Nobody reads what is printed any more.
    """

    def __init__(self, keyboard: Keyboard, *, interactive: bool) -> None:
        self._keyboard = keyboard
        self._interactive = interactive
        self._out = console()
        self._err = console(sys.stderr)

    def show(self, label: str, value: object, record: object, style: str = "") -> None:
        """Show what came.

        Args:
            label: What it is, for a user.
            value: What it says.
            record: What a program gets, as a line of JSON.
            style: The label's colour.
        """
        if not self._interactive:
            _write(self._out, Text(json_line(record)))
            return
        body = Text(json_line(value))
        JSONHighlighter().highlight(body)
        now = time.strftime("%H:%M:%S")
        self._print(
            Text.assemble((now, "dim"), "  ", (label, style or "cyan"), "  ", body)
        )

    def note(self, text: str) -> None:
        """Say what is to be known beside it."""
        told = Text(f"-- {text}", "yellow")
        if self._interactive:
            self._print(told)
        else:
            _write(self._err, told)

    def _print(self, text: Text) -> None:
        with self._keyboard.prompting:
            typed = _typed() if self._keyboard.waiting else None
            if typed is not None:
                self._out.file.write(_CLEARED)
            _write(self._out, text)
            if typed is not None:
                self._out.file.write(PROMPT + typed)
                self._out.file.flush()


def _write(out: Console, text: Text) -> None:
    try:
        out.print(text, soft_wrap=True)
    except SystemExit:
        # Rich's answer to a reader that has gone; it would kill an event loop at once.
        raise BrokenPipeError from None


def _typed() -> str:
    with suppress(ImportError):
        import readline

        return readline.get_line_buffer()
    return ""
