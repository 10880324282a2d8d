"""One WebSocket on asyncio: ASGI's receive and send, on a transport and the engine.

What is written, and how whoever sends waits, is `asyncio_writing`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import Any, Final

from consumers.server.asyncio_writing import MORE, SMALL, Shared, Writing
from consumers.server.exchange import (
    NO_CONTENT,
    OPEN,
    Event,
    Exchange,
    Settings,
    Stage,
)
from consumers.server.frames import TEXT_HEADERS, Frames, ping_frame, text_frame
from consumers.server.pacing import LONG

__all__ = ["Connection", "PeerGone"]

_BEHIND: Final = 64 * 1024
"""Bytes that may come for an application that is behind before reading pauses."""

_EARLY: Final = 64 * 1024
"""Bytes that a client may send before its handshake is answered."""

_NOTHING_YET: Final = Exchange(None, Settings(0))
"""Of all whose request is yet to be read: there is nobody to tell that it is over."""

_PING: Final = ping_frame()
_GONE: Final = "the client is gone, nothing can be sent to it"


class PeerGone(OSError):
    """Sending to a peer that is gone. ASGI asks for an ``OSError``."""


class Connection(Writing):
    """One WebSocket, from the moment that its request was read."""

    __slots__ = (
        "_behind",
        "_early",
        "_exchange",
        "_frames",
        "_reading",
        "_ready",
        "_waiter",
        "shares",
    )

    def __init__(self, shared: Shared) -> None:
        """Begin without a transport."""
        super().__init__(shared)
        self._exchange = _NOTHING_YET
        self._frames: Frames | None = None  # once it is open
        self._early = b""
        # What the application has to receive: the last one comes first.
        self._ready: list[dict[str, Any]] = []
        self._waiter: asyncio.Future[None] | None = None  # of who receives
        self._reading = True  # reading is not paused
        self._behind = 0  # bytes that came while nobody received
        self.shares: Hashable | None = ()
        """Connections with the same value may be sent the same bytes; ``None``: each
        needs its own."""

    # -- asyncio.Protocol -------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Take what the peer sends."""
        frames = self._frames
        if frames is None:
            self._unopened(data)
            return
        frames.feed(data)
        if frames.replies or frames.ended or frames.pong is not None:
            self._attend(frames)
        if not frames.messages:
            if frames.lagging and frames.ended is None:
                self._pause_reading()
                self._wake()
                if self._exchange.stage is not OPEN:
                    self._shared.loop.call_soon(self._read_on)  # nobody receives
            return
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)
        else:
            # Nobody receives: the application is busy.
            self._behind += len(data)
        if (frames.lagging or self._behind > _BEHIND) and frames.ended is None:
            self._pause_reading()

    def _read_on(self) -> None:
        """Read what is left of what the peer has sent before its own close frame."""
        frames = self._frames
        if frames is not None and frames.lagging and not self.transport.is_closing():
            self._resume_reading()
            self.data_received(b"")

    def _unopened(self, data: bytes) -> None:
        # The client may not send yet; what came with the answer is kept.
        self._early += data
        if len(self._early) > _EARLY:
            self.transport.abort()

    def eof_received(self) -> None:
        """Tell the application that the peer has left without a word."""
        self._exchange.lost()
        self._ended()
        self._hang_up()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the application, and whoever waits."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._exchange.lost()
        self._first = self._more = None
        self._ended()

    def resume_writing(self) -> None:
        """Let senders go on, and read again what was not read because of them."""
        super().resume_writing()
        if not self._reading:
            # Its pongs are not read, but what is sent to it is.
            self._shared.keepalive.answered(self)
            if self._waiter is not None:
                self._resume_reading()

    # -- receiving --------------------------------------------------------------------

    async def receive(self) -> Event:
        """Return the application's next event."""
        exchange = self._exchange
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
            if not self._paused:
                self._resume_reading()
            waiter = self._waiter
            if waiter is not None and not waiter.done():
                # Two tasks receive. Cancelling one must not reach the other.
                await asyncio.wait((waiter,))
                continue
            self._waiter = waiter = self._shared.loop.create_future()
            self._pace.is_alone = False
            await waiter

    def _pause_reading(self) -> None:
        if self._reading:
            self._reading = False
            self.transport.pause_reading()

    def _resume_reading(self) -> None:
        self._behind = 0
        if not self._reading:
            self._reading = True
            self.transport.resume_reading()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _attend(self, frames: Frames) -> None:
        """Do what frames other than messages ask for."""
        exchange = self._exchange
        if exchange.stage is Stage.OVER:
            frames.replies.clear()  # there is nobody to read them
            return
        if frames.pong is not None:
            # Any one will do: the answer may be followed by pongs that nobody asked
            # for, and whoever sends those is alive too.
            self._shared.keepalive.answered(self)
            frames.pong = None
        if frames.replies:
            self.flush()
            self._write(b"".join(frames.replies))
            frames.replies.clear()
            if self._paused:
                # It pings, and does not read the answers: nothing more is read of it.
                self._pause_reading()
        ended = frames.ended
        if ended is None:
            return
        exchange.ended(ended)
        self._ended()
        if ended.failed and self.transport.can_write_eof():
            # What the client goes on sending is read and dropped: were the connection
            # cut with some of that unread, our close frame might not arrive.
            self._set_deadline()
            self.transport.write_eof()
            self._resume_reading()
        else:
            self._hang_up()

    # -- sending ----------------------------------------------------------------------

    async def send(self, event: Event) -> None:
        """Send what the application says; wait while the peer's buffers are full."""
        exchange = self._exchange
        if event["type"] == "websocket.send" and exchange.stage is OPEN:
            while not self.write(event):
                if exchange.stage is not OPEN:
                    raise PeerGone(_GONE)
                await (self._writable() if self._paused else self._turn())
            return
        await self._send_other(exchange, event)

    async def _send_other(self, exchange: Exchange, event: Event) -> None:
        stage = exchange.stage
        if stage is OPEN and event["type"] == "websocket.close":
            code, reason = event.get("code"), event.get("reason") or ""
            self._close(1000 if code is None else code, reason)
            return
        while self._paused and stage < OPEN:
            await self._writable()
            stage = exchange.stage
        if stage > OPEN:
            raise PeerGone(_GONE)
        data = exchange.sent(event)
        if data:
            self._write(data)
        if exchange.stage is OPEN:
            self._opened(exchange)
        elif exchange.stage is Stage.OVER:
            self._finish(b"")
        if stage is Stage.HANDSHAKE:
            self._answered(event)

    def _opened(self, exchange: Exchange) -> None:
        frames = self._frames = exchange.frames
        assert frames is not None
        if frames.deflate is not None:
            self.shares = frames.deflate.shared
        self._shared.keepalive.watch(self)
        early, self._early = self._early, b""
        if early:
            self.data_received(early)

    def _answered(self, event: Event) -> None:
        """The application has answered the handshake with this."""

    # -- the extension: see `consumers.queues.direct` ----------------------------------

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
        text = event.get("text")
        content: Any = event.get("bytes") if text is None else text
        if content is None:
            raise RuntimeError(NO_CONTENT)
        self._spare = spare = self._spare - 1
        if (spare < 0 or len(content) >= LONG) and (
            self._paused or not self._takes(len(content))
        ):
            return False
        if text is None:
            return self.write_data(content, False)
        return self.write_data(text.encode(), True)

    def write_data(self, data: bytes, is_text: bool) -> bool:
        """Send a message, unless it has to wait; a text comes encoded."""
        frames = self._frames
        if self._paused or frames is None or self._exchange.stage is not OPEN:
            return False
        if is_text and frames.deflate is None:
            size = len(data)  # `text_frame`, written out for what is common
            frame = TEXT_HEADERS[size] + data if size < 126 else text_frame(data)
        else:
            frame = frames.data(data, is_text)
        if self._ready or frames.messages:
            # More input waits: the replies to all of it can share a write.
            more = self._more
            if more is not None and len(more) < MORE and len(frame) < SMALL:
                more.append(frame)
            else:
                self.gather(frame)
        elif self._first is not None:
            self.gather(frame)
            self.flush()
        else:
            self._write(frame)
        return True

    def frame(self, event: Event) -> bytes:
        """Return the frame of a ``websocket.send`` event, for all that share it."""
        return self._exchange.message(event)

    def post(self, frame: bytes) -> bool:
        """Write a ready frame without waiting; tell whether there was room for it."""
        if self._paused or self._exchange.stage is not OPEN:
            return False
        # `gather`, written out: each member of each publication passes here.
        if self._first is not None or len(frame) >= SMALL:
            self.gather(frame)
            return True
        self._first = frame
        cork = self._shared.cork
        held = cork.held
        if held:
            held.append(self)
        else:
            cork.hold(self)
        return True

    # -- keepalive, and the end -------------------------------------------------------

    def ping(self) -> None:
        """Send a ping."""
        self.flush()
        self._write(_PING)

    def not_answered(self) -> None:
        """Drop a peer that has not answered a ping in time."""
        exchange, frames = self._exchange, self._frames
        assert frames is not None
        if not self._paused and (frames.lagging or not self._reading):
            # The answer may be there: the application is behind, and nothing is read.
            self._shared.keepalive.watch(self)
            return
        stalled = self.transport.get_write_buffer_size() > 0
        self.flush()
        # What came before it fell silent is received still.
        self._write(exchange.close(1011, "keepalive ping timeout", keep=True))
        exchange.lost()
        self._ended()
        if stalled:
            self.transport.abort()
        else:
            self._hang_up()

    def _close(self, code: int, reason: str, *, keep: bool = False) -> None:
        """Begin the closing handshake; see `Exchange.close`."""
        closing = self._exchange.close(code, reason, keep=keep)
        if not keep:
            self._ready.clear()
        self.flush()
        self._write(closing)
        self._set_deadline()
        self._ended()
        self._resume_reading()
        self._read_on()

    def _ended(self) -> None:
        """Wake whoever waits: nothing more is sent, nor received."""
        self._shared.keepalive.forget(self)
        self._wake()
        self._wake_writers()

    def _finish(self, data: bytes) -> None:
        """Write the last bytes, and end the connection."""
        if data:
            self._write(data)
        self._hang_up()
        self._ended()
