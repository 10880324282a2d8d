"""Hypercorn on trio, with a guard round every connection."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from socket import socket
from typing import Any, Final

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Event as ServerEvent
from hypercorn.events import RawData, Updated
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.protocol.ws_stream import ASGIWebsocketState, WSStream
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState as State
from hypercorn.typing import Event
from wsproto.connection import ConnectionState
from wsproto.events import CloseConnection

from consumers.server.lifespan import ASGIApplication, lifespan
from consumers.server.options import Options
from consumers.server.shutdown import CLEAN_UP_TIMEOUT, Shutdown
from consumers.server.tls import tls_context
from consumers.server.trio_websocket import Context, Protocol

__all__ = ["serve_on_trio"]

logger: Final = logging.getLogger("consumers.server")

_SERVICE_RESTART: Final = 1012
_DISCONNECT: Final[dict[str, Any]] = {
    "type": "websocket.disconnect",
    "code": _SERVICE_RESTART,
}

_POLL: Final = 0.02
"""Seconds between two looks at who is still connected, during a shutdown."""

_Put = Callable[[dict[str, Any]], Awaitable[None]]
_Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]


async def serve_on_trio(
    app: ASGIApplication,
    options: Options,
    sockets: Sequence[socket],
    shutdown: Shutdown,
    started: Callable[[], None],
) -> None:
    """Serve until cancelled or told to end; then end gracefully.

    Hypercorn's own ``worker_serve`` names its TCPServer itself, so a guarded one could
    only be put in by changing Hypercorn's module. It also drops connections without a
    close frame, and can't end while a send is stuck. Its parts, put together here, are
    all that is used.
    """
    listeners = _listeners(sockets, options)
    config = _config(options)
    ending = WorkerContext.event_class()
    async with lifespan(app, CLEAN_UP_TIMEOUT) as state:
        open_connections: set[_Connection] = set()
        async with trio.open_nursery() as nursery:

            async def serve_stream(stream: _Stream) -> None:
                connection = _Connection(
                    app, config, options, ending, State(state.copy()), stream
                )
                open_connections.add(connection)
                try:
                    await connection.run()
                finally:
                    open_connections.discard(connection)

            accepting = trio.CancelScope()
            try:
                nursery.start_soon(_accept, accepting, serve_stream, listeners, nursery)
                started()
                await shutdown.requested.wait()
            finally:
                accepting.cancel()
                with trio.CancelScope(shield=True):
                    await ending.set()
                    await _end(open_connections, shutdown, options)


async def _accept(
    scope: trio.CancelScope,
    serve_stream: Callable[[_Stream], Any],
    listeners: list[Any],
    nursery: trio.Nursery,
) -> None:
    with scope:
        await trio.serve_listeners(serve_stream, listeners, handler_nursery=nursery)


def _listeners(sockets: Sequence[socket], options: Options) -> list[Any]:
    context = tls_context(options)
    plain = [trio.SocketListener(trio.socket.from_stdlib_socket(s)) for s in sockets]
    if context is None:
        return list(plain)
    return [trio.SSLListener(one, context, https_compatible=True) for one in plain]


def _config(options: Options) -> Config:
    config = Config()
    # Given as loggers: from names Hypercorn would set up handlers of its own.
    config.errorlog = logging.getLogger("hypercorn.error")
    if options.access_log:
        config.accesslog = logging.getLogger("hypercorn.access")
        config.access_log_format = '%(h)s - "%(R)s" %(s)s'
    config.root_path = options.root_path
    config.websocket_max_message_size = options.ws_max_size
    config.websocket_ping_interval = options.ws_ping_interval
    return config


class _Connection(TCPServer):
    """One connection, whose failure is nobody else's.

    Hypercorn 0.18 on trio lets whatever a connection raises into the nursery of all
    connections: a header that is not ASCII, or one byte after the upgrade, ended the
    process.
    """

    def __init__(
        self,
        app: ASGIApplication,
        config: Config,
        options: Options,
        ending: Event,
        state: State,
        stream: _Stream,
    ) -> None:
        context = Context(ending, options, self.cut)
        super().__init__(ASGIWrapper(app), config, context, state, stream)  # type: ignore[arg-type]
        self.client_left = context.client_left
        # Shielded: a server that is cancelled ends its connections itself, in order.
        self.scope = trio.CancelScope(shield=True)

    async def run(self) -> None:
        try:
            with self.scope:
                await super().run()
        except* Exception as failures:
            first: BaseException = failures
            while isinstance(first, BaseExceptionGroup):
                first = first.exceptions[0]
            # One line: the usual reason is a client that speaks something else.
            logger.warning("a connection was dropped: %r", first)
            logger.debug("this is where it failed", exc_info=failures)

    async def protocol_send(self, event: ServerEvent) -> None:
        # Hypercorn tells a response of a disconnect before it is through with its last
        # send, and Starlette's files and streams cancel themselves at that. The
        # connection would stay open without a keep-alive timeout, and hold up a stop.
        with trio.CancelScope(shield=isinstance(event, Updated)):
            await super().protocol_send(event)

    async def _close(self) -> None:
        # For the same reason. Nothing in it waits for the client.
        with trio.CancelScope(shield=True):
            await super()._close()

    async def _read_data(self) -> None:
        # Before the first byte: Hypercorn names the class of its protocol itself.
        given = self.protocol
        given.protocol = Protocol(
            given.app,
            given.config,
            given.context,
            given.task_group,
            given.state,
            given.ssl,
            given.client,
            given.server,
            given.send,
        )
        await super()._read_data()
        self.client_left.set()

    def goodbye(self) -> tuple[_Put, bytes] | None:
        """Return how to tell an open WebSocket's application, and the close frame.

        Once; None for anything but an open WebSocket.

        From here on what the application sends is dropped, as after a disconnect.
        """
        protocol = getattr(getattr(self, "protocol", None), "protocol", None)
        stream = protocol.stream if isinstance(protocol, H11Protocol) else None
        if (
            not isinstance(stream, WSStream)
            or stream.closed
            or stream.state is not ASGIWebsocketState.CONNECTED
            or stream.connection.state is not ConnectionState.OPEN
            or stream.app_put is None
        ):
            return None
        stream.closed = True
        return stream.app_put, stream.connection.send(
            CloseConnection(code=_SERVICE_RESTART)
        )

    async def send_last(self, data: bytes) -> None:
        """Send the close frame, and end our side of the connection."""
        await self.protocol_send(RawData(data))
        try:
            if isinstance(self.stream, trio.SSLStream):
                await self.stream.aclose()
            else:
                await self.stream.send_eof()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # The client was faster.

    def abort(self) -> None:
        """Cut the connection, and cancel the application."""
        # The socket first: Hypercorn's send is shielded, and only this ends it.
        self.cut()
        self.scope.cancel()

    def cut(self) -> None:
        """Cut the connection, as if the network had; the application is told 1006."""
        stream: _Stream = self.stream
        if isinstance(stream, trio.SSLStream):
            stream.transport_stream.socket.close()
        else:
            stream.socket.close()


async def _end(
    connections: set[_Connection], shutdown: Shutdown, options: Options
) -> None:
    """Close every WebSocket with 1012, wait, cancel."""
    async with trio.open_nursery() as nursery:
        with trio.move_on_after(options.graceful_timeout):
            while connections and not shutdown.hurried.is_set():
                for connection in connections:
                    last = connection.goodbye()
                    if last is not None:
                        tell_application, frame = last
                        # Side by side: a client that reads nothing must not keep the
                        # application from being told, nor the other way round.
                        nursery.start_soon(connection.send_last, frame)
                        nursery.start_soon(tell_application, _DISCONNECT)
                await trio.sleep(_POLL)
        for connection in connections:
            connection.abort()
        nursery.cancel_scope.cancel()
