"""The settings of a consumer class, a route or a view: their names and values."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Final

from consumers.errors import ConfigurationError
from consumers.handshake.allow import are_rules
from consumers.limits import Limits

__all__ = ["SETTINGS", "check_settings"]


def check_settings(owner: str, settings: Mapping[str, Any]) -> None:
    """Check the settings of a class or route.

    Raises:
        ConfigurationError: One is unknown, or has a value that it can't have.
    """
    for name, value in settings.items():
        check = _SETTINGS.get(name)
        if check is None:
            close = difflib.get_close_matches(name, _SETTINGS, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ConfigurationError(
                f"{owner}: a setting must be one of {', '.join(_SETTINGS)}, "
                f"got {name!r}{hint}"
            )
        valid, expected = check
        if not valid(value):
            raise ConfigurationError(
                f"{owner}: {name} must be {expected}, got {value!r}"
            )


def _is_codes(value: Any) -> bool:
    if value is None or value is all:
        return True
    return isinstance(value, tuple) and all(isinstance(code, int) for code in value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_name(value: Any) -> bool:
    return value is None or isinstance(value, str)  # which one: codec_for


def _is_texts(value: Any) -> bool:
    """Tell whether it is a list of texts; which ones, is read by `Origins`."""
    return isinstance(value, list | tuple) and all(isinstance(s, str) for s in value)


_TYPE = (_is_name, "the name of a message type, or None")
_SETTINGS: Final[dict[str, tuple[Any, str]]] = {
    "auto_accept": (lambda value: isinstance(value, bool), "True or False"),
    "value_type": _TYPE,
    "receive_type": _TYPE,
    "send_type": _TYPE,
    "caught_close_codes": (
        _is_codes,
        "a tuple of close codes, the built-in all, or None for 1000, 1001 and 1005",
    ),
    "concurrency": (_is_count, "a positive whole number"),
    "finish_timeout": (_is_number, "a positive number of seconds"),
    "refusals": (lambda value: value in ("http", "close"), "'http' or 'close'"),
    "origins": (
        lambda value: value in (None, "*") or _is_texts(value),
        'a list such as ["https://shop.example"], "*" for any, or None',
    ),
    "sends": (lambda value: True, "a class, or a union of classes"),  # see _sends
    "positions": (lambda value: isinstance(value, bool), "True or False"),
    "allow": (
        are_rules,
        "a function of a connection, or a tuple of some",
    ),
    "limits": (
        lambda value: value is None or isinstance(value, Limits),
        "an instance of Limits, or None for the application's",
    ),
}
SETTINGS: Final = tuple(_SETTINGS)
"""The names of all settings."""
