"""A client's side as bytes, right or wrong."""

from __future__ import annotations

import socket
import struct
import zlib
from contextlib import suppress
from itertools import repeat

from consumers_tests.server.live import PATIENCE, Server, handshake

__all__ = [
    "BINARY",
    "CLOSE",
    "CONTINUATION",
    "PING",
    "TEXT",
    "bomb",
    "frame",
    "opened",
    "push",
]

CONTINUATION, TEXT, BINARY, CLOSE, PING = 0x0, 0x1, 0x2, 0x8, 0x9


def frame(
    opcode: int, payload: bytes = b"", final: bool = True, compressed: bool = False
) -> bytes:
    """Return a frame, masked with zeros, which leave the payload as it is."""
    first = opcode | 0x80 * final | 0x40 * compressed
    if len(payload) < 126:
        head = struct.pack("!BB", first, 0x80 | len(payload))
    elif len(payload) < 65536:
        head = struct.pack("!BBH", first, 0xFE, len(payload))
    else:
        head = struct.pack("!BBQ", first, 0xFF, len(payload))
    return head + bytes(4) + payload


def bomb(size: int) -> bytes:
    """Return a compressed message of so many zeros."""
    made = zlib.compressobj(9, wbits=-15)
    piece = bytes(1 << 20)
    packed = b"".join(made.compress(piece) for _ in range(size >> 20))
    packed += made.flush(zlib.Z_SYNC_FLUSH)
    return frame(BINARY, packed[:-4], compressed=True)


def opened(server: Server, path: str = "/echo", **headers: str) -> socket.socket:
    """Open a WebSocket without anything of a client's own."""
    sock = server.raw(handshake(path, **headers))
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += sock.recv(1)
    assert head.startswith(b"HTTP/1.1 101 ")
    return sock


def push(sock: socket.socket, data: bytes, times: int) -> int:
    """Send the same again and again, until it is not taken any more.

    Returns:
        How many bytes were taken; those in the buffers of the system among them.
    """
    taken = 0
    sock.settimeout(0.5)
    with suppress(OSError):
        for piece in repeat(data, times):
            taken += sock.send(piece)
    sock.settimeout(PATIENCE)
    return taken
