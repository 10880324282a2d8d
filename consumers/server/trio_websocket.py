"""A WebSocket on trio."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Final

import trio

from consumers.server.exchange import EXTENSION, NO_CONTENT, OPEN, Exchange, Stage
from consumers.server.frames import Frames, Handshake
from consumers.server.http1 import default_headers
from consumers.server.pacing import LONG, Paced
from consumers.server.trio_server import Server, target_of
from consumers.server.trio_transport import HIGH, Gone, Transport

__all__ = ["CLOSE_TIMEOUT", "WebSocket"]

CLOSE_TIMEOUT: Final = 10.0
"""Seconds that a client has to answer our close frame."""

_EARLY: Final = 64 * 1024
"""Bytes that a client may send before its handshake is answered."""


class WebSocket(Paced):
    """One WebSocket, from its handshake on.

    Frames are read as they come, by whoever serves the sockets; the application's task
    runs when it has something to receive. What comes while it does something else waits
    here, and beyond a bound in the kernel.
    """

    __slots__ = (
        "_behind",
        "_early",
        "_exchange",
        "_frames",
        "_owed",
        "_ready",
        "_scope",
        "_server",
        "_task",
        "_waits",
        "shares",
        "transport",
    )

    def __init__(
        self,
        server: Server,
        transport: Transport,
        scope: dict[str, Any],
        handshake: Handshake,
        early: bytes,
    ) -> None:
        super().__init__(server.loop.pace)
        self.transport = transport
        self._server = server
        self._exchange = Exchange(handshake, server.settings, default_headers())
        self._frames: Frames | None = None  # once it is open
        self._early = early  # what came before it was
        # What the application has to receive: the last one comes first.
        self._ready: list[dict[str, Any]] = [{"type": "websocket.connect"}]
        self._task: trio.lowlevel.Task | None = None  # the one that receives
        self._behind = 0  # bytes that came while nobody received
        self._owed = b""  # a pong that there was no room for
        self._waits = 0  # for the answer to the latest ping, an interval each
        self._scope: dict[str, Any] | None = scope  # for the log
        self.shares: Hashable | None = ()
        """Connections with the same value may be sent the same bytes; ``None``: each
        needs its own."""
        scope["extensions"][EXTENSION] = self
        transport.receiver = self
        transport.timer.set(None)
        server.connections.add(self)
        server.nursery.start_soon(self._run, scope)

    # -- what the transport tells ---------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Take frames."""
        frames = self._frames
        if frames is None:
            self._early += data
            if len(self._early) > _EARLY:
                self.transport.abort()
            return
        frames.feed(data)
        if frames.replies or frames.ended is not None:
            self._attend(frames)
        if frames.messages:
            task = self._task
            if task is not None:
                self._task = None
                trio.lowlevel.reschedule(task)
                return
            # Nobody receives: the application is busy.
            self._behind += len(data)
            if frames.lagging or self._behind > HIGH:
                self.transport.pause_reading()
        elif frames.lagging and frames.ended is None:
            self._behind += 1  # so that who receives resumes the reading
            self.transport.pause_reading()
            self._wake()
            if self._exchange.stage is not OPEN:
                self.transport.loop.turn_end.add(self._read_on)  # nobody receives

    def _read_on(self) -> None:
        """Read what is left of what the client has sent before its own close frame."""
        frames = self._frames
        if frames is not None and frames.lagging and not self.transport.is_gone:
            self._behind = 0
            self.transport.resume_reading()
            self.data_received(b"")

    def eof_received(self) -> None:
        """The client has left without a word."""
        self._exchange.lost()
        self.transport.close()
        self._wake()

    def has_room(self) -> None:
        """The client reads again."""
        if self._owed:
            self.transport.write(self._owed)
            self._owed = b""

    def lost(self) -> None:
        """The connection is over."""
        self._server.connections.discard(self)
        self._exchange.lost()
        self._wake()

    def timed_out(self) -> None:
        """Ping, or give up a client that has not answered in time."""
        frames, transport = self._frames, self.transport
        if frames is None or self._exchange.stage is not OPEN:
            transport.abort()
            return
        options = self._server.options
        interval, timeout = options.ws_ping_interval or 0.0, options.ws_ping_timeout
        if self._waits and timeout is not None:
            left = timeout - self._waits * interval
            if left > 0 and frames.pong is None:
                self._waits += 1
                transport.timer.set(min(interval, left))
                return
            # Where reading is paused, since the application is behind, the answer may
            # be among what was not read. Not so if that waits for the client to read.
            if frames.pong is None and (transport.is_reading or transport.is_full):
                transport.abort()
                return
            if interval > timeout:
                self._waits = 0
                transport.timer.set(interval - timeout)
                return
        frames.pong = None
        self._waits = 1
        transport.write(frames.ping())
        transport.timer.set(interval if timeout is None else min(interval, timeout))

    def shutdown(self) -> None:
        """Close with 1012: the server ends."""
        exchange = self._exchange
        if exchange.stage is OPEN:
            # What has come already was sent before the server was told to end.
            self._close(1012, "", keep=True)
        elif exchange.stage in (Stage.HANDSHAKE, Stage.DENYING):
            self._finish(exchange.refuse(503, b"The server is restarting.\n"))

    def _attend(self, frames: Frames) -> None:
        """Do what frames other than messages ask for."""
        transport = self.transport
        if frames.replies:
            if transport.is_full and frames.ended is None:
                # RFC 6455 5.5.3: of several pings the last one may be answered alone.
                # Who pings and reads nothing is not kept more answers.
                self._owed = frames.replies[-1]
            else:
                transport.write(b"".join(frames.replies))
            frames.replies.clear()
        ended = frames.ended
        if ended is not None and self._exchange.stage is not Stage.OVER:
            self._exchange.ended(ended)
            transport.close(linger=ended.failed)
            self._wake()

    # -- the application ------------------------------------------------------------

    async def _run(self, scope: dict[str, Any]) -> None:
        """Call the application, and end what it leaves open."""
        exchange = self._exchange
        returned = await self._server.call(scope, self.receive, self.send)
        if exchange.stage is OPEN:
            self._close(1000 if returned else 1011, "")
        elif exchange.stage in (Stage.HANDSHAKE, Stage.DENYING):
            self._finish(exchange.refuse(500, b"Internal Server Error"))
            self._log(500)

    async def receive(self) -> Mapping[str, Any]:
        """Return the application's next event. Cancelling is safe."""
        while True:
            event = self.take()
            if event is not None:
                return event
            frames = self._frames
            if frames is not None and frames.lagging:
                await trio.lowlevel.checkpoint()  # a flood is not all there is to do
                frames.feed(b"")
                self._attend(frames)
                continue
            if self._exchange.disconnect is not None:
                await trio.lowlevel.checkpoint()
                return self._exchange.disconnect
            self.transport.flush()
            if self._behind:
                self._behind = 0
                self.transport.resume_reading()
            if self._task is not None:
                raise RuntimeError(
                    "expected one task to receive, got a second one; receive in one "
                    "and hand on what it gets"
                )
            self._task = trio.lowlevel.current_task()
            self._pace.is_alone = False
            await trio.lowlevel.wait_task_rescheduled(self._give_up)

    def _give_up(self, _: Any) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED

    def _wake(self) -> None:
        if self._task is not None:
            trio.lowlevel.reschedule(self._task)
            self._task = None

    async def send(self, event: Mapping[str, Any]) -> None:
        """Send what the application says; wait while the client does not read.

        Cancelling while it waits takes the message back.
        """
        exchange, transport = self._exchange, self.transport
        if event["type"] != "websocket.send" or exchange.stage is not OPEN:
            await self._send_other(event)
            return
        while not self.write(event):
            if transport.is_gone or exchange.stage is not OPEN:
                await self._raise_gone()
            await (transport.drain() if transport.is_full else self._turn())

    async def _send_other(self, event: Mapping[str, Any]) -> None:
        exchange, transport = self._exchange, self.transport
        stage = exchange.stage
        if stage in (Stage.CLOSING, Stage.OVER) or transport.is_gone:
            await self._raise_gone()
        if stage is OPEN and event["type"] == "websocket.close":
            code, reason = event.get("code"), event.get("reason") or ""
            self._close(1000 if code is None else code, reason)
            return
        await transport.drain()
        if exchange.stage is Stage.OVER:  # the client has left meanwhile
            await self._raise_gone()
        data = exchange.sent(event)
        if data:
            transport.write(data)
        if stage is Stage.HANDSHAKE:
            accepted = {"websocket.accept": "[accepted]", "websocket.close": 403}
            self._log(accepted.get(event["type"]) or event.get("status"))
        if exchange.stage is OPEN:
            self._opened()
        elif exchange.stage is Stage.OVER:
            self._finish(b"")

    async def _raise_gone(self) -> None:
        # A loop that catches this and goes on must still let others run.
        await trio.lowlevel.checkpoint()
        raise Gone("the client is gone, nothing can be sent to it")

    def _opened(self) -> None:
        frames = self._frames = self._exchange.frames
        assert frames is not None
        if frames.deflate is not None:
            self.shares = frames.deflate.shared
        self.transport.timer.set(self._server.options.ws_ping_interval)
        early, self._early = self._early, b""
        if early:
            self.data_received(early)

    def _log(self, outcome: object) -> None:
        scope, self._scope = self._scope, None
        if scope is not None:
            self._server.log_access(
                scope["client"], '"WebSocket %s" %s', target_of(scope), outcome
            )

    # -- the extension: see `consumers.queues.direct` ----------------------------------

    def take(self) -> Mapping[str, Any] | None:
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

    def write(self, event: Mapping[str, Any]) -> bool:
        """Send a ``websocket.send`` event, unless it has to wait."""
        text = event.get("text")
        content: Any = event.get("bytes") if text is None else text
        if content is None:
            raise RuntimeError(NO_CONTENT)
        self._spare = spare = self._spare - 1
        if (spare < 0 or len(content) >= LONG) and (
            self.transport.is_full or not self._takes(len(content))
        ):
            return False
        if text is None:
            return self.write_data(content, False)
        return self.write_data(text.encode(), True)

    def write_data(self, data: bytes, is_text: bool) -> bool:
        """Send a message, unless it has to wait; a text comes encoded."""
        transport, frames = self.transport, self._frames
        if (
            transport.is_full
            or transport.is_gone
            or frames is None
            or self._exchange.stage is not OPEN
        ):
            return False
        frame = frames.data(data, is_text)
        if self._ready or frames.messages:
            # More input waits: the replies to all of it can share a write.
            transport.gather(frame)
        else:
            transport.write(frame)
        return True

    def frame(self, event: Mapping[str, Any]) -> bytes:
        """Return the frame of a ``websocket.send`` event, for all that share it."""
        return self._exchange.message(event)

    def post(self, frame: bytes) -> bool:
        """Write a ready frame without waiting; tell whether there was room for it."""
        transport = self.transport
        if transport.is_full or transport.is_gone or self._exchange.stage is not OPEN:
            return False
        transport.gather(frame)
        return True

    # -- the end --------------------------------------------------------------------

    def _close(self, code: int, reason: str, *, keep: bool = False) -> None:
        """Begin the closing handshake."""
        transport, frames = self.transport, self._frames
        assert frames is not None
        closing = self._exchange.close(code, reason, keep=keep)
        if not keep:
            self._ready.clear()
        transport.write(closing)
        transport.timer.set(CLOSE_TIMEOUT)
        self._behind = 0
        transport.resume_reading()
        self._read_on()
        self._wake()

    def _finish(self, data: bytes) -> None:
        """Write the last bytes, and end the connection."""
        if data:
            self.transport.write(data)
        self.transport.close(linger=True)
        self._wake()
