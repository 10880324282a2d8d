"""From a request of h11's to ASGI's scope."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

import h11

__all__ = [
    "MAX_HEAD",
    "Endpoints",
    "check",
    "http_scope",
    "is_websocket",
    "websocket_scope",
]

MAX_HEAD: Final = 16 * 1024
"""Bytes of a request line and its headers; h11's own default, and uvicorn's."""

# For HTTP as uvicorn's: told of 2.4, Starlette does not listen for the client's leaving
# while it streams.
_SPECS: Final = {
    "http": {"version": "3.0", "spec_version": "2.3"},
    "websocket": {"version": "3.0", "spec_version": "2.4"},
}


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What a connection is between."""

    server: tuple[str, int | None] | None
    """Host and port, or the path of a Unix socket and None."""
    client: tuple[str, int] | None
    """Host and port; None on a Unix socket."""
    secure: bool
    """Whether it is TLS."""
    root_path: str
    """What a proxy in front has cut off."""


def check(request: h11.Request) -> None:
    """Refuse what h11 lets pass.

    Raises:
        h11.RemoteProtocolError: It is too large, or in another version of HTTP; or it
            has a length and chunks too, or chunks in HTTP/1.0, so that what one program
            on the way takes for its body the next takes for a request.

    Source: RFC 9112 6.1.
    """
    size = len(request.target)
    chunks = length = False
    for name, value in request.headers:
        size += len(name) + len(value)
        chunks = chunks or name == b"transfer-encoding"
        length = length or name == b"content-length"
    if size > MAX_HEAD:
        # h11 counts what is incomplete only, and much may come at once.
        raise h11.RemoteProtocolError("too large", error_status_hint=431)
    if request.http_version not in (b"1.1", b"1.0"):
        raise h11.RemoteProtocolError("unknown version", error_status_hint=400)
    if chunks and (length or request.http_version < b"1.1"):
        raise h11.RemoteProtocolError("ambiguous body", error_status_hint=400)


def is_websocket(request: h11.Request) -> bool:
    """Tell whether the request asks for a WebSocket, in a right way or a wrong one."""
    upgrade = connection = False
    for name, value in request.headers:
        if name == b"upgrade":
            upgrade = upgrade or value.strip().lower() == b"websocket"
        elif name == b"connection":
            tokens = value.lower().split(b",")
            connection = connection or b"upgrade" in [one.strip() for one in tokens]
    return upgrade and connection


def http_scope(
    request: h11.Request, endpoints: Endpoints, state: dict[str, Any]
) -> dict[str, Any]:
    """Return the scope of an HTTP request."""
    return {
        "method": request.method.decode("ascii"),
        "scheme": "https" if endpoints.secure else "http",
        "extensions": {"http.response.early_hint": {}},
        **_common("http", request, endpoints, state),
    }


def websocket_scope(
    request: h11.Request,
    endpoints: Endpoints,
    state: dict[str, Any],
    subprotocols: list[str],
) -> dict[str, Any]:
    """Return the scope of a WebSocket's handshake."""
    return {
        "scheme": "wss" if endpoints.secure else "ws",
        "subprotocols": subprotocols,
        "extensions": {"websocket.http.response": {}},
        **_common("websocket", request, endpoints, state),
    }


def _common(
    kind: str, request: h11.Request, endpoints: Endpoints, state: dict[str, Any]
) -> dict[str, Any]:
    raw_path, _, query = request.target.partition(b"?")
    root = endpoints.root_path
    return {
        "type": kind,
        "asgi": dict(_SPECS[kind]),
        "http_version": request.http_version.decode("ascii"),
        "server": endpoints.server,
        "client": endpoints.client,
        "root_path": root,
        "path": root + unquote(raw_path.decode("ascii")),
        "raw_path": root.encode() + raw_path,
        "query_string": query,
        "headers": list(request.headers),
        "state": state.copy(),
    }
