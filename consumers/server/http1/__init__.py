"""HTTP/1.1 by h11, without a loop and without a socket: bytes and ASGI's events.

- ``requests``: from a request to ASGI's scope, and what is refused
- ``cycle``: one request and its response
"""

from consumers.server.http1.cycle import Cycle, default_headers
from consumers.server.http1.requests import (
    MAX_HEAD,
    Endpoints,
    check,
    http_scope,
    is_websocket,
    websocket_scope,
)

__all__ = [
    "MAX_HEAD",
    "Cycle",
    "Endpoints",
    "check",
    "default_headers",
    "http_scope",
    "is_websocket",
    "websocket_scope",
]
