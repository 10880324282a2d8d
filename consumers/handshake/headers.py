"""What an accepted handshake's answer may carry: headers and a subprotocol.

Checked here and not left to servers: one of them splits the response at a line break in
a value, another ends with all its connections over a subprotocol that was not offered.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from .credentials import REDACTED, without_tokens

__all__ = ["Headers", "checked_headers", "checked_subprotocol"]

Headers: TypeAlias = "Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]"

# RFC 9110 5.6.2 (token) and 5.5 (field-value: no control characters but the tab).
_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9a-zA-Z-]+")
_VALUE: Final = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*")
# These belong to the server's side of the handshake (RFC 6455 4.2.2).
_RESERVED: Final = re.compile(rb"sec-websocket-.*|upgrade|connection")


def checked_headers(headers: Headers | None) -> list[tuple[bytes, bytes]]:
    """Return ``headers`` as ASGI wants them: lower-case names, all bytes.

    Raises:
        ValueError: A name or value may not be sent; the caller's fault.
    """
    if headers is None:
        return []
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    checked = []
    for raw_name, raw_value in pairs:
        name, value = _latin(raw_name).lower(), _latin(raw_value).strip()
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ValueError(
                "a header must be a token and a value without control characters, "
                f"got {(raw_name, raw_value)!r}"
            )
        if _RESERVED.fullmatch(name):
            raise ValueError(
                f"a header must not be one of the handshake's own, got {raw_name!r}; "
                "pass a subprotocol as accept(subprotocol=...)"
            )
        checked.append((name, value))
    return checked


def _latin(text: str | bytes) -> bytes:
    if isinstance(text, bytes):
        return text
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError(
            f"a header must be Latin-1 text, got {text!r}; encode it in ASCII"
        ) from None


def checked_subprotocol(subprotocol: str | None, offered: Sequence[str]) -> str | None:
    """Return ``subprotocol`` if the client offered it.

    Raises:
        ValueError: It did not. "The value chosen MUST be derived from the client's
            handshake" (RFC 6455 4.2.2); a browser fails the connection otherwise.
    """
    if subprotocol is None or subprotocol in offered:
        return subprotocol
    shown = subprotocol if without_tokens([subprotocol]) else REDACTED
    raise ValueError(
        f"a subprotocol must be one that the client offers, got {shown!r} "
        f"and the offer {list(offered)!r}; choose from self.subprotocols"
    )
