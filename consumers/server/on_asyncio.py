"""uvicorn, started and ended by us, with a WebSocket protocol of ours."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from socket import socket
from typing import Any, Final

import anyio
import anyio.lowlevel
import uvicorn

from consumers.errors import ConfigurationError
from consumers.runtime.drain import announce, drain
from consumers.server.entrance import Entrance
from consumers.server.lifespan import ASGIApplication, beside, lifespan
from consumers.server.options import Options
from consumers.server.shutdown import CLEAN_UP_TIMEOUT, Shutdown
from consumers.server.tls import tls_context
from consumers.server.uvicorn import Protocol

__all__ = ["serve_on_asyncio"]

logger: Final = logging.getLogger("consumers.server")

_POLL: Final = 0.02
"""Seconds between two looks at who is still connected, during a shutdown."""

_AT_ONCE: Final = 32
"""Connections that are accepted before others get their turn."""


async def serve_on_asyncio(
    app: ASGIApplication,
    options: Options,
    sockets: Sequence[socket],
    shutdown: Shutdown,
    started: Callable[[], None],
) -> None:
    """Serve until cancelled or told to end; then end gracefully."""
    config = _config(app, options)
    server = uvicorn.Server(config)
    async with lifespan(app, CLEAN_UP_TIMEOUT) as state:
        shutdown.has_started = True
        # Server.serve would run uvicorn's own lifespan and catch signals; these are
        # the steps it is made of.
        server.lifespan = config.lifespan_class(config)
        server.lifespan.state = state
        await _listen(server, options, sockets)
        started()
        try:
            async with beside() as group:
                group.start_soon(server.main_loop)
                await shutdown.requested.wait()
                await announce(options.drain_delay, shutdown.hurried)
        finally:
            with anyio.CancelScope(shield=True):
                await _end(server, shutdown, options)


async def _listen(
    server: uvicorn.Server, options: Options, sockets: Sequence[socket]
) -> None:
    """Accept connections.

    Server.startup gives a client that says nothing a minute for the handshake of TLS,
    whatever the options say.
    """
    config, loop = server.config, asyncio.get_running_loop()
    kind: Any = config.http_protocol_class
    accept = partial(
        kind,
        config=config,
        server_state=server.server_state,
        app_state=server.lifespan.state,
        _loop=loop,  # to ask for it is a system call before Python 3.12
    )
    context = config.ssl
    server.servers = [
        await loop.create_server(
            accept,
            sock=sock,
            ssl=context,
            ssl_handshake_timeout=None if context is None else options.header_timeout,
            # asyncio's own loop takes it for how often to call `accept` in one turn;
            # where descriptors are used up, each of these calls logs a traceback.
            backlog=min(_AT_ONCE, options.backlog),
        )
        for sock in sockets
    ]
    for sock in sockets:
        sock.listen(options.backlog)


def _config(app: ASGIApplication, options: Options) -> uvicorn.Config:
    context = tls_context(options)
    config = uvicorn.Config(
        # As a factory, so that uvicorn does not call the application to find out
        # whether it is one.
        lambda: app,
        factory=True,
        interface="asgi3",
        http=_entrance(options),
        ws=_protocol(options) if options.ws == "auto" else options.ws,
        ws_max_size=options.ws_max_size,
        ws_ping_interval=options.ws_ping_interval,
        ws_ping_timeout=options.ws_ping_timeout,
        ws_per_message_deflate=options.ws_per_message_deflate,
        # It only waits for so long, and takes fractions too.
        timeout_keep_alive=options.keep_alive_timeout,  # type: ignore[arg-type]
        lifespan="off",
        log_config=None,
        access_log=options.access_log,
        proxy_headers=False,
        root_path=options.root_path,
        ssl_context_factory=None if context is None else lambda *_: context,
    )
    try:
        config.load()
    except Exception as error:
        # Nothing but the class named by `ws` is imported here.
        raise ConfigurationError(
            f"ws must name a WebSocket protocol that can be imported, got "
            f"{options.ws!r}: {error}"
        ) from error
    return config


def _entrance(options: Options) -> type[Entrance]:
    """Return our entrance, which waits as long as the options say."""
    members = {
        "header_timeout": options.header_timeout,
        "body_timeout": options.body_timeout,
    }
    return type("Configured", (Entrance,), members)


def _protocol(options: Options) -> type[Protocol]:
    """Return our protocol, which goes by those options that uvicorn does not know."""
    deflate, frames = options.deflate or Protocol.deflate, options.ws_max_frames
    if deflate == Protocol.deflate and frames == Protocol.max_frames:
        return Protocol
    members = {"__slots__": (), "deflate": deflate, "max_frames": frames}
    return type("Configured", (Protocol,), members)


async def _end(server: uvicorn.Server, shutdown: Shutdown, options: Options) -> None:
    """Drain; close every connection that is left with 1012, wait, cancel.

    Server.shutdown has no limit for tasks that ignore their cancellation, does not wait
    for cancelled ones, leaves the transports of peers that don't read open, and skips
    the application's lifespan when it is in a hurry.
    """
    connections = server.server_state.connections
    tasks = server.server_state.tasks
    for listener in server.servers:
        listener.close()
    left = await drain(
        options.drain_timeout, options.graceful_timeout, shutdown.hurried
    )
    for connection in list(connections):
        try:
            connection.shutdown()
        except Exception as error:
            # uvicorn's protocols send a close frame without asking whether the client
            # has begun to close, and raise where it has. It ends like the others.
            logger.debug("a connection was closing already: %r", error)
    with anyio.move_on_after(left):
        # uvicorn keeps them in plain sets, which can only be looked at.
        while tasks or any(_is_open(connection) for connection in connections):
            if shutdown.hurried.is_set():
                break
            await anyio.sleep(_POLL)
    for connection in list(connections):
        # Closing waits until the peer has read everything; a stalled one never does.
        connection.transport.abort()
    for task in list(tasks):
        task.cancel("the server ends")
    if tasks:
        await asyncio.wait(list(tasks), timeout=CLEAN_UP_TIMEOUT)
    # connection_lost is called at the next turn of the loop.
    await anyio.lowlevel.checkpoint()


def _is_open(connection: Any) -> bool:
    """Tell whether there is something to wait for.

    That it is among the server's connections is not enough: uvicorn forgets to take
    one out whose handshake wsproto could not decode.
    """
    transport = connection.transport
    return not transport.is_closing() or transport.get_write_buffer_size() > 0
