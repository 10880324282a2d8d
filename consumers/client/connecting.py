"""`connect`: a client and its settings."""

from __future__ import annotations

import logging
import math
import ssl as tls
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, get_args

from consumers.errors import ConfigurationError, MessageError

from .answering import Answering
from .client import Client
from .credentials import Credentials, Token, TokenAs
from .inbox import Inbox
from .link import MAX_SIZE, check_url, open_link
from .outgoing import Outgoing
from .parts import Parts
from .reconnecting import Reconnect
from .transport import Dial
from .wire import Wire, WireCodec

__all__ = ["connect"]

log: Final = logging.getLogger("consumers.client")

_ALWAYS: Final = Reconnect()


def _log_error(error: MessageError) -> None:
    log.warning("the server could not take a message: %s", error)


def connect(
    url: str,
    *,
    token: Token = None,
    token_as: TokenAs = "header",  # noqa: S107  where it goes
    messages: Any = Any,
    codec: WireCodec = "json",
    reconnect: Reconnect | None = _ALWAYS,
    offline: int = 100,
    unread: int = 1000,
    deadline: float = 10.0,
    headers: Mapping[str, str] | None = None,
    ssl: tls.SSLContext | None = None,
    max_size: int | None = MAX_SIZE,
    on_error: Callable[[MessageError], object] = _log_error,
    transport: Dial | None = None,
) -> Client:
    """Return a client, which connects when its ``async with`` is entered.

    Args:
        url: ``ws://`` or ``wss://``.
        token: The credential, or an asynchronous function that fetches one: before the
            first connection, before it ends, and once when the server refuses it.
        token_as: How the handshake has it: ``"header"``, ``Authorization: Bearer``; or
            ``"subprotocol"``, as browsers can: ``bearer.<token>`` is offered.
        messages: The type of what the server pushes: a tagged ``msgspec.Struct``, or a
            union of some.
        codec: What frames are written in.
        reconnect: When it comes back after a connection was lost; ``None``: never.
        offline: How many messages and requests may wait for a connection.
        unread: How many pushes may wait to be read, and publications of each
            subscription, and items of each stream.
        deadline: Seconds that a connection may take to open, and a reply to come.
        headers: Further headers of the handshake.
        ssl: For ``wss://``: what is trusted; ``None``: what the system trusts.
        max_size: Bytes that a message of the server may have; ``None``: any number.
        on_error: Is told what the server could not do of what was sent by ``send``;
            the default logs it as a warning.
        transport: What opens connections instead of a WebSocket over the network.

    Raises:
        ConfigurationError: A value can't work.
    """
    check_url(url)
    for name, value, least in (("offline", offline, 0), ("unread", unread, 1)):
        if value < least:
            raise ConfigurationError(
                f"{name} must be at least {least} messages, got {value!r}"
            )
    if not 0 < deadline < math.inf:
        raise ConfigurationError(
            f"a deadline must be a positive number of seconds, got {deadline!r}"
        )
    if token_as not in get_args(TokenAs):
        raise ConfigurationError(
            f"token_as must be 'header' or 'subprotocol', got {token_as!r}"
        )
    wire = Wire(codec)
    parts = Parts(
        wire,
        Outgoing(offline),
        Inbox(unread),
        Answering(wire),
        Credentials(token, token_as),
        deadline,
        unread,
        on_error,
    )
    dial = transport or partial(open_link, ssl_context=ssl, max_size=max_size)
    return Client(
        url,
        parts,
        dial,
        messages=messages,
        headers=headers or {},
        reconnect=reconnect,
    )
