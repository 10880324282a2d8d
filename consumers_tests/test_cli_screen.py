"""The colours of what `consumers connect` shows."""

from __future__ import annotations

import re

import pytest

from consumers.cli.keyboard import Keyboard
from consumers.cli.screen import Screen

MESSAGE = {"n": 1, "text": "hi"}


def shown(capsys: pytest.CaptureFixture[str], *, interactive: bool) -> str:
    """Return what the screen prints of a message, an error and a note."""
    screen = Screen(Keyboard(interactive=interactive), interactive=interactive)
    screen.show("room 1.e <", MESSAGE, MESSAGE)
    screen.show("#1 !", "busy", {"error": "busy"}, "red")
    screen.note("connected")
    return capsys.readouterr().out


def test_colours(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time is dim, labels are cyan or red, notes yellow, and JSON has its own."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)

    message, error, note = shown(capsys, interactive=True).splitlines()

    assert re.match(
        r"\x1b\[2m\d\d:\d\d:\d\d\x1b\[0m  \x1b\[36mroom 1\.e <\x1b", message
    )
    for name, colour in (("n", "1;34"), ("text", "1;34")):
        assert f'\x1b[{colour}m"{name}"\x1b[0m' in message
    assert "\x1b[1;36m1\x1b[0m" in message  # a number
    assert '\x1b[32m"hi"\x1b[0m' in message  # a text
    assert "\x1b[31m#1 !\x1b[0m" in error
    assert note == "\x1b[33m-- connected\x1b[0m"


@pytest.mark.parametrize("interactive", [True, False])
def test_no_colours(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    interactive: bool,
) -> None:
    """Who wants none gets none, and what a program reads never has any."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1" if interactive else "")

    assert "\x1b[3" not in shown(capsys, interactive=interactive)
