"""One connection, as the client's end of it."""

from __future__ import annotations

from types import UnionType
from typing import Any, Self, TypeVar, overload

from anyio.lowlevel import checkpoint
from starlette.datastructures import Headers

from consumers.close import CloseEvent, check_code, check_reason
from consumers.codecs import CODECS, codec_for
from consumers.errors import InvalidMessage
from consumers.shape import ANYTHING

from .link import Link, show
from .outcomes import Closed
from .settling import settle
from .transport import Event

__all__ = ["ClientConnection"]

T = TypeVar("T")

_SHOWN = 10
_NORMAL = frozenset({1000, 1001})


class ClientConnection:
    """An open connection, from ``async with client.connect(path) as ws``.

    Every wait ends after ``client.deadline`` seconds of real time with a
    ``TimeoutError`` that tells what was waited for, what came, and where the
    application waits; the connection can be used on. To wait for a shorter time, wrap
    the call in ``anyio.fail_after``. Cancelling any method is safe: no message is lost.

    What the application raised is raised in the test, once, by the first call that it
    leaves without an answer, or where the ``async with`` ends.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._transport = link.transport

    # The handshake's outcome.

    @property
    def accepted_subprotocol(self) -> str | None:
        """The subprotocol that the application chose, or ``None``."""
        return self._accepted.get("subprotocol")

    @property
    def response_headers(self) -> Headers:
        """The headers that the application accepted with."""
        return Headers(raw=[tuple(pair) for pair in self._accepted.get("headers", ())])

    @property
    def closed(self) -> CloseEvent | None:
        """How the connection ended, or ``None`` while it is open.

        A stalled client does not see that the server has closed.
        """
        return None if self._transport.stalled else self._transport.end

    @property
    def _accepted(self) -> Event:
        assert self._transport.accepted is not None
        return self._transport.accepted

    # Sending.

    async def send(self, message: Any) -> None:
        """Send ``str`` as text, ``bytes`` as bytes, and anything else as JSON text.

        Raises:
            Closed: The connection has ended.
            MessageNotEncodable: The message has no JSON form; the test's fault.
        """
        if isinstance(message, str):
            await self.send_text(message)
        elif isinstance(message, bytes | bytearray | memoryview):
            await self.send_bytes(bytes(message))
        else:
            await self.send_json(message)

    async def send_text(self, message: str) -> None:
        """Send a text message."""
        await self._send("text", message)

    async def send_bytes(self, message: bytes) -> None:
        """Send a binary message."""
        await self._send("bytes", message)

    async def send_json(self, message: Any) -> None:
        """Send JSON in a text message."""
        await self._send("json", message)

    async def send_msgpack(self, message: Any) -> None:
        """Send MessagePack in a binary message."""
        await self._send("msgpack", message)

    async def send_event(self, event: Event) -> None:
        """Give the application an event as it is: ``websocket.receive`` or any other.

        Raises:
            Closed: The connection has ended.
        """
        await checkpoint()
        if self._transport.end is not None and not self._transport.stalled:
            await self._link.raise_end("an open connection to send on")
        self._transport.client_sends(event)

    async def _send(self, codec: str, message: Any) -> None:
        event = dict(CODECS[codec].encode(message))
        event["type"] = "websocket.receive"
        await self.send_event(event)

    # Receiving.

    @overload
    async def receive(self, kind: None = None) -> str | bytes: ...
    @overload
    async def receive(self, kind: type[T]) -> T: ...
    @overload
    async def receive(self, kind: UnionType | Any) -> Any: ...
    async def receive(self, kind: Any = None) -> Any:
        """Wait for the next message.

        Args:
            kind: ``str`` or ``bytes`` for such a message as it is; any other type is
                decoded to, from JSON in a text message or MessagePack in a binary one.
                Without it the message is returned as it came, text or bytes.

        Raises:
            Closed: The connection has ended, and all that came was received.
            AssertionError: The message is not of this kind. It counts as received.
            TimeoutError: None came in time.
            RuntimeError: The client is stalled.
        """
        if kind is str:
            return await self.receive_text()
        if kind is bytes:
            return await self.receive_bytes()
        event = await self._link.next("a message")
        text = event.get("text")
        if kind is None:
            return event["bytes"] if text is None else text
        return _decode("msgpack" if text is None else "json", kind, event)

    async def receive_text(self) -> str:
        """Wait for the next message, which must be text; as :meth:`receive`."""
        message: str = _decode("text", None, await self._link.next("a text message"))
        return message

    async def receive_bytes(self) -> bytes:
        """Wait for the next message, which must be binary; as :meth:`receive`."""
        message: bytes = _decode(
            "bytes", bytes, await self._link.next("a binary message")
        )
        return message

    async def receive_json(self, kind: Any = None) -> Any:
        """Wait for the next message, which must be JSON text; as :meth:`receive`."""
        return _decode("json", kind, await self._link.next("a JSON message"))

    async def receive_msgpack(self, kind: Any = None) -> Any:
        """Wait for the next message, which must be MessagePack; as :meth:`receive`."""
        return _decode("msgpack", kind, await self._link.next("a MessagePack message"))

    async def receive_event(self) -> Event:
        """Wait for the next ``websocket.send`` event and return it as it was sent."""
        return await self._link.next("a message")

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str | bytes:
        try:
            return await self.receive()
        except Closed as closed:
            if closed.code in _NORMAL:
                raise StopAsyncIteration from None
            raise

    async def receive_nothing(self) -> None:
        """Wait until the application can do no more, and check that nothing came.

        Raises:
            AssertionError: A message came; it is not received by that.
            Closed: The connection has ended.
            TimeoutError: The application did not come to rest.
        """
        self._link.check_reading()
        with self._link.within("the application to come to rest"):
            await settle()
        if self._transport.unread:
            raise AssertionError(
                f"expected nothing, got {show(self._transport.unread)}"
            )
        if self._transport.end is not None:
            await self._link.raise_end("nothing")

    async def receive_close(self) -> CloseEvent:
        """Wait until the connection ends, and return how.

        Raises:
            AssertionError: A message came first; it is not received by that.
            TimeoutError: It did not end in time.
        """
        self._link.check_reading()
        await checkpoint()
        with self._link.within("a close"):
            while self._transport.end is None and not self._transport.unread:
                await self._transport.client_signal.wait()
        if self._transport.unread:
            raise AssertionError(
                f"expected a close, got {show(self._transport.unread)}"
            )
        assert self._transport.end is not None
        return self._transport.end

    # Ending, and faults.

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection. Does nothing if it has ended already.

        What was sent before is received first, and what the application sent can still
        be received.

        Raises:
            ValueError: The code may not travel, or the reason is too long.
        """
        check_code(code)
        check_reason(reason)
        await checkpoint()
        if self._transport.end is None:
            self._transport.client_closes(code, reason)

    async def drop(self) -> None:
        """Let the network fail: no close frame, the application learns 1006.

        Does nothing if the connection has ended already.
        """
        await checkpoint()
        if self._transport.end is None:
            self._transport.client_drops()

    async def stall(self, buffer: int = 4) -> None:
        """Stop to read, so that the application's ``send`` waits once buffers are full.

        Args:
            buffer: How many messages fit into the buffers on the way.
        """
        if buffer < 0:
            raise ValueError(f"a buffer must hold 0 or more messages, got {buffer!r}")
        await checkpoint()
        self._transport.stall(buffer)

    async def resume(self) -> None:
        """Read again after :meth:`stall`."""
        await checkpoint()
        self._transport.resume()


def _decode(codec: str, kind: Any, event: Event) -> Any:
    try:
        return codec_for(codec, kind).decoder(ANYTHING)(event)
    except InvalidMessage as error:
        wanted = codec if kind is None else f"{codec} of {kind!r}"
        raise AssertionError(
            f"expected a message in {wanted}, got {show([event])}; {error}"
        ) from error
