"""Serve inside a running event loop: what `run` does, without the process around it."""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence

import anyio
from anyio.abc import TaskStatus
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from consumers.errors import ConfigurationError
from consumers.runtime.drain import serving
from consumers.server.lifespan import ASGIApplication, beside
from consumers.server.limiting import limited
from consumers.server.options import Backend, Options
from consumers.server.shutdown import Shutdown
from consumers.server.sockets import address_of, bind, prepare, release

__all__ = ["serve", "serve_until"]


async def serve(
    app: ASGIApplication,
    options: Options | None = None,
    *,
    sockets: Sequence[socket.socket] | None = None,
    task_status: TaskStatus[tuple[str, int]] = anyio.TASK_STATUS_IGNORED,
    install_signal_handlers: bool = False,
) -> None:
    """Serve an application in the current event loop, until cancelled.

    On asyncio with uvicorn, on trio with a server of our own; the loop that runs
    decides, not ``options.backend``. Signals, logging and the process are left alone,
    and so are the options ``reload``, ``workers``, ``factory``, ``app_dir``,
    ``env_file`` and ``loop``. In a test::

        async with anyio.create_task_group() as group:
            host, port = await group.start(serve, app, Options(port=0))
            ...                        # connect to it
            group.cancel_scope.cancel()

    Cancelling is the way to stop it, and is graceful: nothing more is accepted,
    WebSockets are closed with 1012, up to 20 at once and more in batches over
    ``options.drain_timeout``, connections have ``options.graceful_timeout`` seconds
    to end and are cancelled then, and the application's lifespan is shut down. When
    the call is left, all connections have ended and the sockets are closed; on trio
    that waits for an application which shields itself, however long.

    Args:
        app: Any ASGI application.
        options: How to serve it.
        sockets: Listening sockets to use instead of the options' address. They are
            closed at the end.
        task_status: Told host and port of the first socket (the path and 0 of a Unix
            socket) once the lifespan has started and connections are accepted.
        install_signal_handlers: Whether SIGINT and SIGTERM stop the server too; then
            the call returns. Only in the main thread.

    Raises:
        ConfigurationError: The address can't be listened on, a file for TLS is wrong,
            or the application said that it can't start.
    """
    await serve_until(
        Shutdown(),
        app,
        options or Options(),
        sockets,
        task_status=task_status,
        install_signal_handlers=install_signal_handlers,
    )


async def serve_until(
    shutdown: Shutdown,
    app: ASGIApplication,
    options: Options,
    sockets: Sequence[socket.socket] | None,
    *,
    task_status: TaskStatus[tuple[str, int]] = anyio.TASK_STATUS_IGNORED,
    install_signal_handlers: bool = False,
) -> None:
    """Serve until ``shutdown`` says so, too; otherwise as `serve`."""
    served = _wrapped(app, options)
    if sockets is None:
        listening = [bind(options)]
    else:
        listening = list(sockets)
        for sock in listening:
            prepare(sock, options)
    try:
        with serving():
            async with beside() as group:
                if install_signal_handlers:
                    await group.start(shutdown.watch_signals)
                if running_backend() == "trio":
                    from consumers.server.on_trio import serve_on_trio as serve_on
                else:
                    from consumers.server.on_asyncio import serve_on_asyncio as serve_on
                with shutdown.serving:
                    await serve_on(
                        served,
                        options,
                        listening,
                        shutdown,
                        lambda: task_status.started(address_of(listening[0])),
                    )
    finally:
        for sock in listening:
            if sockets is None:
                release(sock, options)
            else:
                sock.close()


def running_backend() -> Backend:
    """Return the name of the event loop that runs the current task."""
    if "trio" in sys.modules:
        import trio

        if trio.lowlevel.in_trio_task():
            return "trio"
    return "asyncio"


def check_installed(backend: Backend) -> None:
    """Refuse a backend whose packages are missing.

    Raises:
        ConfigurationError: trio or h11 is not installed.
    """
    if backend == "trio":
        try:
            import consumers.server.on_trio  # noqa: F401
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                f"backend 'trio' needs trio and h11, got no {error.name!r}; "
                "pip install 'anyio-consumers[trio]'"
            ) from error


def _wrapped(app: ASGIApplication, options: Options) -> ASGIApplication:
    if options.limit_concurrency is not None:
        app = limited(app, options.limit_concurrency)
    if options.proxy_headers:
        # It reads the scope and passes receive and send on as they are, on both loops.
        app = ProxyHeadersMiddleware(app, trusted_hosts=options.forwarded_allow_ips)
    return app
