"""The client: an application, its lifespan, its time, and connections to it."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
)
from types import TracebackType
from typing import Any, ClassVar, Final, Self

import anyio
from anyio.lowlevel import checkpoint
from starlette.types import ASGIApp

from consumers.clock import VirtualClock, current_clock
from consumers.handlers.providers import Factory, overrides
from consumers.handshake.identity import Identity

from .background import Background
from .calls import Call
from .connection import ClientConnection
from .dialling import InProcess, dial
from .http import Exchange, Response
from .lifespan import Lifespan
from .link import Link, note_error
from .scopes import HeaderTypes, Origin, QueryTypes
from .settling import deadline, settle
from .transport import ServerStyle, Transport

__all__ = ["TestClient"]

# Sums of floats fall short: ten times 0.1 is less than 1. A timer that is due within a
# nanosecond is due.
_ROUNDING: Final = 1e-9


class TestClient:
    """A client for tests, of an application in the same event loop.

    ::

        async with TestClient(app) as client:
            async with client.connect("/echo") as ws:
                await ws.send("hello")
                assert await ws.receive() == "You said: hello"

    On asyncio and on trio alike; nothing is encoded and no socket is opened. The
    application's tasks belong to no task of the test's, so that a fixture may hold the
    client whatever plugin runs it.

    The application's timers stand still until :meth:`advance` moves the time. The
    client's own waits are bounded by real time.

    Args:
        app: Any ASGI application; a consumer class is one.
        deadline: Seconds of real time after which any wait raises ``TimeoutError``.
            The client can be used on after that.
        overrides: ``{factory: what is called instead}`` for providers.
        base_url: Scheme, host and port that the application shall see.
        raise_server_exceptions: Whether what the application raises is raised in the
            test. If not, the test sees what a client sees: 500, 1006 or 1011.

    Raises:
        ValueError: An argument is wrong.
    """

    __test__: ClassVar = False  # or pytest takes it for a class of tests

    def __init__(
        self,
        app: ASGIApp,
        *,
        deadline: float = 5.0,
        overrides: Mapping[Factory, Factory] | None = None,
        base_url: str = "ws://testserver",
        raise_server_exceptions: bool = True,
    ) -> None:
        if not 0 < deadline < math.inf:
            raise ValueError(
                f"deadline must be a positive number of seconds, got {deadline!r}"
            )
        self.deadline = deadline
        """Seconds of real time that a wait may take; may be set at any time."""
        self.state: dict[str, Any] = {}
        """The state that the application's lifespan has made."""
        self.clock = VirtualClock()
        """The clock of the application's timers."""
        self._app = app
        self._origin = Origin(base_url)
        self._overrides = dict(overrides or {})
        self._raise_server_exceptions = raise_server_exceptions
        self._background = Background()
        # Of calls that run, or have raised what nobody has seen.
        self._calls: list[Call] = []
        # Of open connections.
        self._transports: list[Transport] = []

    async def __aenter__(self) -> Self:
        await self._background.start()
        self._lifespan = Lifespan(self._app, self.state, self._prepare)
        try:
            self._background.start_soon(self._lifespan.call.run)
            with deadline(self.deadline, self._explain("the application to start")):
                await self._lifespan.startup()
        except BaseException:
            await self._background.stop(self.deadline)
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        exc_traceback: TracebackType | None,
    ) -> None:
        errors: list[BaseException] = []
        for call in tuple(self._calls):
            await call.stop(self.deadline)
        try:
            with (
                anyio.CancelScope(shield=True),
                deadline(self.deadline, self._explain("the application to stop")),
            ):
                await self._lifespan.shutdown()
        except BaseException as failure:
            errors.append(failure)
        still_running = self._explain("the application's tasks to end")
        if not await self._background.stop(self.deadline):
            errors.append(TimeoutError(still_running()))
        for call in [*self._calls, self._lifespan.call]:
            error = call.take_error()
            if error is not None and self._raise_server_exceptions:
                errors.append(error)
        if exc is None or isinstance(exc, anyio.get_cancelled_exc_class()):
            if len(errors) == 1:
                raise errors[0]
            if errors:
                raise BaseExceptionGroup("the application raised", errors)
        else:
            for error in errors:
                note_error(exc, error)

    # Connections and requests.

    @asynccontextmanager
    async def connect(
        self,
        path: str,
        *,
        query: QueryTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: Mapping[str, str] | None = None,
        subprotocols: Sequence[str] = (),
        identity: Identity | None = None,
        denial_response: bool = True,
        server: ServerStyle = ServerStyle.UVICORN,
    ) -> AsyncIterator[ClientConnection]:
        """Open a connection, for an ``async with``.

        Its end closes with 1000, if the connection is open, and waits until the
        application has returned. Left by an exception, the connection is dropped and
        the application is cancelled.

        Args:
            path: Begins with ``/``; may have a query. It is escaped where it must be.
            query: More query parameters; a list makes a repeated key.
            headers: More headers. They replace the client's own.
            cookies: Becomes the ``cookie`` header.
            subprotocols: What the client offers, best first.
            identity: Who it is; the application's ``authenticate`` is not asked.
            denial_response: Whether the server can refuse with a response; one that
                can't makes 403 of every refusal.
            server: How the server behaves where servers differ.

        Raises:
            Refused: The application refused the handshake.
            TimeoutError: It took too long to answer, or to return at the end.
        """
        scope = self._origin.websocket(
            path,
            query=query,
            headers=headers,
            cookies=cookies,
            subprotocols=subprotocols,
        )
        scope["state"] = self.state.copy()
        scope["extensions"] = {"websocket.http.response": {}} if denial_response else {}
        if identity is not None:
            scope["consumers.identity"] = identity
        if server is ServerStyle.HYPERCORN:
            scope["asgi"]["spec_version"] = "2.3"
        transport = Transport(server, denial_response=denial_response)
        call = Call(
            self._app,
            scope,
            transport.receive,
            transport.send,
            prepare=self._prepare,
            on_end=transport.app_ended,
            forgives=transport.forgives,
        )
        link = Link(
            transport,
            call,
            seconds=lambda: self.deadline,
            hint=self._hint,
            raise_server_exceptions=self._raise_server_exceptions,
        )
        self._start(call)
        self._transports.append(transport)
        try:
            await link.handshake()
            yield ClientConnection(link)
            await link.leave()
        except BaseException as error:
            await link.abandon(error)
            raise
        finally:
            self._transports.remove(transport)
            self._forget(call)

    def dial(
        self, url: str, subprotocols: Sequence[str], headers: Mapping[str, str]
    ) -> AbstractAsyncContextManager[InProcess]:
        """Connect the Python client to the application, without a network.

        ::

            from consumers.client import connect

            async with TestClient(app) as client:
                async with connect("ws://test/chat", transport=client.dial) as chat:
                    assert await chat.request(Say("hi"), returns=int) == 1

        The timers of that client keep real time, the application's stand still.
        """
        return dial(self.connect, url, subprotocols, headers)

    async def drop(self) -> None:
        """Let the network fail, for all connections: see ``ClientConnection.drop``."""
        for transport in tuple(self._transports):
            if transport.end is None:
                transport.client_drops()
        await checkpoint()

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: QueryTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: Mapping[str, str] | None = None,
        content: str | bytes = b"",
    ) -> Response:
        """Send an HTTP request and return the response when the application is done.

        Redirects are not followed and cookies are not kept. Cancelling cancels the
        application's call.

        Raises:
            TimeoutError: The application did not return in time.
        """
        body = content.encode() if isinstance(content, str) else content
        scope = self._origin.http(
            method, path, query=query, headers=headers, cookies=cookies, content=body
        )
        scope["state"] = self.state.copy()
        exchange = Exchange(body)
        call = Call(
            self._app, scope, exchange.receive, exchange.send, prepare=self._prepare
        )
        self._start(call)
        try:
            with deadline(self.deadline, self._explain(f"a response to {path}")):
                await call.ended.wait()
        except BaseException:
            await call.stop(self.deadline)
            raise
        finally:
            error = call.take_error()
            self._forget(call)
        if error is not None and self._raise_server_exceptions:
            raise error
        return exchange.response()

    @contextmanager
    def override(self, factory: Factory, replacement: Factory) -> Iterator[None]:
        """Let ``replacement`` be called instead of a provider's factory.

        For connections that are opened inside of the ``with``.
        """
        before = self._overrides
        self._overrides = {**before, factory: replacement}
        try:
            yield
        finally:
            self._overrides = before

    # Time.

    async def settle(self) -> None:
        """Wait until the application can do no more without new input or time.

        That is: until every task of the event loop waits, and no thread works for one.
        A task which waits for a socket, or on a clock other than the client's, counts
        as waiting. Where a client has left, also until the application has learned of
        it, if it does within the tenth of a second that a busy consumer may take.
        Cancelling is safe.

        Raises:
            TimeoutError: It did not come to rest.
        """
        with deadline(self.deadline, self._explain("the application to come to rest")):
            await self._settle()

    async def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass for the application, from timer to timer.

        After each timer that is due the application settles, so that a periodic one
        goes off as often as it should. Cancelled, it leaves the time at some timer
        between.

        Raises:
            ValueError: ``seconds`` is negative.
            TimeoutError: The application did not come to rest.
        """
        if not seconds >= 0:
            raise ValueError(f"seconds must not be negative, got {seconds!r}")
        until = self.clock.time() + seconds
        with deadline(self.deadline, self._explain("the application to come to rest")):
            await self._settle()
            while (due := self.clock.next_due()) <= self._left(until) + _ROUNDING:
                self.clock.advance(due)
                await settle()
            self.clock.advance(self._left(until))

    async def _settle(self) -> None:
        await settle()
        departing = [transport for transport in self._transports if transport.departing]
        for transport in departing:
            await transport.departed()
            await settle()

    def _left(self, until: float) -> float:
        return max(until - self.clock.time(), 0.0)

    # What all calls share.

    def _start(self, call: Call) -> None:
        self._background.start_soon(call.run)
        self._calls.append(call)

    def _forget(self, call: Call) -> None:
        if call.ended.is_set() and call.error is None:
            self._calls.remove(call)

    def _prepare(self) -> None:
        """Set up the context of a call; runs in its task."""
        current_clock.set(self.clock)
        overrides.set(self._overrides)

    def _hint(self) -> str:
        if self.clock.next_due() == math.inf:
            return ""
        return "\nIts timers stand still until `await client.advance(seconds)`."

    def _explain(self, expected: str) -> Any:
        def explain() -> str:
            calls = [self._lifespan.call, *self._calls]
            where = [call.where() for call in calls if not call.ended.is_set()]
            return (
                f"expected {expected} within {self.deadline} s; "
                + "\n".join(where)
                + self._hint()
            )

        return explain
