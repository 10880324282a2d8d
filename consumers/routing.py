"""The URL table: `WebSocketRoute`, and `Router` with the function style's decorator.

Patterns and convertors are Starlette's. A table takes these routes beside Starlette's
own, in an ``App``, a Starlette or a FastAPI application alike.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any, Final

from starlette.convertors import CONVERTOR_TYPES
from starlette.middleware import Middleware
from starlette.routing import (
    PARAM_REGEX,
    BaseRoute,
    Host,
    Match,
    Mount,
    Route,
    compile_path,
)
from starlette.routing import WebSocketRoute as StarletteWebSocketRoute
from starlette.types import ASGIApp, Scope

from .consumer import WebSocketConsumer
from .errors import ConfigurationError
from .handlers.messages import Receiving, codecs_of
from .handlers.params import Binder
from .handlers.plan import Plan
from .handlers.settings import check_settings
from .handlers.signatures import all_providers, callers_locals, read_signature
from .handshake.allow import rules_of
from .runtime import observed  # noqa: F401  # what serves the classes that are routed here

__all__ = ["Router", "WebSocketRoute", "check_table"]

_ANONYMOUS: Final = "_anonymous"
_NONE: Final = Match.NONE  # before Python 3.12 an attribute of an enum is slow
_FULL: Final = Match.FULL
_BRACES: Final = re.compile(r"\{[^{}]*\}")


class WebSocketRoute(StarletteWebSocketRoute):
    """Maps a URL pattern to a consumer class, or to an async function.

    ``{name}`` matches up to the next slash and ``{name:int}`` what a convertor takes:
    ``str``, ``int``, ``float``, ``path``, ``uuid`` and the application's own. ``{}``
    matches anything and is passed to nobody.
    """

    include_in_schema = True
    """Whether documents and types that are made of the table tell of it."""

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        name: str | None = None,
        middleware: Sequence[Middleware] | None = None,
        mounted_at: str | None = "",
        **settings: Any,
    ) -> None:
        """Check the endpoint against the path.

        Args:
            path: The pattern. A missing leading slash is added.
            endpoint: A consumer class, or ``async def view(ws, ...)``.
            name: For ``url_path_for``; the endpoint's own name otherwise.
            middleware: ASGI middleware around the endpoint.
            mounted_at: The prefix that this route is mounted under, if that has
                parameters which the endpoint asks for. ``None``: not known yet.
            settings: Those of ``WebSocketConsumer``, for this route.

        Raises:
            ConfigurationError: The pattern or the endpoint can't work.
        """
        path = _normalized(path)
        owner = f"route {path!r}"
        self.named = name is not None
        """Whether it was given a name."""
        self.consumer = _consumer_of(owner, endpoint, settings, callers_locals())
        """The class that serves it."""
        super().__init__(
            path, self.consumer, name=name or endpoint.__name__, middleware=middleware
        )
        if middleware:
            # FastAPI's include_router makes a route of its own from the endpoint alone.
            self.endpoint = self.app
        # Starlette's `$` would let a newline at the end through.
        self.path_regex = re.compile(self.path_regex.pattern.removesuffix("$") + r"\Z")
        if mounted_at is not None:
            known = {*self.param_convertors, *_names_in(mounted_at)}
            plan = self.consumer.prepare()
            plan.binder.check_path(
                f"{owner} to {endpoint.__name__}", mounted_at + path, known
            )

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match a scope, leaving out what is anonymous."""
        if not self.param_convertors and not scope.get("root_path"):
            # Compared, which is faster than Starlette's pattern and dictionaries.
            if scope["type"] != "websocket" or scope["path"] != self.path:
                return _NONE, {}
            path_params = dict(scope.get("path_params") or ())
            return _FULL, {"endpoint": self.endpoint, "path_params": path_params}
        match, child = super().matches(scope)
        if _ANONYMOUS in self.path and "path_params" in child:
            child["path_params"] = {
                name: value
                for name, value in child["path_params"].items()
                if not name.startswith(_ANONYMOUS)
            }
        return match, child

    def under(self, prefix: str, *, mounted_at: str | None) -> WebSocketRoute:
        """Return the same route below a prefix."""
        made = WebSocketRoute(
            prefix + self.path,
            self.consumer,
            name=self.name,
            mounted_at=mounted_at,
        )
        made.app, made.endpoint = self.app, self.endpoint  # with its middleware
        made.named = self.named
        return made


class Router:
    """A part of a URL table, to be included in an ``App`` or another router."""

    # What routes are mounted under: not known before the router is included.
    _mounted_at: str | None = None

    def __init__(self, routes: Sequence[BaseRoute] = ()) -> None:
        """Begin with ``routes``."""
        self.routes: list[BaseRoute] = list(routes)
        """The table; the first match wins."""

    def websocket_route(
        self, path: str, *, name: str | None = None, **settings: Any
    ) -> Callable[[Callable[..., Any]], WebSocketRoute]:
        """Route a path to the function or consumer class that is decorated.

        ::

            @app.websocket_route("/echo", value_type="json")
            async def echo(ws, times: int = 1):
                async for message in ws:
                    await ws.send(message)

        The name becomes the route.

        Args:
            path: As for :class:`WebSocketRoute`.
            name: As for :class:`WebSocketRoute`.
            settings: Those of ``WebSocketConsumer``.

        Raises:
            ConfigurationError: The pattern or the function can't work.
        """
        path = _normalized(path)

        def add(endpoint: Callable[..., Any]) -> WebSocketRoute:
            route = WebSocketRoute(
                path, endpoint, name=name, mounted_at=self._mounted_at, **settings
            )
            self.routes.append(route)
            self._changed()
            return route

        return add

    def include_router(self, router: Router, prefix: str = "") -> None:
        """Add the routes of another router, with ``prefix`` before their paths.

        Raises:
            ConfigurationError: A path lacks what its endpoint asks for.
        """
        prefix = "/" + prefix.strip("/") if prefix.strip("/") else ""
        for route in router.routes:
            self.routes.append(_below(prefix, route, self._mounted_at))
        self._changed()

    def mount(self, path: str, app: ASGIApp, name: str | None = None) -> None:
        """Hand everything below ``path`` to another ASGI application."""
        self.routes.append(Mount(f"/{path.lstrip('/')}", app=app, name=name))
        self._changed()

    def _changed(self) -> None:
        """The table has changed."""


def check_table(routes: Sequence[BaseRoute], prefix: str = "") -> None:
    """Check a whole table, whose routes are below ``prefix``.

    Raises:
        ConfigurationError: Two routes have one name, or a consumer in a route of
            Starlette's own does not fit its path.
    """
    given: set[str] = set()
    for route in routes:
        if not isinstance(route, BaseRoute):
            raise ConfigurationError(
                f"a URL table must hold routes, got {route!r}; "
                "write WebSocketRoute(path, endpoint)"
            )
        name = getattr(route, "name", None)
        if getattr(route, "named", False):
            if name in given:
                raise ConfigurationError(
                    f"each route must have a name of its own, got {name!r} twice; "
                    "rename one"
                )
            given.add(str(name))
        if isinstance(route, StarletteWebSocketRoute) and not isinstance(
            route, WebSocketRoute
        ):
            endpoint = route.endpoint
            if isinstance(endpoint, type) and issubclass(endpoint, WebSocketConsumer):
                path = prefix + route.path
                owner = f"route {route.path!r} to {endpoint.__name__}"
                endpoint.prepare().binder.check_path(owner, path, _names_in(path))
        if isinstance(route, Mount | Host):
            check_table(route.routes, prefix + _prefix_of(route))


def consumers_in(routes: Sequence[BaseRoute]) -> list[type[WebSocketConsumer]]:
    """Return the consumer classes of a table, those in mounted tables included.

    Except those of another ``App``, which has a lifespan of its own.
    """
    found: list[type[WebSocketConsumer]] = []
    for route in routes:
        endpoint = getattr(route, "endpoint", None)
        if isinstance(route, WebSocketRoute):
            found.append(route.consumer)
        elif isinstance(endpoint, type) and issubclass(endpoint, WebSocketConsumer):
            found.append(endpoint)
        elif isinstance(route, Mount | Host) and not isinstance(route.app, Router):
            found.extend(consumers_in(route.routes))
    return found


def _prefix_of(route: Mount | Host) -> str:
    """Return what a route adds to the paths of those in it, for their parameters."""
    return route.path if isinstance(route, Mount) else f"/{route.host}"


def _below(prefix: str, route: BaseRoute, mounted_at: str | None) -> BaseRoute:
    if isinstance(route, WebSocketRoute):
        return route.under(prefix, mounted_at=mounted_at)
    if not prefix:
        return route
    if not isinstance(route, Route | Mount | StarletteWebSocketRoute):
        # A Mount around it would take all that is below the prefix.
        raise ConfigurationError(
            f"a prefix goes before a Route, WebSocketRoute or Mount, got {route!r}; "
            "put it into the application's own table"
        )
    made = copy(route)
    made.path = prefix + route.path
    rest = "/{path:path}" if isinstance(route, Mount) else ""
    made.path_regex, made.path_format, made.param_convertors = compile_path(
        made.path + rest
    )
    return made


def _normalized(path: str) -> str:
    """Return a pattern as Starlette takes it.

    Raises:
        ConfigurationError: A part in braces is not a parameter.
    """
    if not isinstance(path, str):
        raise ConfigurationError(
            f"a path must be a text, got {path!r}; write WebSocketRoute(path, "
            "endpoint) or @app.websocket_route(path)"
        )
    if not path.startswith("/"):
        path = f"/{path}"
    known = path.count(_ANONYMOUS)  # below a prefix, of a path that was read before
    for index in range(known, known + path.count("{}")):
        path = path.replace("{}", f"{{{_ANONYMOUS}{index}:path}}", 1)
    for braces in _BRACES.findall(path):
        match = PARAM_REGEX.fullmatch(braces)
        if match is None:
            raise ConfigurationError(
                f"a path parameter must be {{name}} or {{name:convertor}}, got "
                f"{braces!r} in {path!r}"
            )
        convertor = (match[2] or ":str")[1:]
        if convertor not in CONVERTOR_TYPES:
            raise ConfigurationError(
                f"unknown path convertor {convertor!r} on route parameter "
                f"{match[1]!r}; available: {', '.join(CONVERTOR_TYPES)}"
            )
    names = _names_in(path)
    if len(set(names)) != len(names):
        raise ConfigurationError(
            f"a path must name each parameter once, got {path!r}; rename one"
        )
    return path


def _names_in(path: str) -> list[str]:
    return [match[1] for match in PARAM_REGEX.finditer(path)]


def _consumer_of(
    owner: str, endpoint: Any, settings: dict[str, Any], namespace: Mapping[str, Any]
) -> type[WebSocketConsumer]:
    check_settings(owner, settings)
    if isinstance(endpoint, type) and issubclass(endpoint, WebSocketConsumer):
        endpoint.prepare()
        if not settings:
            return endpoint
        return type(endpoint.__name__, (endpoint,), _named_like(endpoint, settings))
    if inspect.isclass(endpoint):
        raise ConfigurationError(
            f"{owner}: an endpoint must be a subclass of WebSocketConsumer or an async "
            f"function, got the class {endpoint.__name__}; "
            f"write class {endpoint.__name__}(WebSocketConsumer)"
        )
    if not inspect.iscoroutinefunction(endpoint):
        name = getattr(endpoint, "__name__", repr(endpoint))
        raise ConfigurationError(
            f"{owner}: view {name!r} must be asynchronous, got {endpoint!r}; "
            "use 'async def' instead of 'def'"
        )
    return _consumer_from_view(endpoint, settings, namespace)


def _named_like(endpoint: Any, settings: dict[str, Any]) -> dict[str, Any]:
    return {
        **settings,
        "__module__": endpoint.__module__,
        "__qualname__": endpoint.__qualname__,
        "__doc__": endpoint.__doc__,
    }


def _consumer_from_view(
    view: Callable[..., Any], settings: dict[str, Any], namespace: Mapping[str, Any]
) -> type[WebSocketConsumer]:
    """Make the class that serves a function view."""
    name = view.__qualname__
    try:
        signature = read_signature(
            view, name, given=("ws",), from_url=True, namespace=namespace
        )
    except NameError as error:
        raise ConfigurationError(
            f"view {name!r}: every annotation must name something that is there when "
            f"the view is routed; {error}"
        ) from error
    consumer: type[WebSocketConsumer] = type(
        view.__name__, (WebSocketConsumer,), _named_like(view, settings)
    )
    receive, send = codecs_of(
        name,
        None,
        settings.get("value_type"),
        settings.get("receive_type"),
        settings.get("send_type"),
    )
    consumer._receive_codec, consumer._send_codec = receive, send
    consumer._publish_codec = send
    consumer._view = staticmethod(view)
    consumer._plan = Plan(
        receive=receive,
        send=send,
        publish=send,
        binder=Binder(signature.parameters),
        on_handshake=None,
        on_connect=signature,
        on_receive=None,
        on_disconnect=None,
        receiving=Receiving(),
        interceptors={},
        providers=all_providers([signature]),
        allow=rules_of(settings.get("allow")),
    )
    return consumer
