"""`Link`: a WebSocket connection over TCP or TLS, on asyncio and on trio alike.

The protocol itself is that of the ``websockets`` package, which does no I/O; here it
meets anyio's streams.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
from anyio import (
    BrokenResourceError,
    ClosedResourceError,
    EndOfStream,
    aclose_forcefully,
    connect_tcp,
    create_task_group,
)
from anyio.abc import ByteStream
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidURI
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI, parse_uri

from consumers.clock import move_on_after
from consumers.close import refusal_code
from consumers.errors import ConfigurationError, shorten

from .transport import Ended

__all__ = ["MAX_SIZE", "Link", "check_url", "open_link"]

MAX_SIZE: Final = 1024 * 1024
"""Bytes that a message of the server may have, unless told otherwise."""

_GOING_AWAY: Final = 1001
_BROKEN: Final = 1006
_NO_TLS: Final = 1015
_HANGING_UP: Final = 1.0
"""Seconds that the last bytes may take."""
_CHUNK: Final = 65_536
_SAID: Final = 400
"""Characters that are shown of what a refusal says."""
_DATA: Final = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)
_FAILURES: Final = (
    EndOfStream,
    BrokenResourceError,
    ClosedResourceError,
    OSError,  # ssl.SSLError is one
)
_NO_NETWORK: Final = frozenset(
    {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL}
)


def check_url(url: str) -> WebSocketURI:
    """Return a URL in its parts.

    Raises:
        ConfigurationError: It is no WebSocket URL.
    """
    try:
        return parse_uri(url)
    except (InvalidURI, ValueError) as error:
        scheme, found, _ = url.partition("://")
        instead = {"http": "ws", "https": "wss"}.get(scheme)
        hint = str(error)
        if instead:
            hint = f"write '{instead}{url.removeprefix(scheme)}'"
        elif not found and url[:1].isalnum():
            hint = f"write 'ws://{url}'"
        raise ConfigurationError(
            f"a URL must be ws:// or wss:// with a host, got {url!r}; {hint}"
        ) from error


class _Write:
    """One turn of the task that writes."""

    def __init__(self) -> None:
        self.done = anyio.Event()
        self.failed = False


class Link:
    """One open WebSocket connection; a `Transport`.

    One task writes, and the pongs and the close of the protocol pass through it too:
    who reads never waits for a server that reads nothing.
    """

    def __init__(self, stream: ByteStream, protocol: ClientProtocol) -> None:
        self._stream = stream
        self._protocol = protocol
        self._parts: list[bytes] = []
        self._is_text = False
        self._messages: deque[str | bytes] = deque()
        self._wake = anyio.Event()
        self._next = _Write()
        self._stopped = False

    @property
    def subprotocol(self) -> str | None:
        """What the server chose of what it was offered."""
        return self._protocol.subprotocol

    async def send(self, message: str | bytes) -> None:
        """Send a message and wait until the operating system has taken it.

        Cancelling is safe for the connection; the message may be sent all the same.

        Raises:
            Ended: The connection has ended, and the message is not sent.
        """
        if self._protocol.state is not State.OPEN:
            raise self._end()
        if isinstance(message, str):
            self._protocol.send_text(message.encode())
        else:
            self._protocol.send_binary(message)
        write = await self._flush()
        if write.failed:
            raise self._end()

    async def receive(self) -> str | bytes:
        """Wait for the next message. Cancelling is safe.

        Raises:
            Ended: The connection has ended, and all that came was received.
        """
        self._take_events()  # what came with the handshake's answer
        while not self._messages:
            if self._is_over:
                await self._flush()
                raise self._end()
            try:
                data = await self._stream.receive(_CHUNK)
            except _FAILURES:
                self._protocol.receive_eof()
            else:
                # Not where a write has failed meanwhile: that was the end.
                if not self._protocol.reader.eof:
                    self._protocol.receive_data(data)
            self._take_events()
        return self._messages.popleft()

    async def close(self, code: int, reason: str) -> None:
        """Send a close frame; the server's answer ends what :meth:`receive` yields."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code, reason)
            await self._flush()

    async def write(self) -> None:
        """Write what is to be written, until cancelled."""
        write = self._next
        try:
            while True:
                await self._wake.wait()
                self._wake = anyio.Event()
                write, self._next = self._next, _Write()
                if not await self._write_all():
                    write.failed = True
                write.done.set()
        finally:
            self._stopped = True
            for each in (write, self._next):
                each.failed = True
                each.done.set()

    async def drop(self) -> None:
        """Write what is left, and a close frame if there was none; end the connection.

        Takes a second at most, also in a cancelled task.
        """
        with anyio.CancelScope(shield=True):
            with move_on_after(_HANGING_UP):
                if self._protocol.state is State.OPEN:
                    self._protocol.send_close(_GOING_AWAY)
                await self._write_all()
            await aclose_forcefully(self._stream)

    async def _write_all(self) -> bool:
        # An empty part stands for the end of the stream, which is closed anyway.
        data = b"".join(self._protocol.data_to_send())
        try:
            if data:
                await self._stream.send(data)
        except _FAILURES:
            # Whoever receives learns of it in this way, and of what came before.
            await aclose_forcefully(self._stream)
            self._protocol.receive_eof()
            return False
        return True

    @property
    def _is_over(self) -> bool:
        protocol = self._protocol
        return (
            protocol.state is State.CLOSED
            or protocol.close_rcvd is not None
            or protocol.parser_exc is not None
        )

    async def _flush(self) -> _Write:
        write = self._next
        if not self._stopped:
            self._wake.set()
            await write.done.wait()
        return write

    def _take_events(self) -> None:
        for event in self._protocol.events_received():
            self._take(event)
        if self._protocol.writes:
            self._wake.set()

    def _take(self, event: Any) -> None:
        if not isinstance(event, Frame) or event.opcode not in _DATA:
            return
        if event.opcode is not Opcode.CONT:
            self._is_text = event.opcode is Opcode.TEXT
        self._parts.append(bytes(event.data))
        if not event.fin:
            return
        data = b"".join(self._parts)
        self._parts.clear()
        try:
            self._messages.append(data.decode() if self._is_text else data)
        except UnicodeDecodeError as error:
            self._protocol.fail(1007, "text must be UTF-8")
            self._protocol.parser_exc = error

    def _end(self) -> Ended:
        protocol = self._protocol
        if protocol.close_rcvd is not None:
            return Ended(protocol.close_rcvd.code, protocol.close_rcvd.reason)
        broke = isinstance(protocol.parser_exc, EOFError)
        if protocol.close_sent is not None and protocol.parser_exc and not broke:
            return Ended(protocol.close_sent.code, protocol.close_sent.reason)
        return Ended(_BROKEN, "the connection broke")


@asynccontextmanager
async def open_link(
    url: str,
    subprotocols: Sequence[str] = (),
    headers: Mapping[str, str] | None = None,
    *,
    ssl_context: ssl.SSLContext | None = None,
    max_size: int | None = MAX_SIZE,
) -> AsyncIterator[Link]:
    """Open a connection; the end of the block drops it, after what was written.

    Takes as long as the server lets it wait: callers set a deadline.

    Raises:
        Ended: The server can't be reached, or has refused.
        ConfigurationError: The URL is none.
    """
    uri = check_url(url)
    protocol = ClientProtocol(
        uri,
        subprotocols=[Subprotocol(name) for name in subprotocols] or None,
        max_size=max_size,
    )
    stream = await _connect(uri, ssl_context)
    raised: Exception | None = None
    link = Link(stream, protocol)
    try:
        await _shake_hands(stream, protocol, headers or {})
        async with create_task_group() as tasks:
            tasks.start_soon(link.write)
            try:
                yield link
            except Exception as error:
                raised = error  # which the task group would wrap
            finally:
                tasks.cancel_scope.cancel()
    finally:
        await link.drop()
    if raised is not None:
        raise raised


async def _connect(uri: WebSocketURI, context: ssl.SSLContext | None) -> ByteStream:
    try:
        if not uri.secure:
            return await connect_tcp(uri.host, uri.port)
        return await connect_tcp(
            uri.host,
            uri.port,
            tls=True,
            ssl_context=context,
            tls_hostname=uri.host,
            tls_standard_compatible=False,
        )
    except ssl.SSLError as error:
        # What is no certificate's fault may pass: a proxy without a server behind it.
        trusted = not isinstance(error, ssl.SSLCertVerificationError)
        reason = f"can't speak TLS with {uri.host}:{uri.port}: {error}"
        raise Ended(_BROKEN if trusted else _NO_TLS, reason) from error
    except (OSError, BrokenResourceError, EndOfStream) as error:
        reason = f"can't reach {uri.host}:{uri.port}: {error}"
        raise Ended(_BROKEN, reason, offline=_is_offline(error)) from error


def _is_offline(error: BaseException | None) -> bool:
    """Tell whether all that went wrong looks like a machine without a network."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_offline(each) for each in error.exceptions)
    if isinstance(error, socket.gaierror):
        return True
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _NO_NETWORK
    return error is not None and _is_offline(error.__cause__)


async def _shake_hands(
    stream: ByteStream, protocol: ClientProtocol, headers: Mapping[str, str]
) -> None:
    request = protocol.connect()
    for name, value in headers.items():
        request.headers.pop(name, None)
        request.headers[name] = value
    protocol.send_request(request)
    try:
        await stream.send(b"".join(protocol.data_to_send()))
        while protocol.state is State.CONNECTING and protocol.handshake_exc is None:
            try:
                protocol.receive_data(await stream.receive(_CHUNK))
            except EndOfStream:
                protocol.receive_eof()
    except (BrokenResourceError, ClosedResourceError, OSError) as error:
        raise Ended(_BROKEN, "the connection broke in the handshake") from error
    if protocol.handshake_exc is None:
        return
    for event in protocol.events_received():
        if isinstance(event, Response) and event.status_code != 101:
            raise Ended(
                refusal_code(event.status_code),
                f"the handshake was refused with status {event.status_code}"
                f"{_why(event.body)}",
                _retry_after(event.headers.get("Retry-After", "")),
            )
    if isinstance(protocol.handshake_exc.__cause__, EOFError):
        raise Ended(_BROKEN, "the connection broke in the handshake")
    raise Ended(1002, str(protocol.handshake_exc))


def _why(body: bytes | bytearray | None) -> str:
    """Return what a refusal says of itself: untrusted, so nothing for a terminal."""
    return f": {shorten(bytes(body).decode(errors='replace'), _SAID)}" if body else ""


def _retry_after(value: str) -> float | None:
    return float(value) if value.isascii() and value.isdigit() else None
