"""`script()`: a route that serves `consumers.js`."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

__all__ = ["script"]

_FILE: Final = Path(__file__).with_name("consumers.js")


def script(path: str = "/consumers.js") -> Route:
    """Return a route, named ``consumers.js``, that serves the JavaScript client.

    ::

        app = App([WebSocketRoute("/chat", Chat), script()])

    and in the page: ``import { connect } from "/consumers.js"``. Browsers keep it, and
    ask each time whether it has changed. It is sent as it is, 23 KB; a proxy in front
    makes less than 7 KiB of it, and so does Starlette's middleware, which lets
    sockets through: ``App([...], middleware=[Middleware(GZipMiddleware)])``.

    Args:
        path: Where to.
    """

    async def serve(request: Request) -> Response:
        content, tag = _read()
        headers = {
            "cache-control": "no-cache",
            "etag": tag,
            "x-content-type-options": "nosniff",
        }
        known = request.headers.get("if-none-match", "").replace("W/", "").split(",")
        if tag in (each.strip() for each in known):
            return Response(status_code=304, headers=headers)
        return Response(content, media_type="text/javascript", headers=headers)

    return Route(path, serve, name="consumers.js")


@cache
def _read() -> tuple[bytes, str]:
    """Return the module and its ETag. They stay what they are until a restart."""
    content = _FILE.read_bytes()
    return content, f'"{sha256(content).hexdigest()[:32]}"'
