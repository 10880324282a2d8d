"""What bad clients send: malformed handshakes, and bytes without a meaning."""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from consumers_tests.server.live import PATIENCE, handshake

RESET = struct.pack("ii", 1, 0)
"""For SO_LINGER: closing sends a reset, as a crashed client's kernel does."""

_TEXT_FRAME: Final = b"\x81\x85\x00\x00\x00\x00hello"
_GOOD: Final = handshake()

ENDED_A_SERVER: Final[dict[str, bytes]] = {
    "subprotocol not ASCII": handshake(Sec_WebSocket_Protocol="ch\xe4t"),
    "extensions not ASCII": handshake(Sec_WebSocket_Extensions="permessage-d\xe9flate"),
    "window bits not a number": handshake(
        Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits=abc"
    ),
    "frame with the handshake": _GOOD + _TEXT_FRAME,
    "body with the handshake": handshake(Content_Length="5") + b"hello",
    "subprotocol of the application's own": handshake("/unoffered"),
}
"""``{name: bytes}``, each of which ended one of the known servers."""

HANDSHAKES: Final[dict[str, bytes]] = {
    **ENDED_A_SERVER,
    "nothing": b"",
    "one byte": b"G",
    "line end only": b"\r\n\r\n",
    "no version of HTTP": b"GET /echo\r\n\r\n",
    "HTTP/1.0": _GOOD.replace(b"HTTP/1.1", b"HTTP/1.0"),
    "HTTP/9.9": _GOOD.replace(b"HTTP/1.1", b"HTTP/9.9"),
    "HTTP/2 by prior knowledge": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00" * 30,
    "upgrade to h2c": handshake(
        Upgrade="h2c", Connection="Upgrade, HTTP2-Settings", HTTP2_Settings="!!"
    ),
    "POST": _GOOD.replace(b"GET", b"POST"),
    "method not ASCII": _GOOD.replace(b"GET", b"G\xcbT"),
    "no host": handshake(Host=None),
    "no key": handshake(Sec_WebSocket_Key=None),
    "empty key": handshake(Sec_WebSocket_Key=""),
    "key not base64": handshake(Sec_WebSocket_Key="***"),
    "key not ASCII": handshake(Sec_WebSocket_Key="\xff" * 24),
    "two keys": handshake(Sec_Websocket_Key="dGhlIHNhbXBsZSBub25jZQ=="),
    "long key": handshake(Sec_WebSocket_Key="A" * 4000),
    "no version": handshake(Sec_WebSocket_Version=None),
    "version 8": handshake(Sec_WebSocket_Version="8"),
    "version not a number": handshake(Sec_WebSocket_Version="\xb2"),
    "no upgrade": handshake(Upgrade=None),
    "upgrade to something else": handshake(Upgrade="carrier-pigeon"),
    "upgrade not ASCII": handshake(Upgrade="w\xebbsocket"),
    "no connection": handshake(Connection=None),
    "connection not ASCII": handshake(Connection="Upgr\xe4de"),
    "empty subprotocol": handshake(Sec_WebSocket_Protocol=",,,"),
    "ten thousand subprotocols": handshake(Sec_WebSocket_Protocol="a," * 5000),
    "extension without a name": handshake(Sec_WebSocket_Extensions="; =;,"),
    "unknown extension": handshake(Sec_WebSocket_Extensions="x; y=1"),
    "window bits too large": handshake(
        Sec_WebSocket_Extensions="permessage-deflate; server_max_window_bits=99"
    ),
    "chunked body": handshake(Transfer_Encoding="chunked") + b"5\r\nhello\r\n0\r\n\r\n",
    "bad chunk": handshake(Transfer_Encoding="chunked") + b"zz\r\n",
    "negative body": handshake(Content_Length="-1"),
    "path not ASCII": _GOOD.replace(b"/echo", "/écho".encode()),
    "path with a broken escape": handshake("/echo?%zz%ff%00"),
    "header without a colon": _GOOD.replace(b"Host:", b"Host"),
    "header with a null": handshake(X="a\x00b"),
    "folded header": _GOOD.replace(b"\r\n\r\n", b"\r\n folded\r\n\r\n"),
    "headers without an end": _GOOD[:-2] + b"X: " + b"a" * 100_000,
    "frame that is not masked": _GOOD + b"\x81\x05hello",
    "frame with an unknown opcode": _GOOD + b"\x83\x80\x00\x00\x00\x00",
    "frame of an impossible length": _GOOD + b"\x82\xff" + b"\xff" * 8 + b"\x00" * 4,
    "close of one byte": _GOOD + b"\x88\x81\x00\x00\x00\x00\x03",
    "text that is not UTF-8": _GOOD + b"\x81\x82\x00\x00\x00\x00\xff\xfe",
    "fragmented ping": _GOOD + b"\x09\x80\x00\x00\x00\x00",
    "continuation of nothing": _GOOD + b"\x80\x80\x00\x00\x00\x00",
    "TLS": bytes.fromhex("160301020001 0001fc0303".replace(" ", "")) + b"\x00" * 64,
}
"""``{name: bytes}``: all of them, those too that nobody has died of yet."""


def random_bytes(count: int, seed: int) -> list[bytes]:
    """Return the bytes of so many connections, the same for the same seed.

    A third is nothing but noise, a third a handshake with some bytes changed, and a
    third noise where frames are expected.
    """
    source = random.Random(seed)
    made = []
    for number in range(count):
        noise = source.randbytes(source.randrange(1, 400))
        if number % 3 == 0:
            made.append(noise)
        elif number % 3 == 1:
            changed = bytearray(_GOOD)
            for _ in range(source.randrange(1, 6)):
                changed[source.randrange(len(changed))] = source.randrange(256)
            made.append(bytes(changed))
        else:
            made.append(_GOOD + noise)
    return made


def attack(address: tuple[str, int], attacks: Iterable[bytes]) -> None:
    """Send each on a connection of its own; every other one ends with a reset."""
    opened = []
    for data in attacks:
        sock = socket.create_connection(address, timeout=PATIENCE)
        opened.append(sock)
        with suppress(OSError):  # The server may have had enough of it already.
            sock.sendall(data)
    for number, sock in enumerate(opened):
        read_to_the_end(sock)
        if number % 2:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        sock.close()


def read_to_the_end(sock: socket.socket) -> None:
    """Read until the server has ended the connection, or has no more to say."""
    sock.settimeout(0.01)
    with suppress(OSError):
        while sock.recv(65536):
            pass
