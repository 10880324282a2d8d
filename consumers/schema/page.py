"""The page that shows the consumers of an application, and tries them.

One HTML document with its styles and scripts in it: a browser that has it asks for
nothing more, except what the application itself serves.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from consumers.close import CLOSE_CODES, should_return
from consumers.errors import ConfigurationError
from consumers.pages import PAGE_HEADERS, is_page_path, page_response, read_asset

from .asyncapi import asyncapi

if TYPE_CHECKING:
    from consumers.app import App

__all__ = ["check_docs", "docs_routes"]

_ASSETS: Final = Path(__file__).with_name("assets")
_CLIENT: Final = Path(__file__).parent.parent / "client" / "consumers.js"
_DOCUMENT: Final = "/asyncapi.json"


def docs_routes(app: App, path: str) -> list[Route]:
    """Return the routes of the page and of the AsyncAPI document below it.

    Raises:
        ConfigurationError: ``path`` can't be the path of a page.
    """
    if not is_page_path(path):
        raise ConfigurationError(
            "docs must be the path of a page, beginning with '/', without braces and "
            f"without a slash at its end, got {path!r}; write docs='/docs'"
        )

    async def page(request: Request) -> Response:
        root = request.scope.get("root_path", "")
        return page_response(
            read_asset(_ASSETS / "page.html"),
            style=read_asset(_ASSETS / "page.css"),
            modules=_for_script(_modules()),
            script=read_asset(_ASSETS / "page.js"),
            facts=_for_script(_facts(asyncapi(app), root, root + path + _DOCUMENT)),
        )

    async def document(request: Request) -> Response:
        content = msgspec.json.format(msgspec.json.encode(asyncapi(app)), indent=2)
        return Response(content, media_type="application/json", headers=PAGE_HEADERS)

    return [
        Route(path, page, name="docs"),
        Route(path + _DOCUMENT, document, name="docs:asyncapi"),
    ]


def check_docs(docs: Sequence[Route], routes: Sequence[BaseRoute]) -> None:
    """Check that no route of a table is hidden behind those of the page.

    One that matches many paths, the page's among them, may be there: the page comes
    first.

    Raises:
        ConfigurationError: A route has the path of the page or of its document.
    """
    for own in docs:
        for route in routes:
            if route is own or not isinstance(route, Route | Mount):
                continue
            below = isinstance(route, Mount) and route.path
            if route.path == own.path or (
                below and f"{own.path}/".startswith(f"{route.path}/")
            ):
                raise ConfigurationError(
                    f"docs must have a path that no route has, got {docs[0].path!r} "
                    f"and the route {route.path!r}; write another docs='/...'"
                )


def _facts(document: dict[str, Any], root: str, address: str) -> dict[str, Any]:
    """Return what the page's scripts are told."""
    return {
        "document": document,
        "address": address,
        "root": root,
        "codes": [
            {**asdict(row), "returns": should_return(code)}
            for code, row in CLOSE_CODES.items()
        ],
        "returning": [code for code in range(4400, 4600) if should_return(code)],
    }


@cache
def _modules() -> dict[str, Any]:
    """Return an import map with the scripts themselves, so that nothing is fetched."""
    files = {f"page/{path.stem}": path for path in sorted(_ASSETS.glob("*.js"))}
    del files["page/page"]  # which is in the page itself
    files["consumers"] = _CLIENT
    return {"imports": {name: _data(name, path) for name, path in files.items()}}


def _data(name: str, path: Path) -> str:
    # Browsers then call it so, in what they say of errors.
    content = path.read_bytes() + f"\n//# sourceURL={name}.js\n".encode()
    return f"data:text/javascript;base64,{b64encode(content).decode('ascii')}"


def _for_script(value: Any) -> str:
    """Return JSON that stays inside of a script element, whatever it says."""
    return msgspec.json.encode(value).decode().replace("<", "\\u003c")
