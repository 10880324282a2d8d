"""`App`: a URL table, groups, limits and a lifespan as one ASGI application."""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Final

from anyio import TaskHandle, create_task_group, get_cancelled_exc_class
from anyio.abc import TaskGroup
from starlette._utils import get_route_path
from starlette.applications import Starlette
from starlette.datastructures import State, URLPath
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .codecs import Event
from .errors import ConfigurationError, LayerUnavailable, StateError, shorten
from .groups import Groups
from .handlers.providers import Factory, resolve
from .handshake.crowd import Crowds
from .handshake.identity import Authenticate
from .handshake.origins import Hosts, Origins, OriginsSetting
from .handshake.refusal import Refusal
from .handshake.refusals import count_refusal
from .health import health_routes
from .inspector import Inspector
from .limits import DEFAULT_LIMITS, Limits
from .observing import Observer, Observers
from .protocol import spoken
from .routing import Router, WebSocketRoute, check_table, consumers_in
from .runtime.application import APP_KEY
from .seldom import Seldom

__all__ = ["App"]

log = logging.getLogger("consumers")

_UNROUTED: Final = Seldom(log)
_FULL: Final = Match.FULL  # before Python 3.12 an attribute of an enum is slow

Lifespan = Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any] | None]]


class App(Router):
    """An ASGI application for WebSockets, and for HTTP beside them.

    ::

        app = App([WebSocketRoute("/echo", Echo), Route("/", homepage)])

    Sockets go from the middleware straight to their consumer: of Starlette's HTTP
    machinery nothing stands in between.
    """

    _mounted_at: str | None = ""

    def __init__(
        self,
        routes: Sequence[BaseRoute] = (),
        *,
        groups: Groups | None = None,
        authenticate: Authenticate | None = None,
        limits: Limits | None = None,
        origins: OriginsSetting = None,
        hosts: Sequence[str] | None = None,
        middleware: Sequence[Middleware] = (),
        lifespan: Lifespan | None = None,
        http: ASGIApp | None = None,
        exception_handlers: Mapping[Any, Any] | None = None,
        debug: bool = False,
        docs: str | None = None,
        health: bool = False,
        observers: Sequence[Observer] = (),
        inspector: Inspector | None = None,
    ) -> None:
        """Put an application together.

        Args:
            routes: The URL table: ``WebSocketRoute``, and Starlette's ``Route``,
                ``Mount`` and so on. The first match wins.
            groups: Those that consumers publish to; groups of its own otherwise.
            authenticate: ``await authenticate(connection)`` tells who it is.
            limits: The bounds of each connection.
            origins: The origins of the pages that may connect: a list such as
                ``["self", "https://shop.example", "https://*.shop.example"]``, where
                ``"self"`` is the origin that is connected to; ``"*"``: any. By default
                ``["self"]``. What sends no ``Origin`` is no browser, and may connect.
            hosts: The names that sockets are served by, such as ``"shop.example"`` or
                ``"*.shop.example"``; any other ``Host`` is refused. ``None``: any.
            middleware: ASGI middleware around sockets and HTTP requests alike.
            lifespan: As in Starlette.
            http: An ASGI application for HTTP requests that no route takes. Its own
                lifespan does not run.
            exception_handlers: For HTTP, as in Starlette.
            debug: For HTTP, as in Starlette.
            docs: The path of a page that shows every consumer and tries it, such as
                ``"/docs"``; ``None``: there is none. Whoever reaches it sees what the
                application takes and sends.
            health: Whether ``/healthz`` and ``/readyz`` tell if it lives, and if it is
                to be given connections.
            observers: Those that are told of connections, messages and publications.
            inspector: A live page of all connections, for those whom its rule allows.

        Raises:
            ConfigurationError: The table or an argument can't work.
        """
        if authenticate is not None and not _is_async(authenticate):
            raise ConfigurationError(
                f"authenticate must be 'async def', got {authenticate!r}; "
                "write async def authenticate(connection) -> Identity | None"
            )
        if groups is not None and not isinstance(groups, Groups):
            raise ConfigurationError(
                f"groups must be an instance of Groups, got {groups!r}; "
                "write groups=Groups(url)"
            )
        if limits is not None and not isinstance(limits, Limits):
            raise ConfigurationError(
                f"limits must be an instance of Limits, got {limits!r}; "
                "write limits=Limits(idle_timeout=60)"
            )
        self.groups = groups if groups is not None else Groups()
        """The groups that consumers publish to."""
        self.authenticate = authenticate
        """Who tells who it is."""
        self.limits = limits if limits is not None else DEFAULT_LIMITS
        """The bounds of each connection that has none of its own."""
        self.crowds = Crowds()
        """How many connections there are."""
        self.origins = Origins(origins)
        """The origins that may connect, where a class has none of its own."""
        self.hosts = None if hosts is None else Hosts(hosts)
        """The names that sockets are served by; ``None``: any."""
        self.observers = Observers(observers) if observers else None
        """Those that are told what happens."""
        self.provided: dict[Factory, Any] = {}
        """The values of application scope, while the lifespan runs."""
        self._lifespan = lifespan
        self._tasks: TaskGroup | None = None
        table = list(routes)
        if health:
            table[:0] = health_routes(self.groups)
        self._docs: list[Route] = []
        if docs is not None:
            from .schema.page import docs_routes

            self._docs = docs_routes(self, docs)
            table[:0] = self._docs
        if inspector is not None:
            inspector.check(debug=debug, routes=table)
            table[:0] = inspector.routes()
        self._check(table)
        self._starlette = Starlette(
            routes=table,
            lifespan=self.lifespan,
            exception_handlers=exception_handlers,
            debug=debug,
        )
        self._router = self._starlette.router
        if http is not None:
            self._router.default = http
            self._router.redirect_slashes = False
        super().__init__()
        self.routes = self._router.routes
        # Not by way of the Starlette's own call, which would be `request.app`.
        self._http = self._starlette.build_middleware_stack()
        self._bare = not middleware and inspector is None
        self._stack: ASGIApp = self._dispatch
        if inspector is not None:
            self._stack = inspector.around(self._dispatch)
        for entry in reversed(middleware):
            self._stack = entry.cls(self._stack, *entry.args, **entry.kwargs)
        for observer in observers:
            self.groups.observe(observer)

    @property
    def state(self) -> State:
        """A place for the application's own things, shared with HTTP endpoints."""
        return self._starlette.state

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """Return the path of the route ``name``.

        Raises:
            starlette.routing.NoMatchFound: No route has this name and parameters.
        """
        return self._router.url_path_for(name, **path_params)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, request or lifespan."""
        scope["app"] = self
        if self._bare and scope["type"] == "websocket":
            # Without a frame in between: each message wakes the whole chain of callers.
            await self._endpoint(scope)(scope, receive, send)
        else:
            await self._stack(scope, receive, send)

    @asynccontextmanager
    async def lifespan(self, app: Any = None) -> AsyncIterator[Mapping[str, Any]]:
        """Run the application's part of a lifespan.

        For an ``App`` that is mounted in another application:
        ``Starlette(routes=[Mount("/ws", app)], lifespan=app.lifespan)``.
        """
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.groups.lifespan())
            stack.callback(self.provided.clear)
            for consumer in consumers_in(self.routes):
                for provider in consumer.prepare().providers_of("app"):
                    await resolve(provider, stack=stack, made=self.provided, wider={})
            self._tasks = await stack.enter_async_context(_tasks())
            stack.callback(self._no_tasks)
            state: Mapping[str, Any] | None = None
            if self._lifespan is not None:
                state = await stack.enter_async_context(self._lifespan(app or self))
            yield state or {}

    def start_soon(
        self, function: Callable[..., Awaitable[Any]], *args: Any, name: object = None
    ) -> TaskHandle[None]:
        """Run ``function(*args)`` until the application shuts down.

        For work that outlives a connection. An exception is logged and ends only this
        task.

        Raises:
            StateError: The application's lifespan does not run.
        """
        if self._tasks is None:
            raise StateError(
                "app.start_soon needs the application's lifespan, which does not run; "
                "mounted elsewhere, pass lifespan=app.lifespan"
            )
        return self._tasks.start_soon(
            _logged,
            function,
            args,
            name=name or getattr(function, "__qualname__", repr(function)),
        )

    async def _dispatch(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
            return
        if scope["type"] != "websocket":
            await self._http(scope, receive, send)
            return
        await self._endpoint(scope)(scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the lifespan; a layer that can't be reached is told in one line."""
        failed: Message | None = None

        async def send_later(message: Message) -> None:
            nonlocal failed
            if message["type"] == "lifespan.startup.failed":
                failed = message  # with a traceback, which the exception has too
            else:
                await send(message)

        try:
            await self._http(scope, receive, send_later)
        except LayerUnavailable as error:
            if failed is None:
                raise
            await send({**failed, "message": str(error)})
        except BaseException:
            if failed is not None:
                await send(failed)
            raise

    def _endpoint(self, scope: Scope) -> ASGIApp:
        """Return what serves a WebSocket, by the first route that matches."""
        scope[APP_KEY] = self
        scope.setdefault("router", self._router)
        for route in self.routes:
            match, child = route.matches(scope)
            if match is _FULL:
                scope.update(child)
                return route.app if isinstance(route, WebSocketRoute) else route.handle
        return _not_found

    def _no_tasks(self) -> None:
        self._tasks = None

    def _changed(self) -> None:
        self._check(self.routes)

    def _check(self, table: Sequence[BaseRoute]) -> None:
        check_table(table)
        if self._docs:
            from .schema.page import check_docs

            check_docs(self._docs, table)


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    count_refusal("not_found")
    _UNROUTED.warn(
        "no route takes the WebSocket %s; 'consumers routes MODULE:APP' prints the "
        "table",
        shorten(get_route_path(scope)),
    )
    protocol = spoken(scope.get("subprotocols") or ())
    if protocol is None:
        # Before accept: the server answers 403.
        await send({"type": "websocket.close", "code": 1000})
    elif (await receive())["type"] == "websocket.connect":

        async def send_event(event: Event) -> None:
            await send({**event})

        refusal = Refusal(scope, "http", 404, protocol=protocol)
        await refusal.send(receive, send_event)


@asynccontextmanager
async def _tasks() -> AsyncIterator[TaskGroup]:
    """Hold tasks that end with the block; what the block raises stays as it is."""
    failure: Exception | None = None
    async with create_task_group() as tasks:
        try:
            yield tasks
        except Exception as error:
            failure = error  # the task group would make a group of it
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _logged(
    function: Callable[..., Awaitable[Any]], args: tuple[Any, ...]
) -> None:
    try:
        await function(*args)
    except get_cancelled_exc_class():
        raise
    except Exception:
        name = getattr(function, "__qualname__", repr(function))
        log.exception("task %s of the application failed", name)


def _is_async(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004
    )
