"""What is shown of a message: short, and without what looks like a secret.

Pure. Nobody should have to think of an inspector when choosing a field's name, so what
is hidden is guessed, and guessed widely.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

__all__ = ["HIDDEN", "show", "show_text"]

HIDDEN: Final = "•••"
"""Stands for a secret."""

_LENGTH: Final = 600
"""Characters of a message that are shown."""

_READ: Final = 64 * 1024
"""Bytes of a message that are read for it; of a larger one only the size is told."""

_NAMES: Final = (
    "token|secret|passw|passphrase|authori[sz]ation|cookie|session|credential|"
    "api[-_]?key|private[-_]?key|signature|otp|jwt|bearer|csrf"
)
_NAMED: Final = re.compile(_NAMES, re.IGNORECASE)
# Each begins with what is seldom, and nothing in it repeats without a bound before what
# may fail: a client chooses the text, and must not choose how long this takes.
_IN_TEXT: Final = (
    # JSON Web Tokens, and whatever else is written in their way.
    re.compile(r"\b(eyJ[\w-]{5,}(?:\.[\w-]+){0,4})"),
    re.compile(r"(?i:\b(?:bearer|basic) {1,4})([\w.~+/=-]{6,})"),
    re.compile(
        rf"(?i:{_NAMES})[\w-]{{0,40}}[\"']?\s{{0,4}}[=:]\s{{0,4}}"
        r"(?:\"([^\"]*)|'([^']*)|([^\s&;,\"'\[{]+))"
    ),
)


def show(data: str | bytes) -> str:
    """Return what is shown of a message that was sent or received."""
    if len(data) > _READ:
        return f"… {len(data)} {'characters' if isinstance(data, str) else 'bytes'}"
    read = msgspec.json.decode if isinstance(data, str) else msgspec.msgpack.decode
    try:
        value: Any = read(data)  # type: ignore[arg-type]
    except (ValueError, RecursionError):
        # Bytes that say nothing could be anything, a key as well.
        return show_text(data) if isinstance(data, str) else f"… {len(data)} bytes"
    return show_text(_dumped(_without_secrets(value)))


def show_text(text: str, length: int = _LENGTH) -> str:
    """Return a text without what looks like a secret, cut to a length."""
    cut = text[: 2 * length]
    for pattern in _IN_TEXT:
        cut = pattern.sub(_hide, cut)
    if len(cut) <= length and len(text) <= 2 * length:
        return cut
    return f"{cut[: length - 1]}…"


def _hide(match: re.Match[str]) -> str:
    start, end = match.span(match.lastindex or 0)
    whole, before = match[0], match.start()
    return whole[: start - before] + HIDDEN + whole[end - before :]


def _dumped(value: Any) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode()


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: HIDDEN if _NAMED.search(str(name)) else _without_secrets(each)
            for name, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [_without_secrets(each) for each in value]
    if isinstance(value, bytes):
        return f"… {len(value)} bytes"
    return value
