"""A server on a free port of this machine, for tests over real sockets."""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import suppress
from threading import Thread
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.from_thread
from anyio.lowlevel import EventLoopToken, current_token
from starlette.types import ASGIApp

from consumers.server import Options
from consumers.server.serve import serve

__all__ = ["LiveServer"]


class LiveServer:
    """Serves an application on 127.0.0.1 from a thread with an event loop of its own.

    ::

        with LiveServer(app) as server:
            websockets.sync.client.connect(server.url("/echo"))

    It starts and ends the application's lifespan, as ``consumers run`` does.

    Args:
        app: Any ASGI application.
        backend: ``"asyncio"``, ``"trio"``, or what anyio's ``anyio_backend`` fixture
            gives, a pair of name and options.
        ready_timeout: Seconds until connections must be accepted.
        stop_timeout: Seconds that the server has to stop. Connections have half of
            them to end, unless ``graceful_timeout`` says otherwise.
        options: Any field of :class:`consumers.server.Options`.

    Raises:
        TimeoutError: It was not ready, or had not stopped, in time.
        ConfigurationError: An option is wrong, or the application said that it can't
            start.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        backend: str | tuple[str, dict[str, Any]] = "asyncio",
        ready_timeout: float = 5.0,
        stop_timeout: float = 5.0,
        **options: Any,
    ) -> None:
        self._app = app
        self._backend = (backend, {}) if isinstance(backend, str) else backend
        self._ready_timeout = ready_timeout
        self._stop_timeout = stop_timeout
        self._options = Options(
            **{"port": 0, "graceful_timeout": stop_timeout / 2, **options}
        )
        self._running: Future[tuple[EventLoopToken, anyio.CancelScope]] = Future()
        self._address: Future[tuple[str, int]] = Future()
        self._stopped: Future[None] = Future()

    def url(self, path: str = "/") -> str:
        """Return the address of a consumer: ``ws://127.0.0.1:<port>/path``."""
        return f"{'wss' if self._options.ssl_certfile else 'ws'}://{self._netloc}{path}"

    def http_url(self, path: str = "/") -> str:
        """Return the address of an HTTP route: ``http://127.0.0.1:<port>/path``."""
        scheme = "https" if self._options.ssl_certfile else "http"
        return f"{scheme}://{self._netloc}{path}"

    @property
    def _netloc(self) -> str:
        host, port = self._address.result(timeout=0)
        return f"{host}:{port}"

    def __enter__(self) -> Self:
        # A daemon, so that a server which doesn't stop can't keep the tests running.
        Thread(target=self._run, name="consumers.testing.live", daemon=True).start()
        try:
            self._address.result(timeout=self._ready_timeout)
        except TimeoutError:
            self._cancel()
            raise TimeoutError(
                f"expected a server ready within {self._ready_timeout} s, got none; "
                "give it a longer ready_timeout"
            ) from None
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._cancel()
        try:
            self._stopped.result(timeout=self._stop_timeout)
        except TimeoutError:
            raise TimeoutError(
                f"expected the server to stop within {self._stop_timeout} s, got one "
                "that still runs; give it a longer stop_timeout or a shorter "
                "graceful_timeout"
            ) from None

    def _cancel(self) -> None:
        # In a thread of its own, since the call waits for a loop that may hang.
        Thread(target=self._cancel_and_wait, daemon=True).start()

    def _cancel_and_wait(self) -> None:
        token, scope = self._running.result()
        with suppress(anyio.RunFinishedError):
            anyio.from_thread.run_sync(scope.cancel, token=token)

    def _run(self) -> None:
        name, options = self._backend
        try:
            anyio.run(self._serve, backend=name, backend_options=options)
        except BaseException as error:
            if not self._address.done():
                self._address.set_exception(error)
            self._stopped.set_exception(error)
        else:
            self._stopped.set_result(None)

    async def _serve(self) -> None:
        with anyio.CancelScope() as scope:
            self._running.set_result((current_token(), scope))
            await serve(self._app, self._options, task_status=_Started(self._address))


class _Started:
    """Passes the address on to the thread that waits for it."""

    def __init__(self, address: Future[tuple[str, int]]) -> None:
        self._address = address

    def started(self, value: tuple[str, int] | None = None) -> None:
        assert value is not None
        self._address.set_result(value)
