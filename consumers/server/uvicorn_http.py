"""uvicorn's HTTP, with an end to how long a request may take and its headers be."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Any, Final

from httptools import HttpParserUpgrade
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from consumers.server.asyncio_websocket import Connection
from consumers.server.deadlines import Deadlines
from consumers.server.exchange import http_head
from consumers.server.limiting import note_late_head

__all__ = ["Http", "Waits"]

log: Final = logging.getLogger("uvicorn.error")

MAX_HEAD: Final = 16 * 1024
"""Bytes that may come without an end to the headers. The parser has no limit."""


class Waits:
    """What the connections of one server are waited for, before they are WebSockets.

    By their transports, since one that is no WebSocket changes its protocol meanwhile.
    """

    __slots__ = ("bodies", "heads", "loop")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        header_timeout: float | None,
        body_timeout: float | None,
    ) -> None:
        self.loop = loop
        self.heads = Deadlines[asyncio.Transport](loop, header_timeout, _head_is_late)
        """Those whose request has no end to its headers yet."""
        self.bodies = Deadlines[asyncio.Transport](loop, body_timeout, _body_is_late)
        """Those of whose request's body more is to come."""


def _head_is_late(transport: asyncio.Transport) -> None:
    protocol: Any = transport.get_protocol()
    note_late_head()
    protocol.head_is_late()


def _body_is_late(transport: asyncio.Transport) -> None:
    protocol: Any = transport.get_protocol()
    protocol.body_is_late()


class Http(HttpToolsProtocol):
    """A connection that brings requests."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        waits: Waits,
    ) -> None:
        """Begin as uvicorn's own protocols do."""
        super().__init__(config, server_state, app_state, waits.loop)
        self._waits = waits
        self._unended = 0  # bytes since headers, a piece of a body or a request ended
        self._held = False  # the body was not wanted when it was looked at last
        self._read = b""  # while it is parsed

    def connection_made(  # type: ignore[override]  # as uvicorn declares it
        self, transport: asyncio.Transport
    ) -> None:
        """Take a connection: a new one, or one of which something was read."""
        super().connection_made(transport)
        self._waits.heads.begin(transport)

    def data_received(self, data: bytes) -> None:
        """Take bytes of requests."""
        waits, transport = self._waits, self.transport
        before: Any = self.cycle  # None before the first one, whatever uvicorn declares
        if before is not None and before.response_complete:
            # uvicorn's own timeout for the next request has ended with its first byte.
            waits.heads.begin(transport)
        self._unended += len(data)
        self._read = data
        super().data_received(data)
        self._read = b""
        if self._unended > MAX_HEAD:
            self._refuse(431)
        if self._is_incomplete():
            self._held = self._is_held()
            waits.bodies.put_off(transport)
        else:
            waits.bodies.waiting.pop(transport, None)

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over, with what came right behind the request.

        uvicorn forgets that. A client has to wait for the answer; but of one that does
        not, a part of a frame would be missing.
        """
        upgrade = sys.exception()
        super().handle_websocket_upgrade()
        protocol: Any = self.transport.get_protocol()
        if isinstance(upgrade, HttpParserUpgrade) and isinstance(protocol, Connection):
            early = self._read[upgrade.args[0] :]
            if early:
                protocol.data_received(early)

    # What the parser calls.

    def on_headers_complete(self) -> None:
        """Take note that a request's headers are there."""
        self._unended = 0
        self._waits.heads.waiting.pop(self.transport, None)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of its body."""
        self._unended = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Take note of its end."""
        self._unended = 0
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the application."""
        self._waits.heads.waiting.pop(self.transport, None)
        self._waits.bodies.waiting.pop(self.transport, None)
        super().connection_lost(exc)

    def _is_incomplete(self) -> bool:
        cycle: Any = self.cycle
        return cycle is not None and cycle.more_body and not cycle.response_complete

    def _is_held(self) -> bool:
        """Tell whether the application is what a body waits for."""
        return self.flow.read_paused or self.cycle.waiting_for_100_continue

    def head_is_late(self) -> None:
        """Refuse a request whose headers have taken too long."""
        scope: Any = self.scope
        if scope is None:
            self.transport.abort()  # not a word was said
        else:
            self._refuse(408)

    def body_is_late(self) -> None:
        """Refuse a request whose body does not go on."""
        if not self._is_incomplete():
            return  # it was answered without its body
        cycle = self.cycle
        before, self._held = self._held, self._is_held()
        if before or self._held:
            # The client's time begins when it may go on, which may be just now.
            self._waits.bodies.begin(self.transport)
            return
        cycle.disconnected = True
        cycle.message_event.set()
        if cycle.response_started:
            self.transport.abort()  # whoever reads a part must not take it for all
        else:
            self._refuse(408)

    def _refuse(self, status: int) -> None:
        if self.transport.is_closing():
            return  # it was refused by uvicorn
        headers = [*self.server_state.default_headers, (b"content-length", b"0")]
        self.transport.write(http_head(status, headers))
        self.transport.close()
        if self.config.access_log:
            host, port = self.client or ("", "")
            log.info("%s:%s - refused with %d", host, port, status)
