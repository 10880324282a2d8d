"""Serving on trio: HTTP/1.1 by h11, WebSockets by the engine of our own."""

from __future__ import annotations

import errno
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Any, Final

import trio

from consumers.runtime.drain import announce, drain
from consumers.server.http1 import Endpoints
from consumers.server.lifespan import ASGIApplication, lifespan
from consumers.server.options import Options
from consumers.server.shutdown import CLEAN_UP_TIMEOUT, Shutdown
from consumers.server.tls import tls_context
from consumers.server.trio_http import HttpConnection
from consumers.server.trio_poller import best_poller
from consumers.server.trio_server import Server
from consumers.server.trio_tls import TlsTransport
from consumers.server.trio_transport import Loop, Transport

__all__ = ["serve_on_trio"]

logger: Final = logging.getLogger("consumers.server")

_POLL: Final = 0.02
"""Seconds between two looks at who is still connected, during a shutdown."""

_FULL: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"""What `accept` fails with where the process or the machine has no room."""

_AT_ONCE: Final = 32
"""Connections that are accepted before others get their turn."""

_PAUSE: Final = 0.1
"""Seconds until there may be room again."""


async def serve_on_trio(
    app: ASGIApplication,
    options: Options,
    sockets: Sequence[socket.socket],
    shutdown: Shutdown,
    started: Callable[[], None],
) -> None:
    """Serve until cancelled or told to end; then end gracefully.

    A call of the application that shields itself for ever outlasts the lifespan, and is
    waited for: there is no task without a nursery. Unless ``shutdown`` can leave it.
    """
    try:
        async with trio.open_nursery() as calls:
            server = await _serve(app, options, sockets, shutdown, started, calls)
            if server.calls and shutdown.leave is not None:
                shutdown.leave()
    except BaseExceptionGroup as failures:
        if len(failures.exceptions) == 1:
            raise failures.exceptions[0] from None
        raise


async def _serve(
    app: ASGIApplication,
    options: Options,
    sockets: Sequence[socket.socket],
    shutdown: Shutdown,
    started: Callable[[], None],
    calls: trio.Nursery,
) -> Server:
    """Serve, from the start of the lifespan to its end."""
    context = tls_context(options)
    async with lifespan(app, CLEAN_UP_TIMEOUT) as state:
        shutdown.has_started = True
        loop = Loop(best_poller())
        # What serves the sockets outlasts a cancellation, until the last one is closed.
        serving = trio.CancelScope(shield=True)
        accepting = trio.CancelScope()
        async with trio.open_nursery() as nursery:
            server = Server(app, options, state, loop, calls)

            async def run_loop(*, task_status: trio.TaskStatus[None]) -> None:
                with serving:
                    await loop.run(task_status=task_status)

            async def accept() -> None:
                with accepting:
                    async with trio.open_nursery() as listening:
                        for sock in sockets:
                            listening.start_soon(_accept, server, sock, context)

            try:
                with trio.CancelScope(shield=True):
                    await nursery.start(run_loop)
                nursery.start_soon(accept)
                started()
                await shutdown.requested.wait()
                await announce(options.drain_delay, shutdown.hurried)
            finally:
                accepting.cancel()
                for sock in sockets:
                    sock.close()
                with trio.CancelScope(shield=True):
                    await _end(server, shutdown)
                serving.cancel()
    return server


async def _accept(
    server: Server, listener: socket.socket, context: ssl.SSLContext | None
) -> None:
    """Take connections in, until cancelled."""
    await trio.lowlevel.checkpoint_if_cancelled()  # who stops has closed the listener
    name = listener.getsockname()
    while True:
        await trio.lowlevel.wait_readable(listener)
        try:
            for _ in range(_AT_ONCE):
                sock, address = listener.accept()
                try:
                    _connect(server, sock, address, name, context)
                except OSError:
                    sock.close()  # it was gone already
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno in _FULL:
                logger.error("no connection can be accepted: %s", error)
                await trio.sleep(_PAUSE)


def _connect(
    server: Server,
    sock: socket.socket,
    address: Any,
    name: Any,
    context: ssl.SSLContext | None,
) -> None:
    sock.setblocking(False)
    client: tuple[str, int] | None = None
    at: tuple[str, int | None] = (str(name), None)
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = (str(address[0]), int(address[1]))
        local = sock.getsockname()
        at = (str(local[0]), int(local[1]))
    transport = (
        Transport(sock, server.loop)
        if context is None
        else TlsTransport(sock, server.loop, context)
    )
    root_path = server.options.root_path
    endpoints = Endpoints(at, client, context is not None, root_path)
    try:
        HttpConnection(server, transport, endpoints)
    except OSError:
        # By its descriptor's number it could end another one later.
        transport.abort()
        raise


async def _end(server: Server, shutdown: Shutdown) -> None:
    """Drain; close every connection that is left, with 1012; wait; cancel; wait."""
    server.ending = True
    options = server.options
    left = await drain(
        options.drain_timeout, options.graceful_timeout, shutdown.hurried
    )
    for connection in list(server.connections):
        connection.shutdown()
    with trio.move_on_after(left):
        while server.connections or server.calls:
            if shutdown.hurried.is_set():
                break
            await trio.sleep(_POLL)
    for connection in list(server.connections):
        connection.transport.abort()
    for call in list(server.calls):
        call.cancel()
    if server.calls:
        server.over = trio.Event()
        with trio.move_on_after(CLEAN_UP_TIMEOUT):
            await server.over.wait()
    if server.calls:
        logger.error(
            "%d calls of the application go on, %g s after they were cancelled",
            len(server.calls),
            CLEAN_UP_TIMEOUT,
        )
