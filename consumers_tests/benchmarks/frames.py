"""Frames as a load generator needs them: built once, compared, hardly ever parsed."""

import json
import socket
import zlib
from typing import NamedTuple

from consumers_tests.benchmarks.jobs import Plan, Side

TEXT, CLOSE = 1, 8
FINAL, COMPRESSED = 0x80, 0x40  # bits of a frame's first byte
# RFC 6455 5.3 wants a new random mask per frame. A fixed one costs the server the
# same to undo and lets the client send the same bytes again and again.
MASK = b"\x37\xfa\x21\x3d"
# The key and answer of the example handshake in RFC 6455 1.3.
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
BYE = (1000).to_bytes(2, "big")
OFFER = "permessage-deflate; client_max_window_bits"  # as browsers put it
TAIL = b"\x00\x00\xff\xff"  # what RFC 7692 7.2.1 takes off a compressed message
# Smaller than what any server asks for: what it gets reaches back within one message.
WINDOW_BITS = 9


class WrongReplyError(Exception):
    """The server answered something else than the workload expects."""


class Opened(NamedTuple):
    """A connection whose handshake is done."""

    sock: socket.socket

    compressed: bool
    """Whether both sides may compress."""


def client_frame(
    payload: bytes, opcode: int = TEXT, *, compressed: bool = False
) -> bytes:
    """Return one whole masked frame.

    A compressed one refers to nothing before it, so that it can be sent again, by any
    connection.
    """
    first = FINAL | opcode
    if compressed:
        first |= COMPRESSED
        deflate = zlib.compressobj(wbits=-WINDOW_BITS)
        payload = deflate.compress(payload) + deflate.flush(zlib.Z_SYNC_FLUSH)
        payload = payload.removesuffix(TAIL)
    masked = bytes(byte ^ MASK[i % 4] for i, byte in enumerate(payload))
    return bytes([first]) + _length(len(payload), 0x80) + MASK + masked


def server_frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """Return the same frame as a server sends it, not masked."""
    return bytes([FINAL | opcode]) + _length(len(payload), 0) + payload


def _length(size: int, mask_bit: int) -> bytes:
    if size < 126:
        return bytes([mask_bit | size])
    if size < 65536:
        return bytes([mask_bit | 126]) + size.to_bytes(2, "big")
    return bytes([mask_bit | 127]) + size.to_bytes(8, "big")


def request_of(port: int, plan: Plan) -> bytes:
    """Return the opening handshake that a plan asks for."""
    return request(port, plan.path, plan.subprotocol, compress=plan.compress)


def request(
    port: int, path: str, subprotocol: str | None = None, *, compress: bool = False
) -> bytes:
    """Return an opening handshake."""
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {KEY}",
        "Sec-WebSocket-Version: 13",
    ]
    if subprotocol:
        lines.append(f"Sec-WebSocket-Protocol: {subprotocol}")
    if compress:
        lines.append(f"Sec-WebSocket-Extensions: {OFFER}")
    return "\r\n".join([*lines, "", ""]).encode()


def accepted(head: bytes) -> bool:
    """Tell if the response accepts the handshake of `request`."""
    return head.startswith(b"HTTP/1.1 101 ") and ACCEPT in head


def connect(port: int, plan: Plan) -> Opened:
    """Open a WebSocket connection, blocking for at most 10 seconds.

    Says hello and reads the messages of welcome, where the plan has such.

    Raises:
        WrongReplyError: The server refused the handshake.
    """
    sock = socket.create_connection(("127.0.0.1", port), timeout=10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(request_of(port, plan))
    head = b""
    while b"\r\n\r\n" not in head:
        chunk = sock.recv(4096)
        head += chunk
        if not chunk or not head.startswith(b"HTTP/1.1 101 "[: len(head)]):
            break
    head, _, rest = head.partition(b"\r\n\r\n")
    if not accepted(head):
        sock.close()
        raise WrongReplyError(f"expected to be accepted, got {head[:200]!r}")
    if plan.hello:
        sock.sendall(client_frame(plan.hello.encode()))
    if plan.welcome:
        read_frames(sock, plan.welcome, rest)
    return Opened(sock, b"permessage-deflate" in head)


def connect_all(side: Side) -> list[Opened]:
    """Open all connections that the plan asks for, the servers' in turns.

    Raises:
        WrongReplyError: A server refused the handshake.
    """
    ports = [server.port for server in side.servers]
    return [
        connect(ports[n % len(ports)], side.plan) for n in range(side.plan.connections)
    ]


def read_frames(sock: socket.socket, count: int, data: bytes = b"") -> bytes:
    """Read so many frames, and return the last whole; no more are on their way.

    Raises:
        WrongReplyError: The connection ended, or they are not whole texts.
    """
    begin = 0
    for left in reversed(range(count)):
        while not (span := _span(data, begin)):
            chunk = sock.recv(65536)
            if not chunk:
                raise WrongReplyError(f"expected a reply, got the end after {data!r}")
            data += chunk
        end = span[1]
        if data[begin] != FINAL | TEXT or (not left and len(data) != end):
            got = data[begin : begin + 200]
            raise WrongReplyError(f"expected one text frame, got {got!r}")
        if left:
            begin = end
    return data[begin:]


def _span(data: bytes, at: int) -> tuple[int, int] | None:
    """Return where a frame's payload begins and ends; None before it is whole."""
    if len(data) - at < 2:
        return None
    size, wide = data[at + 1], 0
    if size > 125:
        wide = 2 if size == 126 else 8
        size = int.from_bytes(data[at + 2 : at + 2 + wide], "big")
    begin = at + 2 + wide
    return (begin, begin + size) if len(data) >= begin + size else None


def payload_of(frame: bytes) -> bytes:
    """Return what a server's whole frame carries."""
    span = _span(frame, 0)
    assert span is not None
    return frame[slice(*span)]


def first_reply(side: Side) -> bytes:
    """Send one message on a connection of its own; return the reply's whole frame.

    Frameworks write JSON differently. So this reply is checked by what it says, and
    all others have to say it in the same way. This connection offers no compression.

    Raises:
        WrongReplyError: The reply is not what the application should answer.
    """
    plan = side.plan
    with connect(side.servers[0].port, plan.plain()).sock as sock:
        sock.sendall(client_frame(plan.body.encode()))
        reply = read_frames(sock, 1)
        sock.sendall(client_frame(BYE, CLOSE))
        while sock.recv(4096):
            pass
    got = payload_of(reply).decode()
    right = got == plan.body if plan.reply is None else json.loads(got) == plan.reply
    if not right:
        expected = repr(plan.reply or plan.body)
        raise WrongReplyError(f"expected {expected[:200]}, got {got[:200]!r}")
    return reply


class Replies:
    """What one connection may receive: the same frame, over and over.

    Comparing costs one `memcmp` per read, so every byte of every reply is checked.

    Args:
        frame: The reply, header included.
        window: How many replies can be on their way at once.
    """

    __slots__ = ("_at", "_size", "_stream", "received")

    def __init__(self, frame: bytes, window: int) -> None:
        self._size = len(frame)
        self._stream = frame * window + frame[:-1]
        self._at = 0  # bytes of an unfinished frame
        self.received = 0

    def feed(self, data: bytes) -> int:
        """Return how many replies these bytes complete.

        Raises:
            WrongReplyError: A reply differs, or there are more than the window.
        """
        at = self._at
        if not self._stream.startswith(data, at):
            expected = self._stream[at : at + len(data)]
            raise WrongReplyError(f"expected {expected[:200]!r}, got {data[:200]!r}")
        count, self._at = divmod(at + len(data), self._size)
        self.received += count
        return count


class CompressedReplies:
    """The same of a server that compresses: the bytes differ, what they say does not.

    Args:
        payload: What each reply says.
    """

    __slots__ = ("_inflate", "_payload", "_rest", "received")

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._rest = b""  # of an unfinished frame
        self._inflate = zlib.decompressobj(-15)
        self.received = 0

    def feed(self, data: bytes) -> int:
        """Return how many replies these bytes complete.

        Raises:
            WrongReplyError: A reply says something else.
        """
        data, at, count = self._rest + data, 0, 0
        while span := _span(data, at):
            payload = data[slice(*span)]
            if data[at] == FINAL | COMPRESSED | TEXT:
                payload = self._inflated(payload)
            elif data[at] != FINAL | TEXT:
                raise WrongReplyError(f"expected a text, got {data[at : at + 200]!r}")
            if payload != self._payload:
                expected = self._payload[:200]
                raise WrongReplyError(f"expected {expected!r}, got {payload[:200]!r}")
            at, count = span[1], count + 1
        self._rest = data[at:]
        self.received += count
        return count

    def _inflated(self, payload: bytes) -> bytes:
        try:
            return self._inflate.decompress(payload + TAIL)
        except zlib.error as error:
            raise WrongReplyError(f"expected compressed text, got {error}") from error
