"""The opening handshake: is this request one, and what is the answer.

The request line, `Host` and the headers' own grammar are the HTTP parser's work; what
is asked for here is what RFC 6455 4.2.1 adds to it.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha1
from typing import Final, NamedTuple

from websockets.exceptions import InvalidHandshake
from websockets.headers import parse_extension

__all__ = [
    "Handshake",
    "Refusal",
    "answer_handshake",
    "check_handshake",
    "check_header",
]

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""What turns a key into its answer (RFC 6455 1.3)."""

_VERSION: Final = b"13"
_SWITCHING: Final = (
    b"HTTP/1.1 101 Switching Protocols\r\n"
    b"upgrade: websocket\r\n"
    b"connection: Upgrade\r\n"
    b"sec-websocket-accept: "
)
_CACHED_OFFER: Final = 512
"""Longer offers are not remembered: they come from nobody who comes often."""

_SERVERS_OWN: Final = frozenset({b"date", b"server"})
"""What each answer has, and the same in all for a second: made once."""

_is_token = re.compile(rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]+").fullmatch
_is_key = re.compile(rb"[A-Za-z0-9+/]{22}==").fullmatch
_breaks_out = re.compile(rb"[\r\n\0]").search

_ONCE: Final = {
    b"host": "Host",
    b"origin": "Origin",
    b"sec-websocket-key": "Sec-WebSocket-Key",
    b"sec-websocket-version": "Sec-WebSocket-Version",
}
"""Headers that may be there once only: whoever looks at another one of two than we do
would judge another request."""

_LISTS: Final = frozenset(
    {
        b"connection",
        b"upgrade",
        b"sec-websocket-extensions",
        b"sec-websocket-protocol",
        b"content-length",
        b"transfer-encoding",
    }
)

_OURS: Final = frozenset(
    {
        b"connection",
        b"content-length",
        b"sec-websocket-accept",
        b"sec-websocket-extensions",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Headers of the answer that the handshake itself decides on."""


class Handshake(NamedTuple):
    """A request to open a WebSocket that is as it should be."""

    key: bytes
    """What ``answer_handshake`` proves to have read."""

    subprotocols: list[str]
    """What the client offers, in its order of preference."""

    extensions: list[str]
    """The values of ``Sec-WebSocket-Extensions``, which follow its grammar."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request opens no WebSocket: an HTTP answer without Date and Server."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def check_handshake(
    method: bytes, headers: Sequence[tuple[bytes, bytes]], http_version: str = "1.1"
) -> Handshake | Refusal:
    """Judge a request that asks for a WebSocket.

    Whether the origin is welcome, and which subprotocol is chosen, is the application's
    business.

    Args:
        method: As it was sent.
        headers: Names in lower case, values without white space around them.
        http_version: ``"1.1"``, or what else the request line said.

    Source: RFC 6455 4.2.1, 4.2.2, 9.1; RFC 9112 3.2, 6.3.
    """
    if method != b"GET":
        return _refusal(405, "the method is not GET", (b"allow", b"GET"))
    if http_version != "1.1":
        return _refusal(505, "the version of HTTP is not 1.1")
    single: dict[bytes, bytes] = {}
    lists: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        if name in _ONCE:
            if name in single:
                return _refusal(400, f"there is more than one {_ONCE[name]} header")
            single[name] = value
        elif name in _LISTS:
            lists.setdefault(name, []).append(value)
    if not _asks_for_upgrade(lists):
        return _refusal(
            426, "it does not ask for an upgrade", (b"upgrade", b"websocket")
        )
    key = single.get(b"sec-websocket-key", b"")
    if not _is_key(key):
        return _refusal(400, "Sec-WebSocket-Key is not 16 bytes in base64")
    if single.get(b"sec-websocket-version") != _VERSION:
        return _refusal(
            426,
            "Sec-WebSocket-Version is not 13",
            (b"upgrade", b"websocket"),
            (b"sec-websocket-version", _VERSION),
        )
    if b"host" not in single:
        return _refusal(400, "there is no Host header")
    # A body would be taken for frames, by us or by a proxy in front.
    if b"transfer-encoding" in lists or any(
        length != b"0" for length in lists.get(b"content-length", ())
    ):
        return _refusal(400, "it has a body")
    subprotocols: list[str] = []
    for value in lists.get(b"sec-websocket-protocol", ()):
        offered = _tokens(value)
        if not offered:
            return _refusal(400, "Sec-WebSocket-Protocol is not a list of tokens")
        subprotocols.extend(token.decode() for token in offered)
    extensions: list[str] = []
    for value in lists.get(b"sec-websocket-extensions", ()):
        known = _is_offer if len(value) <= _CACHED_OFFER else _is_offer.__wrapped__
        if not known(value):
            return _refusal(400, "Sec-WebSocket-Extensions does not follow its grammar")
        extensions.append(value.decode())
    return Handshake(key, subprotocols, extensions)


def answer_handshake(
    key: bytes,
    subprotocol: str | None = None,
    headers: Iterable[tuple[bytes, bytes]] = (),
    extensions: str | None = None,
) -> bytes:
    """Return the answer that opens the WebSocket.

    Args:
        key: The client's.
        subprotocol: The chosen one of those that the client offers.
        headers: Sent as they are, Date and Server among them.
        extensions: What ``negotiate`` says.

    Raises:
        ValueError: A name or the subprotocol is no token, a value would end its line,
            or a header is one that this function writes. The application's fault.
    """
    accept = b2a_base64(sha1(key + _GUID, usedforsecurity=False).digest())
    lines = [_SWITCHING, accept[:-1], b"\r\n"]
    if subprotocol is not None:
        chosen = subprotocol.encode()
        if not _is_token(chosen):
            raise ValueError(
                f"a subprotocol must be a token, got {subprotocol!r}; "
                "choose one that the client offers"
            )
        lines += (b"sec-websocket-protocol: ", chosen, b"\r\n")
    if extensions is not None:
        lines += (b"sec-websocket-extensions: ", extensions.encode(), b"\r\n")
    for name, value in headers:
        if name in _SERVERS_OWN:
            lines.append(_line(name, value))
            continue
        check_header(name, value)
        lowered = name.lower()
        if lowered in _OURS or (
            lowered == b"sec-websocket-protocol" and subprotocol is not None
        ):
            raise ValueError(
                f"the server writes the header {name!r} itself, got it with {value!r}; "
                "leave it out"
            )
        lines += (name, b": ", value, b"\r\n")
    lines.append(b"\r\n")
    return b"".join(lines)


@lru_cache(maxsize=8)
def _line(name: bytes, value: bytes) -> bytes:
    check_header(name, value)
    return b"%b: %b\r\n" % (name, value)


def check_header(name: bytes, value: bytes) -> None:
    """Check a header that an application sends.

    Raises:
        ValueError: The name is no token, or the value would end its line. The
            application's fault.
    """
    if not _is_token(name) or _breaks_out(value):
        raise ValueError(
            "a header must be a token and a value of one line, got "
            f"{name!r}: {value!r}; encode what comes from outside"
        )


def _asks_for_upgrade(lists: dict[bytes, list[bytes]]) -> bool:
    connection = lists.get(b"connection", [])
    upgrade = lists.get(b"upgrade", [])
    # What nearly all clients send, before what they may send.
    if connection != [b"Upgrade"]:
        options = [_tokens(value) for value in connection]
        if not all(options) or not any(
            option.lower() == b"upgrade" for tokens in options for option in tokens
        ):
            return False
    if upgrade == [b"websocket"]:
        return True
    return len(upgrade) == 1 and [token.lower() for token in _tokens(upgrade[0])] == [
        b"websocket"
    ]


def _tokens(value: bytes) -> list[bytes]:
    """Return the elements of a list of tokens; none if it is anything else.

    Source: RFC 9110 5.6.1: a recipient ignores empty elements.
    """
    tokens = [
        stripped for part in value.split(b",") if (stripped := part.strip(b" \t"))
    ]
    return tokens if all(map(_is_token, tokens)) else []


@lru_cache(maxsize=64)
def _is_offer(value: bytes) -> bool:
    try:
        parse_extension(value.decode("latin-1"))  # what is not ASCII is in no token
    except InvalidHandshake:
        return False
    return True


def _refusal(status: int, why: str, *headers: tuple[bytes, bytes]) -> Refusal:
    body = f"This opens no WebSocket: {why}.\n".encode()
    return Refusal(
        status,
        [
            *headers,
            (b"connection", b"close"),
            (b"content-length", b"%d" % len(body)),
            (b"content-type", b"text/plain; charset=utf-8"),
        ],
        body,
    )
