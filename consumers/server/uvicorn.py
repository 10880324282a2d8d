"""A WebSocket protocol for uvicorn's public ``ws`` option, on the engine of our own.

::

    uvicorn app:app --ws consumers.server.uvicorn:Protocol

Any ASGI application runs on it unchanged. Replies to messages that came together, and
publications that are due together, go out in one write.

Source: uvicorn "Deployment: --ws"; ASGI WebSocket 2.5.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Hashable
from typing import Any, Final
from urllib.parse import unquote
from weakref import WeakKeyDictionary

from uvicorn.config import Config
from uvicorn.protocols.utils import (
    ClientDisconnected,
    get_client_addr,
    get_local_addr,
    get_path_with_query_string,
    get_remote_addr,
    is_ssl,
)
from uvicorn.server import ServerState

from consumers.server.corking import Cork, cork_of
from consumers.server.exchange import (
    EXTENSION,
    OPEN,
    Event,
    Exchange,
    Settings,
    Stage,
    http_head,
)
from consumers.server.frames import (
    DeflateSettings,
    Frames,
    Refusal,
    check_handshake,
    text_frame,
)
from consumers.server.keepalive import Keepalive

__all__ = ["CLOSE_TIMEOUT", "Protocol"]

log: Final = logging.getLogger("uvicorn.error")

CLOSE_TIMEOUT: Final = 10.0
"""Seconds that a peer has to answer our close frame, and to read what was sent."""

_GATHER: Final = 64
"""So many frames are written together at most, and a frame of so many KiB at once."""

_BEHIND: Final = 64 * 1024
"""Bytes that may come for an application that is behind before reading pauses."""

_EARLY: Final = 64 * 1024
"""Bytes that a client may send before its handshake is answered."""

_EMPTY: Final[dict[str, Any]] = {}


class _Server:
    """What the connections of one uvicorn server share."""

    __slots__ = ("keepalive", "settings")

    def __init__(self, config: Config, loop: asyncio.AbstractEventLoop) -> None:
        self.settings = Settings(
            config.ws_max_size,
            DeflateSettings() if config.ws_per_message_deflate else None,
        )
        self.keepalive = Keepalive(
            loop, config.ws_ping_interval or None, config.ws_ping_timeout
        )


_servers: Final[WeakKeyDictionary[Config, _Server]] = WeakKeyDictionary()


class Protocol(asyncio.Protocol):
    """One WebSocket connection of a uvicorn server."""

    __slots__ = (
        "_app_state",
        "_behind",
        "_config",
        "_cork",
        "_deadline",
        "_early",
        "_exchange",
        "_frames",
        "_loop",
        "_out",
        "_paused",
        "_ping",
        "_reading",
        "_ready",
        "_server",
        "_state",
        "_waiter",
        "_whom",
        "_write",
        "_writers",
        "shares",
        "transport",
    )

    transport: asyncio.Transport

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Begin as uvicorn's own protocols do."""
        if not config.loaded:
            config.load()
        self._config = config
        self._state = server_state
        self._app_state = app_state
        self._loop = loop = _loop or asyncio.get_running_loop()
        server = _servers.get(config)
        if server is None:
            server = _servers[config] = _Server(config, loop)
        self._server = server
        self._cork: Cork = cork_of(loop)
        self._exchange: Exchange | None = None
        self._frames: Frames | None = None  # once it is open
        self._early = b""
        self._whom: tuple[str, ...] = ("", "")  # for the log: address and path
        # What the application has to receive: the last one comes first.
        self._ready: list[dict[str, Any]] = []
        self._waiter: asyncio.Future[None] | None = None  # of who receives
        self._writers: list[asyncio.Future[None]] = []  # those who wait to send
        self._out: list[bytes] = []  # gathered, to be written together
        self._paused = False  # the transport has enough to write
        self._reading = True  # reading is not paused
        self._behind = 0  # bytes that came while nobody received
        self._ping = 0  # the number of the latest
        self._deadline: asyncio.TimerHandle | None = None
        self.shares: Hashable | None = ()
        """Connections with the same value may be sent the same bytes; ``None``: each
        needs its own."""

    # -- asyncio.Protocol -----------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection over from uvicorn's HTTP protocol."""
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self.transport = transport  # type: ignore[assignment]
        self._write = self.transport.write
        self._state.connections.add(self)  # type: ignore[arg-type]

    def data_received(self, data: bytes) -> None:
        """Take bytes: first the request, as uvicorn hands it over, then frames."""
        frames = self._frames
        if frames is None:
            self._begin(data)
            return
        frames.feed(data)
        if frames.replies or frames.ended or frames.pong is not None:
            self._attend(frames)
        waiter = self._waiter
        if waiter is not None:
            if frames.messages:
                self._waiter = None
                if not waiter.done():
                    waiter.set_result(None)
        elif frames.messages:
            # Nobody receives: the application is busy.
            self._behind += len(data)
            if self._reading and (frames.lagging or self._behind > _BEHIND):
                self._reading = False
                self.transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the application, and whoever waits."""
        self._state.connections.discard(self)
        self._server.keepalive.forget(self)
        if self._deadline is not None:
            self._deadline.cancel()
        if self._exchange is not None:
            self._exchange.lost()
        self._out.clear()
        self._wake()
        self.resume_writing()

    def pause_writing(self) -> None:
        """Have senders wait: the peer reads more slowly than they send."""
        self._paused = True

    def resume_writing(self) -> None:
        """Let senders go on."""
        self._paused = False
        writers, self._writers = self._writers, []
        for writer in writers:
            if not writer.done():
                writer.set_result(None)

    def shutdown(self) -> None:
        """Close with 1012: the server ends. Called by uvicorn."""
        exchange = self._exchange
        if exchange is None:
            self.transport.close()
        elif exchange.stage is OPEN:
            self._close(1012, "")
        elif exchange.stage in (Stage.HANDSHAKE, Stage.DENYING):
            self._finish(exchange.refuse(503, b"The server is restarting.\n"))
        elif exchange.stage is Stage.OVER:
            self.transport.close()

    # -- the handshake --------------------------------------------------------------

    def _begin(self, data: bytes) -> None:
        if self._exchange is not None:
            # The client may not send yet; what came with the answer is kept.
            self._early += data
            if len(self._early) > _EARLY:
                self.transport.abort()
            return
        lines = data[:-4].split(b"\r\n")
        method, target, _ = lines[0].split(b" ", 2)
        headers = []
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            headers.append((name.lower(), value.strip()))
        config, state = self._config, self._state
        limit = config.limit_concurrency
        checked = check_handshake(method, headers)
        settings = self._server.settings
        if isinstance(checked, Refusal):
            self._refuse(checked.status, checked.headers, checked.body)
            return
        if limit is not None and (
            len(state.connections) > limit or len(state.tasks) >= limit
        ):
            log.warning("Exceeded concurrency limit.")
            self._refuse(503, [(b"retry-after", b"5")], b"The server is full.\n")
            return
        self._exchange = Exchange(checked, settings, state.default_headers)
        raw_path, _, query = target.partition(b"?")
        root_path = config.root_path
        scope = {
            "type": "websocket",
            "asgi": {"version": config.asgi_version, "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "wss" if is_ssl(self.transport) else "ws",
            "server": get_local_addr(self.transport),
            "client": get_remote_addr(self.transport),
            "root_path": root_path,
            "path": root_path + unquote(raw_path.decode("ascii")),
            "raw_path": root_path.encode("ascii") + raw_path,
            "query_string": query,
            "headers": headers,
            "subprotocols": checked.subprotocols,
            "state": self._app_state.copy(),
            "extensions": {"websocket.http.response": _EMPTY, EXTENSION: self},
        }
        if log.isEnabledFor(logging.INFO):
            self._whom = (get_client_addr(scope), get_path_with_query_string(scope))  # type: ignore[arg-type]
        self._ready.append({"type": "websocket.connect"})
        task = self._loop.create_task(self._run(scope))
        state.tasks.add(task)
        task.add_done_callback(state.tasks.discard)

    def _refuse(
        self, status: int, headers: list[tuple[bytes, bytes]], body: bytes
    ) -> None:
        """Answer what is no handshake, or can't be served."""
        common = self._state.default_headers
        head = http_head(status, [*common, *headers])
        self._finish(head + body)

    async def _run(self, scope: dict[str, Any]) -> None:
        """Run the application, and end what it leaves open."""
        exchange = self._exchange
        assert exchange is not None
        code = 1011
        try:
            await self._config.loaded_app(scope, self.receive, self.send)
            code = 1000
        except ClientDisconnected:
            pass
        except Exception:
            log.exception("Exception in ASGI application\n")
        finally:
            if exchange.stage is OPEN:
                self._close(code, "")
            elif exchange.stage is Stage.HANDSHAKE:
                if code == 1000:
                    log.error("ASGI callable returned without completing handshake.")
                self._finish(exchange.refuse(500, b"Internal Server Error"))
            elif exchange.stage is Stage.DENYING:
                self._finish(exchange.refuse(500))

    # -- receiving ------------------------------------------------------------------

    async def receive(self) -> Event:
        """Return the application's next event."""
        exchange = self._exchange
        assert exchange is not None
        while True:
            event = self.take()
            if event is not None:
                return event
            frames = self._frames
            if frames is not None and frames.lagging:
                await asyncio.sleep(0)  # a flood is not all that there is to do
                frames.feed(b"")
                self._attend(frames)
                continue
            if exchange.disconnect is not None:
                return exchange.disconnect
            if self._behind:
                self._behind = 0
                if not self._reading:
                    self._reading = True
                    self.transport.resume_reading()
            waiter = self._waiter
            if waiter is not None and not waiter.done():
                # Two tasks receive. Cancelling one must not reach the other.
                await asyncio.wait((waiter,))
                continue
            self._waiter = waiter = self._loop.create_future()
            await waiter

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _attend(self, frames: Frames) -> None:
        """Do what frames other than messages ask for."""
        if frames.pong is not None:
            if frames.pong == self._payload():
                self._server.keepalive.answered(self)
            frames.pong = None
        if frames.replies:
            self.flush()
            self._write(b"".join(frames.replies))
            frames.replies.clear()
            if self._paused and self._reading:
                # It pings, and does not read the answers: nothing more is read of it.
                self._reading = False
                self._behind += 1
                self.transport.pause_reading()
        ended = frames.ended
        exchange = self._exchange
        if ended is None or exchange is None or exchange.stage is Stage.OVER:
            return
        exchange.ended(ended)
        self._server.keepalive.forget(self)
        self._set_deadline()
        self._wake()
        self.resume_writing()
        if ended.failed and self.transport.can_write_eof():
            # What the client goes on sending is read and dropped: were the connection
            # cut with some of that unread, our close frame might not arrive.
            self.transport.write_eof()
        else:
            self.transport.close()

    # -- sending --------------------------------------------------------------------

    async def send(self, event: Event) -> None:
        """Send what the application says; wait while the peer's buffers are full."""
        exchange = self._exchange
        assert exchange is not None
        if event["type"] == "websocket.send" and exchange.stage is OPEN:
            while not self.write(event):
                if exchange.stage is not OPEN:
                    raise ClientDisconnected
                await self._writable()
            return
        await self._send_other(exchange, event)

    async def _send_other(self, exchange: Exchange, event: Event) -> None:
        stage, kind = exchange.stage, event["type"]
        if stage is Stage.CLOSING or stage is Stage.OVER:
            raise ClientDisconnected
        if stage is OPEN and kind == "websocket.close":
            code, reason = event.get("code"), event.get("reason") or ""
            self._close(1000 if code is None else code, reason)
            return
        while self._paused:
            await self._writable()
        data = exchange.sent(event)
        if data:
            self._write(data)
        if exchange.stage is OPEN:
            self._opened(exchange)
        elif exchange.stage is Stage.OVER:
            self._finish(b"")
        if stage is Stage.HANDSHAKE:
            self._log_handshake(event)

    def _opened(self, exchange: Exchange) -> None:
        frames = self._frames = exchange.frames
        assert frames is not None
        if frames.deflate is not None:
            self.shares = frames.deflate.shared
        self._server.keepalive.watch(self)
        early, self._early = self._early, b""
        if early:
            self.data_received(early)

    def _log_handshake(self, event: Event) -> None:
        if log.isEnabledFor(logging.INFO):
            status = {"websocket.accept": "[accepted]", "websocket.close": "403"}.get(
                event["type"], event.get("status")
            )
            log.info('%s - "WebSocket %s" %s', *self._whom, status)
            self._whom = ()

    async def _writable(self) -> None:
        writer = self._loop.create_future()
        self._writers.append(writer)
        await writer

    def gather(self, frame: bytes) -> None:
        """Write a frame together with others, at the loop's next turn at the latest."""
        out = self._out
        if not out:
            self._cork.hold(self)
        out.append(frame)
        if len(out) >= _GATHER or len(frame) >= _GATHER * 1024:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered."""
        out = self._out
        if out:
            self._write(b"".join(out) if len(out) > 1 else out[0])
            out.clear()

    # -- the extension: see `consumers.direct` ----------------------------------------

    def take(self) -> Event | None:
        """Return the next message, if one is there."""
        if self._ready:
            return self._ready.pop()
        frames = self._frames
        if frames is None or not frames.messages:
            return None
        messages = frames.messages
        if len(messages) > 1:
            messages.reverse()
            self._ready, frames.messages = messages, self._ready
        return messages.pop()

    def write(self, event: Event) -> bool:
        """Send a ``websocket.send`` event, unless it has to wait."""
        exchange = self._exchange
        if self._paused or exchange.stage is not OPEN:  # type: ignore[union-attr]
            return False
        frames = self._frames
        text = event.get("text")
        if text is not None and frames.deflate is None:  # type: ignore[union-attr]
            frame = text_frame(text.encode())
        else:
            frame = exchange.message(event)  # type: ignore[union-attr]
        if self._ready or frames.messages:  # type: ignore[union-attr]
            # More input waits: the replies to all of it can share a write.
            self.gather(frame)
        elif self._out:
            self._out.append(frame)
            self.flush()
        else:
            self._write(frame)
        return True

    def frame(self, event: Event) -> bytes:
        """Return the frame of a ``websocket.send`` event, for all that share it."""
        exchange = self._exchange
        assert exchange is not None
        return exchange.message(event)

    def post(self, frame: bytes) -> bool:
        """Write a ready frame without waiting; tell whether there was room for it."""
        if self._paused or self._exchange.stage is not OPEN:  # type: ignore[union-attr]
            return False
        self.gather(frame)
        return True

    # -- keepalive, and the end -----------------------------------------------------

    def ping(self) -> None:
        """Send a ping."""
        self._ping += 1
        frames = self._frames
        assert frames is not None
        self.flush()
        self._write(frames.ping(self._payload()))

    def _payload(self) -> bytes:
        return _pack(self._ping)

    def not_answered(self) -> None:
        """Drop a peer that has not answered a ping in time."""
        if self._behind and not self._reading:
            # Its answer may be among what was not read: the application is behind.
            self._server.keepalive.watch(self)
            return
        exchange = self._exchange
        if exchange is not None and exchange.stage is OPEN:
            self.flush()
            self._write(exchange.close(1011, "keepalive ping timeout"))
        self.transport.abort()

    def _close(self, code: int, reason: str) -> None:
        """Begin the closing handshake."""
        exchange = self._exchange
        assert exchange is not None
        closing = exchange.close(code, reason)
        self._ready.clear()
        self.flush()
        self._write(closing)
        self._server.keepalive.forget(self)
        self._set_deadline()
        self._behind = 0
        if not self._reading:
            self._reading = True
            self.transport.resume_reading()
        self._wake()
        self.resume_writing()

    def _finish(self, data: bytes) -> None:
        """Write the last bytes, and end the connection."""
        if data:
            self._write(data)
        self._set_deadline()
        self.transport.close()
        self._wake()

    def _set_deadline(self) -> None:
        if self._deadline is None:
            self._deadline = self._loop.call_later(CLOSE_TIMEOUT, self.transport.abort)


_pack: Final = struct.Struct("!I").pack
