"""A WebSocket protocol for uvicorn's public ``ws`` option, on the engine of our own.

::

    uvicorn app:app --ws consumers.server.uvicorn:Protocol

Any ASGI application runs on it unchanged. uvicorn's options say nearly all that there
is to be said; how to compress is an attribute of the class.

Source: uvicorn "Settings: WebSocket Protocol"; ASGI WebSocket 2.4.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, ClassVar, Final
from urllib.parse import unquote
from weakref import WeakKeyDictionary

from uvicorn.config import Config
from uvicorn.protocols.utils import (
    get_client_addr,
    get_local_addr,
    get_path_with_query_string,
    get_remote_addr,
    is_ssl,
)
from uvicorn.server import ServerState

from consumers.errors import was_logged
from consumers.handshake.credentials import redacted
from consumers.server.asyncio_websocket import Connection, PeerGone
from consumers.server.asyncio_writing import LoopPace, Shared
from consumers.server.corking import Cork
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
    Refusal,
    check_handshake,
    read_request,
)
from consumers.server.keepalive import Keepalive
from consumers.server.limiting import note_full
from consumers.server.uvicorn_http import Http, Waits

__all__ = ["Protocol", "shared_by"]

log: Final = logging.getLogger("uvicorn.error")

_FULL: Final = Refusal(
    503, [(b"retry-after", b"5"), (b"content-length", b"20")], b"The server is full.\n"
)
_NOT_ASCII: Final = Refusal(
    400, [(b"content-length", b"24")], b"The target is no ASCII.\n"
)
_shared: Final[WeakKeyDictionary[Config, Shared]] = WeakKeyDictionary()


def shared_by(
    config: Config, loop: asyncio.AbstractEventLoop, kind: type[Protocol]
) -> Shared:
    """Return what the connections of one server have in common."""
    shared = _shared.get(config)
    if shared is None or shared.loop is not loop:
        interval = config.ws_ping_interval or None
        shared = _shared[config] = Shared(
            loop,
            Settings(
                config.ws_max_size,
                kind.deflate if config.ws_per_message_deflate else None,
                kind.max_frames,
            ),
            Keepalive(loop, interval, config.ws_ping_timeout),
            Cork(loop),
            LoopPace(loop),
        )
    return shared


def _address(transport: asyncio.Transport, name: str) -> tuple[str, int] | None:
    """Return the one of IPv4 that the transport knows.

    uvicorn asks the socket, each time: with uvloop, that takes six system calls and two
    sockets of Python's.
    """
    known = transport.get_extra_info(name)
    return known if type(known) is tuple and len(known) == 2 else None


class Protocol(Connection):
    """One WebSocket connection of a uvicorn server."""

    deflate: ClassVar[DeflateSettings] = DeflateSettings()
    """How messages are compressed, where uvicorn's ``ws_per_message_deflate`` asks for
    that. Set it in a subclass, and name that in ``--ws``."""
    max_frames: ClassVar[int] = 16384
    """Frames of one message, empty ones too, and one more for each 32 bytes of it; set
    likewise."""

    __slots__ = ("_app_state", "_begun", "_config", "_state", "_waits", "_whom")

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        shared: Shared | None = None,
        waits: Waits | None = None,
    ) -> None:
        """Begin as uvicorn's own protocols do.

        Args:
            config: The server's.
            server_state: Who is connected to it.
            app_state: What the application has from its lifespan.
            shared: What `shared_by` returns, if it is known.
            waits: What a connection is waited for of which nothing was read yet;
                ``None``: uvicorn's HTTP protocol has read its request and hands it
                over.
        """
        if shared is None:
            if not config.loaded:
                config.load()
            shared = shared_by(config, _loop or asyncio.get_running_loop(), type(self))
        super().__init__(shared)
        self._config = config
        self._state = server_state
        self._app_state = app_state
        self._whom: tuple[str, ...] = ()  # for the log: address and path
        self._begun = False  # whether the request was read
        self._waits = waits

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection: a new one, or one from uvicorn's HTTP protocol."""
        super().connection_made(transport)
        self._state.connections.add(self)  # type: ignore[arg-type]
        if self._waits is not None:
            self._waits.heads.begin(self.transport)

    def _unopened(self, data: bytes) -> None:
        """Take the request. uvicorn hands it over whole."""
        if self._begun:
            super()._unopened(data)
            return
        waits = self._waits
        if waits is not None:
            request = read_request(data)
            if request is None:
                self._hand_over(waits, data)
            else:
                waits.heads.waiting.pop(self.transport, None)
                self._begin(b"GET", *request)
            return
        lines = data[:-4].split(b"\r\n")
        method, target, _ = lines[0].split(b" ", 2)
        headers = []
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            headers.append((name.lower(), value.strip()))
        self._begin(method, target, headers)

    def _hand_over(self, waits: Waits, data: bytes) -> None:
        """Leave the connection, of which this was read, to uvicorn's HTTP."""
        self._state.connections.discard(self)
        other = Http(self._config, self._state, self._app_state, waits)
        self.transport.set_protocol(other)
        other.connection_made(self.transport)
        other.data_received(data)

    def head_is_late(self) -> None:
        """End a connection that has said nothing. Called by what waits for it."""
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the application, and whoever waits."""
        self._state.connections.discard(self)
        if self._waits is not None and not self._begun:
            self._waits.heads.waiting.pop(self.transport, None)
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Close with 1012: the server ends. Called by uvicorn."""
        exchange = self._exchange
        if exchange.stage is OPEN:
            self._close(1012, "", keep=True)
        elif exchange.stage in (Stage.HANDSHAKE, Stage.DENYING):
            self._finish(exchange.refuse(503, b"The server is restarting.\n"))
        elif exchange.stage is Stage.OVER:
            self.transport.close()

    def _begin(
        self, method: bytes, target: bytes, headers: list[tuple[bytes, bytes]]
    ) -> None:
        """Judge the request, and run the application if it opens a WebSocket."""
        self._begun = True
        config, state, transport = self._config, self._state, self.transport
        limit = config.limit_concurrency
        checked = check_handshake(method, headers)
        settings, common = self._shared.settings, state.default_headers
        if not target.isascii():
            checked = _NOT_ASCII
        if isinstance(checked, Refusal):
            self._refuse(checked)
            return
        if limit is not None and (
            len(state.connections) > limit or len(state.tasks) >= limit
        ):
            note_full(limit)
            self._refuse(_FULL)
            return
        self._exchange = Exchange(checked, settings, common)
        raw_path, _, query = target.partition(b"?")
        root_path = config.root_path
        scope: Any = {
            "type": "websocket",
            "asgi": {"version": config.asgi_version, "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "wss" if is_ssl(transport) else "ws",
            "server": _address(transport, "sockname") or get_local_addr(transport),
            "client": _address(transport, "peername") or get_remote_addr(transport),
            "root_path": root_path,
            "path": root_path + unquote(raw_path.decode("ascii")),
            "raw_path": root_path.encode("ascii") + raw_path,
            "query_string": query,
            "headers": headers,
            "subprotocols": checked.subprotocols,
            "state": self._app_state.copy(),
            "extensions": {"websocket.http.response": {}, EXTENSION: self},
        }
        if config.access_log and log.isEnabledFor(logging.INFO):
            path = redacted(get_path_with_query_string(scope))
            self._whom = (get_client_addr(scope), path)
        self._ready.append({"type": "websocket.connect"})
        task = self._shared.loop.create_task(self._run(scope))
        state.tasks.add(task)
        task.add_done_callback(state.tasks.discard)

    def _refuse(self, refusal: Refusal) -> None:
        """Answer what is no handshake, or can't be served."""
        self._exchange = Exchange(None, self._shared.settings)
        headers = [*self._state.default_headers, *refusal.headers]
        self._finish(http_head(refusal.status, headers) + refusal.body)

    async def _run(self, scope: dict[str, Any]) -> None:
        """Run the application, and end what it leaves open."""
        exchange, code = self._exchange, 1011
        try:
            result = await self._config.loaded_app(scope, self.receive, self.send)
            code = 1000
            if result is not None:
                log.error(
                    "ASGI callable should return None, but returned '%s'.", result
                )
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                code = 1012
                raise
            log.exception("Exception in ASGI application\n")
        except Exception as error:
            # That its client is gone is no failure. That another's is may be one.
            gone = isinstance(error, PeerGone) and exchange.stage is not OPEN
            if not gone and not was_logged(error):
                log.exception("Exception in ASGI application\n")
        finally:
            if exchange.stage is OPEN:
                self._close(code, "")
            elif exchange.stage < OPEN:
                if code == 1000:
                    log.error("ASGI callable returned without completing handshake.")
                self._finish(exchange.refuse(500, b"Internal Server Error"))

    def _answered(self, event: Event) -> None:
        """Log how the application has answered."""
        if self._whom:
            status = {"websocket.accept": "[accepted]", "websocket.close": "403"}.get(
                event["type"], event.get("status")
            )
            log.info('%s - "WebSocket %s" %s', *self._whom, status)
            self._whom = ()
