"""HTTP/1.1 on trio: one connection, its requests one after another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import h11
import trio

from consumers.server.exchange import http_head
from consumers.server.frames import Refusal, check_handshake
from consumers.server.http1 import (
    MAX_HEAD,
    Cycle,
    Endpoints,
    check,
    default_headers,
    http_scope,
    is_websocket,
    websocket_scope,
)
from consumers.server.limiting import note_late_head
from consumers.server.trio_server import Server, target_of
from consumers.server.trio_transport import HIGH, Gone, Transport
from consumers.server.trio_websocket import WebSocket

__all__ = ["HttpConnection"]

_FORGET: Final = 256 * 1024
"""Bytes of a body that are read after its response, to keep the connection."""

_CHECKPOINT_MASK: Final = 63


class HttpConnection:
    """One connection, which brings requests or becomes a WebSocket."""

    __slots__ = (
        "_call",
        "_endpoints",
        "_forgotten",
        "_h11",
        "_kept",
        "_options",
        "_server",
        "transport",
    )

    def __init__(
        self, server: Server, transport: Transport, endpoints: Endpoints
    ) -> None:
        self.transport = transport
        self._server = server
        self._endpoints = endpoints
        self._h11 = h11.Connection(h11.SERVER, MAX_HEAD)
        self._call: _Call | None = None  # from the request to the response's end
        self._forgotten = 0  # bytes of a body that nobody wanted
        self._kept = False  # nothing has come since a request was answered
        self._options = server.options
        transport.receiver = self
        server.connections.add(self)
        transport.timer.set(server.options.header_timeout)
        transport.start()

    # -- what the transport tells ---------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Take bytes of requests."""
        if self._h11.their_state is h11.MUST_CLOSE:
            self._forgotten += len(data)  # it has said that nothing would follow
            return
        if self._kept:
            self._kept = False
            self.transport.timer.set(self._options.header_timeout)
        self._h11.receive_data(data)
        self._advance()

    def eof_received(self) -> None:
        """The client has left, or will get no answer any more: as on uvicorn."""
        self._leave()
        self.transport.close()

    def has_room(self) -> None:
        """Nothing waits here for that; what sends waits by itself."""

    def lost(self) -> None:
        """The connection is over."""
        self._server.connections.discard(self)
        self._leave()

    def timed_out(self) -> None:
        """The client is too slow, or has no more requests."""
        if self._call is not None:
            self._refuse(408)  # there is no more of a body
        elif self._kept or self._h11.their_state is not h11.IDLE:
            self.transport.close()
        else:
            note_late_head()
            if self._h11.trailing_data[0]:
                self._refuse(408)
            else:
                self.transport.close()

    def shutdown(self) -> None:
        """Close the connection when its request has been answered, if there is one."""
        if self._call is None or self._call.cycle.complete:
            self.transport.close()

    def may_be_asked_again(self) -> bool:
        """Tell whether another request may follow: until the server ends."""
        return not self._server.ending

    # -- requests -------------------------------------------------------------------

    def _advance(self) -> None:
        """Do what the bytes received so far ask for."""
        transport = self.transport
        while not transport.is_gone and self._h11.their_state is not h11.MUST_CLOSE:
            try:
                event = self._h11.next_event()
                if type(event) is h11.Request:
                    check(event)
            except h11.RemoteProtocolError as error:
                self._refuse(error.error_status_hint)
                return
            if event is h11.NEED_DATA:
                return
            if event is h11.PAUSED:  # the next request waits for this one
                transport.pause_reading()
                transport.timer.set(None)
                return
            if type(event) is h11.Request:
                if is_websocket(event):
                    self._upgrade(event)
                    return
                self._begin(event)
            elif type(event) is h11.Data:
                self._body_received(bytes(event.data))
            elif type(event) is h11.EndOfMessage:
                transport.timer.set(None)
                if self._call is not None:
                    self._call.cycle.body_ended()
                    self._call.wake()
                else:
                    self._next_cycle()

    def _begin(self, request: h11.Request) -> None:
        cycle = Cycle(self._h11, request)
        server = self._server
        scope = http_scope(request, self._endpoints, server.state)
        call = self._call = _Call(self, cycle, scope)
        timeout = None if cycle.is_expecting else self._options.body_timeout
        self.transport.timer.set(timeout)
        server.nursery.start_soon(call.run, server)

    def _body_received(self, data: bytes) -> None:
        transport = self.transport
        if self._call is None:
            self._forgotten += len(data)
            if self._forgotten > _FORGET:
                transport.close(linger=True)
            else:
                transport.timer.set(self._options.body_timeout)
            return
        waiting = self._call.cycle.body_received(data)
        self._call.wake()
        if waiting > HIGH:
            transport.pause_reading()
            transport.timer.set(None)
        else:
            transport.timer.set(self._options.body_timeout)

    def want_body(self) -> None:
        """Read on: the application waits for the body, or for the client to leave."""
        call, transport = self._call, self.transport
        if call is None or transport.is_gone:
            return
        if told := call.cycle.begin_body():
            transport.write(told)
        if self._h11.their_state is h11.SEND_BODY:
            transport.resume_reading()
            transport.timer.set(self._options.body_timeout)

    def answered(self, cycle: Cycle) -> None:
        """The response is complete: wait for the next request, or close."""
        self._call = None
        transport, theirs = self.transport, self._h11.their_state
        if transport.is_gone:
            return
        reading = theirs is h11.SEND_BODY
        if self._h11.our_state is not h11.DONE or (reading and cycle.is_expecting):
            unread = self._forgotten or self._h11.trailing_data[0]
            transport.close(linger=reading or bool(unread))
        elif reading:
            transport.resume_reading()
            transport.timer.set(self._options.body_timeout)
        else:
            self._next_cycle()
            self._advance()

    def _next_cycle(self) -> None:
        if self._h11.our_state is not h11.DONE or self._server.ending:
            self.transport.close()
            return
        self._h11.start_next_cycle()
        self._forgotten = 0
        self.transport.resume_reading()
        options = self._options
        self._kept = not self._h11.trailing_data[0]
        self.transport.timer.set(
            options.keep_alive_timeout if self._kept else options.header_timeout
        )

    def _refuse(self, status: int) -> None:
        """Answer what is no request, or none that can be served, and close."""
        self._leave()
        ours = self._h11.our_state
        if ours is h11.DONE:  # what is wrong is the rest of a request that was answered
            self.transport.close(linger=True)
        elif ours is h11.IDLE or ours is h11.SEND_RESPONSE:
            self._answer(status, [], b"")
        else:
            self.transport.abort()  # whoever reads a part must not take it for all

    def _answer(
        self, status: int, headers: list[tuple[bytes, bytes]], body: bytes
    ) -> None:
        if not headers:
            headers = [(b"content-length", b"0")]
        head = http_head(status, [*default_headers(), *headers])
        self.transport.write(head + body)
        self.transport.close(linger=True)
        self._server.log_access(self._endpoints.client, "refused with %d", status)

    def failed(self, cycle: Cycle) -> None:
        """The application has not answered, and will not."""
        if cycle.started or cycle.disconnected or self.transport.is_gone:
            self.transport.abort()
        else:
            self._answer(500, [(b"content-length", b"21")], b"Internal Server Error")
        self._leave()

    def log_response(self, scope: dict[str, Any], status: int) -> None:
        """Log a response that begins."""
        self._server.log_access(
            scope["client"],
            '"%s %s HTTP/%s" %d',
            scope["method"],
            target_of(scope),
            scope["http_version"],
            status,
        )

    def _leave(self) -> None:
        if self._call is not None:
            self._call.cycle.disconnected = True
            self._call.wake()
            self._call = None

    def _upgrade(self, request: h11.Request) -> None:
        checked = check_handshake(
            request.method, list(request.headers), request.http_version.decode()
        )
        if isinstance(checked, Refusal):
            self._answer(checked.status, checked.headers, checked.body)
            return
        server = self._server
        scope = websocket_scope(
            request, self._endpoints, server.state, checked.subprotocols
        )
        server.connections.discard(self)
        early = self._h11.trailing_data[0]  # it has no body: these are frames
        WebSocket(server, self.transport, scope, checked, early)


class _Call:
    """The application's call for one request."""

    __slots__ = ("_arrived", "_connection", "_scope", "_sends", "cycle")

    def __init__(
        self, connection: HttpConnection, cycle: Cycle, scope: dict[str, Any]
    ) -> None:
        self.cycle = cycle
        self._connection = connection
        self._scope = scope
        self._arrived: trio.Event | None = None
        self._sends = 0

    async def run(self, server: Server) -> None:
        """Call the application, and end what it leaves open."""
        await server.call(self._scope, self.receive, self.send)
        if not self.cycle.complete:
            self._connection.failed(self.cycle)

    def wake(self) -> None:
        """There is something to receive."""
        if self._arrived is not None:
            self._arrived.set()
            self._arrived = None

    async def receive(self) -> Mapping[str, Any]:
        """Return the next piece of the body, or that the client has left."""
        cycle = self.cycle
        while not cycle.has_event():
            self._connection.want_body()
            if self._arrived is None:
                self._arrived = trio.Event()
            await self._arrived.wait()
        await trio.lowlevel.checkpoint_if_cancelled()
        return cycle.next_event()

    async def send(self, event: Mapping[str, Any]) -> None:
        """Write what the application says; wait while the client does not read."""
        cycle, transport = self.cycle, self._connection.transport
        while transport.is_full and not transport.is_gone:
            await transport.drain()
        self._sends += 1
        if cycle.disconnected or not self._sends & _CHECKPOINT_MASK:
            # Who sends on and on must let others run, and be cancelled.
            await trio.lowlevel.checkpoint()
        if cycle.disconnected or transport.is_gone:
            raise Gone("the client is gone, nothing can be sent to it")
        cycle.keep_alive = self._connection.may_be_asked_again()
        data = cycle.send(event)
        if event["type"] == "http.response.start":
            self._connection.log_response(self._scope, event["status"])
        if data:
            transport.write(data)
        if cycle.complete:
            self._connection.answered(cycle)
