"""Credentials: where a handshake carries one, and how none of them gets into a log.

A browser's script can set no header on a WebSocket. What it can set besides the URL,
which every proxy writes into its log, is what subprotocols it offers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote

__all__ = ["REDACTED", "offered_token", "redacted", "without_tokens"]

_PREFIX: Final = "bearer."
"""What a subprotocol begins with that is none, but carries a token."""

REDACTED: Final = "[redacted]"
"""What stands in a log where a credential was."""

_NAMES: Final = r"""(?:[\w-]*token|[\w-]*secret|password|passwd|jwt|auth|authorization
    |api[_-]?key|session(?:_?id)?|ticket|code|sig|signature)"""

_HIDDEN: Final = re.compile(
    rf"""
    # A parameter of a query, in a path or by itself, in quotes.
    (?P<query>[?&'"]{_NAMES}=)[^\s&'"\#]+
    # The same, or a cookie, as one of a mapping.
    | (?P<pair>['"]{_NAMES}['"]:\ *b?['"])[^'"]+
    # An offered subprotocol, and what HTTP calls credentials.
    | (?P<offered>\bbearer\.)[\w.~%+/=!#$&*^`|-]{{16,}}
    | (?P<scheme>\b(?:bearer|basic|digest)\ +)[\w.~%+/=-]{{16,}}
    # Cookies, as header or as a pair in a scope.
    | (?P<cookie>\b(?:set-)?cookie['"]?\s*[:,]\s*b?['"]?)[^=\s'"]+=[^'"\r\n]+
    """,
    re.VERBOSE | re.IGNORECASE,
)


def offered_token(offered: Iterable[str]) -> str | None:
    """Return the token that a client offers as ``bearer.<token>``, if it does.

    Percent-encoded where it holds what no subprotocol may. Untrusted.
    """
    for name in offered:
        if name.startswith(_PREFIX) and len(name) > len(_PREFIX):
            return unquote(name[len(_PREFIX) :])
    return None


def without_tokens(offered: Iterable[str]) -> list[str]:
    """Return the subprotocols that are some."""
    return [name for name in offered if not name.startswith(_PREFIX)]


def redacted(text: str) -> str:
    """Return a text for a log, without the credentials that can be told from the rest.

    Those are: values of parameters of a URL that are named like some (``token``,
    ``access_token``, ``password``, ``api_key``, …), the ``Authorization`` and
    ``Cookie`` headers, and subprotocols that carry a token.
    """
    return _HIDDEN.sub(_hide, text)


def _hide(found: re.Match[str]) -> str:
    return f"{found[found.lastgroup or 0]}{REDACTED}"
