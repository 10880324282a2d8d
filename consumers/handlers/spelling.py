"""The names of hooks, and what is written in their place by mistake."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

from consumers.errors import ConfigurationError

__all__ = ["HOOKS", "check_has_hooks", "check_spelling"]

HOOKS: Final = (
    "on_handshake",
    "on_connect",
    "on_receive",
    "on_disconnect",
    "on_presence",
    "on_gap",
)
"""The names of all hooks."""

# What other frameworks, and browsers, call these.
_ELSEWHERE: Final = {
    "on_open": "on_connect",
    "on_message": "on_receive",
    "on_close": "on_disconnect",
}
# What Channels calls them. An application may have such methods for itself.
_CHANNELS: Final = {
    "connect": "on_connect",
    "websocket_connect": "on_connect",
    "receive": "on_receive",
    "receive_json": "on_receive",
    "websocket_receive": "on_receive",
    "disconnect": "on_disconnect",
    "websocket_disconnect": "on_disconnect",
}


def check_spelling(cls: type) -> None:
    """Check that no attribute is nearly a hook, which would never be called.

    Raises:
        ConfigurationError: One is.
    """
    for name in vars(cls):
        if name.startswith("on_") and name not in HOOKS:
            close = difflib.get_close_matches(name, HOOKS, n=1, cutoff=0.85)
            meant = _ELSEWHERE.get(name) or (close[0] if close else None)
            if meant:
                raise _misspelt(cls, name, meant)


def check_has_hooks(cls: type, found: Iterable[object]) -> None:
    """Check that a class without any hook has none by the names of Channels.

    Args:
        cls: The class.
        found: What it has of hooks and of ``@receives`` and ``@subscribes`` methods;
            None stands for what it has not.

    Raises:
        ConfigurationError: It has.
    """
    if any(found):
        return
    for name, meant in _CHANNELS.items():
        if name in vars(cls):
            raise _misspelt(cls, name, meant)


def _misspelt(cls: type, name: str, meant: str) -> ConfigurationError:
    return ConfigurationError(
        f"{cls.__qualname__}: a hook must be one of {', '.join(HOOKS)}, got {name!r}; "
        f"did you mean {meant!r}?"
    )
