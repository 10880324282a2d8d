"""The request that asks for a WebSocket, read in one go.

Only what nearly every client sends: one request, whole, with nothing after it. Whatever
is written otherwise, right or wrong, is left to an HTTP parser.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

__all__ = ["Request", "read_request"]

_MOST: Final = 16 * 1024
"""Longer ones are not read here: bytes."""

# RFC 9112 3, 5.1: a target in origin form, names that are tokens, values of one line.
# Possessive, so that each byte is looked at once.
_is_request = re.compile(
    rb"GET (/[\x21\x22\x24-\x7e]*+) HTTP/1\.1\r\n"
    rb"((?:[-!#$%&'*+.^_`|~0-9A-Za-z]++:[\t\x20-\x7e\x80-\xff]*+\r\n)++)\r\n"
).fullmatch


class Request(NamedTuple):
    """A request for a WebSocket."""

    target: bytes
    """Path and query, as they were sent."""

    headers: list[tuple[bytes, bytes]]
    """Names in lower case, values without white space around them."""


def read_request(data: bytes) -> Request | None:
    """Read a request for an upgrade to WebSocket; ``None``: it is none of these."""
    if len(data) > _MOST or b"ebsocket\r\n" not in data:
        return None
    matched = _is_request(data)
    if matched is None:
        return None
    target, lines = matched.groups()
    headers = []
    upgrade = False
    for line in lines.split(b"\r\n")[:-1]:
        name, _, value = line.partition(b":")
        name, value = name.lower(), value.strip(b" \t")
        if name == b"upgrade" and value.lower() == b"websocket":
            upgrade = True
        headers.append((name, value))
    return Request(target, headers) if upgrade else None
