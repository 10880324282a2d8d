"""What the pages of this package share: how they are kept safe, and their style."""

from __future__ import annotations

import secrets
from functools import cache
from pathlib import Path
from typing import Final

from starlette.responses import HTMLResponse, Response

__all__ = ["PAGE_HEADERS", "is_page_path", "page_response", "read_asset"]

PAGE_HEADERS: Final = {
    # What it shows is of this moment, and its nonce is for once.
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""The headers of a page, and of what belongs to it."""

# Nothing from elsewhere, only the scripts and styles of this very answer, no text is
# ever parsed as HTML, and nobody shows the page in a frame.
_POLICY: Final = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
    "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'"
)
_STYLE: Final = Path(__file__).with_suffix(".css")


def is_page_path(value: object) -> bool:
    """Tell whether it is a text such as "/docs", which matches nothing but itself."""
    if not isinstance(value, str) or set(value) & set("{}"):
        return False
    return value.startswith("/") and not value.endswith("/")


def page_response(document: str, *, style: str, **parts: str) -> Response:
    """Answer with a page: one document with its styles and scripts in it.

    ``<!-- name -->`` in it becomes the part of that name, one after the other: what
    the application says comes last, and nothing in it is replaced. ``<!-- nonce -->``
    becomes what styles and scripts need to be let in.
    """
    nonce = secrets.token_urlsafe(16)
    own = {"nonce": nonce, "style": read_asset(_STYLE) + style}
    for name, text in {**own, **parts}.items():
        document = document.replace(f"<!-- {name} -->", text)
    policy = _POLICY.format(nonce=nonce)
    return HTMLResponse(
        document, headers={**PAGE_HEADERS, "content-security-policy": policy}
    )


@cache
def read_asset(path: Path) -> str:
    """Return a file of the package, which is read once."""
    return path.read_text(encoding="utf-8")
