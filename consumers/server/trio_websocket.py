"""Hypercorn's side of a WebSocket, with what its own leaves out.

The application learns how the client closed, the client learns what was wrong with its
frames, compression is an option, a client that answers no ping is dropped, and nothing
is kept of a message that is too long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import trio
from hypercorn.config import Config
from hypercorn.protocol.events import Data, Event, StreamClosed
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.protocol.ws_stream import FrameTooLargeError, WSStream
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import Event as ServerEvent
from hypercorn.typing import WebsocketAcceptEvent
from wsproto.events import CloseConnection, Message, Ping
from wsproto.events import Event as Frame
from wsproto.frame_protocol import CloseReason

from consumers.server.options import Options

__all__ = ["Context", "Protocol", "WebSocketStream"]

_LINGER: Final = 5.0
"""Seconds that a client has to answer when its message was too long."""


class Context(WorkerContext):
    """What Hypercorn asks about the server, one for each connection."""

    def __init__(
        self, ending: ServerEvent, options: Options, cut: Callable[[], None]
    ) -> None:
        super().__init__(None)
        self.terminated = ending
        self.options = options
        self.client_left = trio.Event()
        self.cut = cut

    async def sleep(self, wait: float) -> None:  # type: ignore[override]
        """Sleep between two pings, but not when there is nobody to ping.

        Hypercorn would, and keeps the socket of a client that left until the next one.
        """
        with trio.move_on_after(wait):
            await self.client_left.wait()


class Protocol(H11Protocol):
    """HTTP/1.1, whose WebSockets are ours."""

    _stream: HTTPStream | WSStream | None = None

    # `_create_stream` names Hypercorn's class itself, and assigns what it makes here.
    @property
    def stream(self) -> HTTPStream | WSStream | None:
        """What serves the current request."""
        return self._stream

    @stream.setter
    def stream(self, made: HTTPStream | WSStream | None) -> None:
        if isinstance(made, WSStream):
            made = WebSocketStream(
                self.app,
                self.config,
                self.context,
                self.task_group,
                self.ssl,
                self.client,
                self.server,
                self.stream_send,
                STREAM_ID,
            )
        self._stream = made


class WebSocketStream(WSStream):
    """One WebSocket."""

    def __init__(self, app: Any, config: Config, context: Any, *rest: Any) -> None:
        super().__init__(app, config, context, *rest)
        self._connection: Context = context
        # The first close is the one that counts, whoever's it was.
        self._close: CloseConnection | None = None
        self._handling = False
        self._heard = trio.Event()

    async def handle(self, event: Event) -> None:
        """Take what came from the client."""
        self._heard.set()
        if (
            isinstance(event, StreamClosed)
            and self._close is not None
            and self.app_put is not None
            and not self.closed
        ):
            self.closed = True
            # Where Hypercorn tells 1000 or 1006, whatever it was.
            await self.app_put(
                {
                    "type": "websocket.disconnect",
                    "code": int(self._close.code),
                    "reason": self._close.reason or "",
                }
            )
            return
        self._handling = isinstance(event, Data)
        try:
            await super().handle(event)
        finally:
            self._handling = False

    async def _handle_events(self) -> None:
        for event in self.connection.events():
            if isinstance(event, CloseConnection):
                # wsproto tells of frames that it can't parse in the same way; there
                # Hypercorn would drop the connection without a close frame.
                await self._send_wsproto_event(event.response())
                await self.send(StreamClosed(stream_id=self.stream_id))
            elif isinstance(event, Ping):
                await self._send_wsproto_event(event.response())
            elif isinstance(event, Message) and self._close is None:
                await self._handle_message(event)

    async def _handle_message(self, event: Message[Any]) -> None:
        try:
            self.buffer.extend(event)
        except FrameTooLargeError:
            self.buffer.clear()
            await self._send_wsproto_event(
                CloseConnection(code=CloseReason.MESSAGE_TOO_BIG)
            )
            # The rest is read and forgotten, so that a client in the middle of its
            # message comes to read the close frame.
            self.task_group.spawn(self._linger)
            return
        if event.message_finished:
            assert self.app_put is not None
            await self.app_put(self.buffer.to_message())
            self.buffer.clear()

    async def _linger(self) -> None:
        await self._connection.sleep(_LINGER)
        await self.send(StreamClosed(stream_id=self.stream_id))

    async def _send_wsproto_event(self, event: Frame) -> None:
        if isinstance(event, CloseConnection) and self._close is None:
            self._close = event
        await super()._send_wsproto_event(event)

    async def _accept(self, message: WebsocketAcceptEvent) -> None:
        if not self._connection.options.ws_per_message_deflate:
            self.handshake.extensions = None
        await super()._accept(message)

    async def _send_pings(self) -> None:
        """Ping, and drop a client that sends nothing in answer."""
        options = self._connection.options
        assert options.ws_ping_interval is not None
        while True:
            await self._connection.sleep(options.ws_ping_interval)
            if self.closed:
                return
            self._heard = trio.Event()
            await self._send_wsproto_event(Ping())
            if options.ws_ping_timeout is not None:
                with trio.move_on_after(options.ws_ping_timeout):
                    await self._heard.wait()
                # While the application is behind with its messages nothing is read,
                # and what the client sends can't be heard.
                if not (self._heard.is_set() or self._handling):
                    self._connection.cut()
