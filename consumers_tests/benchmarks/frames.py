"""Frames as a load generator needs them: built once, compared, hardly ever parsed."""

import json
import socket

from consumers_tests.benchmarks.jobs import Side

TEXT, CLOSE = 1, 8
# RFC 6455 5.3 wants a new random mask per frame. A fixed one costs the server the
# same to undo and lets the client send the same bytes again and again.
MASK = b"\x37\xfa\x21\x3d"
# The key and answer of the example handshake in RFC 6455 1.3.
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
BYE = (1000).to_bytes(2, "big")


class WrongReplyError(Exception):
    """The server answered something else than the workload expects."""


def client_frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """Return one whole masked frame; the payload is below 64 KiB."""
    masked = bytes(byte ^ MASK[i % 4] for i, byte in enumerate(payload))
    return bytes([0x80 | opcode]) + _length(len(payload), 0x80) + MASK + masked


def server_frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """Return the same frame as a server sends it, not masked."""
    return bytes([0x80 | opcode]) + _length(len(payload), 0) + payload


def _length(size: int, mask_bit: int) -> bytes:
    if size < 126:
        return bytes([mask_bit | size])
    return bytes([mask_bit | 126]) + size.to_bytes(2, "big")


def request(port: int, path: str, subprotocol: str = "") -> bytes:
    """Return an opening handshake that offers no extension."""
    offer = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol else ""
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{offer}\r\n"
    ).encode()


def accepted(head: bytes) -> bool:
    """Tell if the response accepts the handshake of `request`."""
    return head.startswith(b"HTTP/1.1 101 ") and ACCEPT in head


def connect(port: int, path: str, subprotocol: str = "") -> socket.socket:
    """Open a WebSocket connection, blocking for at most 10 seconds.

    With a subprotocol, the server's first message is read, too.

    Raises:
        WrongReplyError: The server refused the handshake.
    """
    sock = socket.create_connection(("127.0.0.1", port), timeout=10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(request(port, path, subprotocol))
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
    if subprotocol:
        read_frame(sock, rest)
    return sock


def connect_all(side: Side) -> list[socket.socket]:
    """Open all connections that the plan asks for, the servers' in turns.

    Raises:
        WrongReplyError: A server refused the handshake.
    """
    ports = [server.port for server in side.servers]
    plan = side.plan
    return [
        connect(ports[n % len(ports)], plan.path, plan.subprotocol)
        for n in range(plan.connections)
    ]


def read_frame(sock: socket.socket, data: bytes = b"") -> bytes:
    """Read one whole frame, header included; it is the only one on its way.

    Raises:
        WrongReplyError: The connection ended, or the frame is none of a plain text.
    """
    while len(data) < 4 or len(data) < _size(data):
        chunk = sock.recv(65536)
        if not chunk:
            raise WrongReplyError(f"expected a reply, got the end after {data!r}")
        data += chunk
    if data[0] != 0x80 | TEXT or len(data) != _size(data):
        raise WrongReplyError(f"expected one text frame, got {data[:200]!r}")
    return data


def _size(data: bytes) -> int:
    """Size of the frame that starts here, header included."""
    length = data[1]
    return 4 + int.from_bytes(data[2:4], "big") if length == 126 else 2 + length


def payload_of(frame: bytes) -> bytes:
    """Return what a server's whole frame carries."""
    return frame[4:] if frame[1] == 126 else frame[2:]


def first_reply(side: Side) -> bytes:
    """Send one message on a connection of its own; return the reply's whole frame.

    Frameworks write JSON differently. So this reply is checked by what it says, and
    all others have to be the same bytes.

    Raises:
        WrongReplyError: The reply is not what the application should answer.
    """
    plan = side.plan
    with connect(side.servers[0].port, plan.path, plan.subprotocol) as sock:
        sock.sendall(client_frame(plan.body.encode()))
        reply = read_frame(sock)
        sock.sendall(client_frame(BYE, CLOSE))
        while sock.recv(4096):
            pass
    got = payload_of(reply).decode()
    right = got == plan.body if plan.reply is None else json.loads(got) == plan.reply
    if not right:
        raise WrongReplyError(f"expected {plan.reply or plan.body!r}, got {got!r}")
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
