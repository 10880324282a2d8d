"""`Inspector`: where the page is, who may look, and what serves it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from consumers.errors import ConfigurationError
from consumers.pages import is_page_path, page_response, read_asset
from consumers.routing import WebSocketRoute
from consumers.websocket import WebSocket

from .looking import Looking
from .record import Record
from .tap import Tapping

__all__ = ["Inspector", "Rule"]

Rule: TypeAlias = "Callable[[WebSocket], Any]"
"""``allow(connection)``: whether who connects may look; plain or ``async``. What it
returns counts as true or false."""

_ASSETS: Final = Path(__file__).with_name("assets")


class Inspector:
    """A live page of an application's connections: ``App(..., inspector=...)``.

    ::

        def is_staff(connection):
            return connection.user.is_authenticated and connection.user.data.staff

        app = App([...], inspector=Inspector("/inspector", allow=is_staff))

    It shows who is connected and what fails, opens one connection's messages, and can
    close it: that is for few eyes. It knows one process, whose socket the page got.
    """

    def __init__(
        self, path: str, *, allow: Rule | None = None, every: float = 1.0
    ) -> None:
        """Describe the page.

        Args:
            path: Where it is, such as ``"/inspector"``.
            allow: ``allow(connection)`` tells who may look, after ``authenticate``.
                Without it an application does not start unless it has ``debug=True``.
            every: Seconds between two looks.

        Raises:
            ConfigurationError: An argument can't work.
        """
        if not is_page_path(path):
            raise ConfigurationError(
                "inspector must have the path of a page, beginning with '/', without "
                f"braces and without a slash at its end, got {path!r}; "
                "write Inspector('/inspector', allow=...)"
            )
        if allow is not None and not callable(allow):
            raise ConfigurationError(
                f"allow must be a function of the connection, got {allow!r}; "
                "write allow=lambda connection: connection.user.is_authenticated"
            )
        if isinstance(every, bool) or not 0.05 <= every <= 3600:
            raise ConfigurationError(
                f"every must be 0.05 to 3600 seconds, got {every!r}; write every=1.0"
            )
        self.path = path
        """Where the page is."""
        self.every = every
        """Seconds between two looks."""
        self.record = Record()
        """What has ended in this process."""
        self._allow = allow

    def check(self, *, debug: bool, routes: list[BaseRoute]) -> None:
        """Check that it may be in an application.

        Raises:
            ConfigurationError: Anybody could look, or a route has its path.
        """
        if self._allow is None and not debug:
            raise ConfigurationError(
                "an inspector must say who may look, got no 'allow'; write "
                "Inspector(path, allow=lambda connection: ...), or App(debug=True) "
                "where nobody else can connect"
            )
        for route in routes:
            taken = getattr(route, "path", None)
            if taken in (self.path, f"{self.path}/live"):
                raise ConfigurationError(
                    "an inspector must have a path that no route has, got "
                    f"{taken!r}; write another Inspector('/...')"
                )

    def routes(self) -> list[BaseRoute]:
        """Return the routes of the page and of its socket."""
        live = type("Live", (Looking,), {"inspector": self, "__module__": __name__})
        socket = WebSocketRoute(f"{self.path}/live", live, name="inspector:live")
        socket.include_in_schema = (
            False  # clients of the application have no use for it
        )
        return [Route(self.path, self._page, name="inspector"), socket]

    def around(self, app: ASGIApp) -> ASGIApp:
        """Return middleware that counts, around what serves connections."""
        return Tapping(app, self.record)

    async def allows(self, connection: WebSocket) -> bool:
        """Tell whether who connects may look."""
        if self._allow is None:
            return True
        answer = self._allow(connection)
        return bool(await answer if inspect.isawaitable(answer) else answer)

    async def _page(self, request: Request) -> Response:
        """Serve the page, which knows nothing itself: its socket tells it."""
        return page_response(
            read_asset(_ASSETS / "page.html"),
            style=read_asset(_ASSETS / "page.css"),
            script=read_asset(_ASSETS / "page.js"),
        )
