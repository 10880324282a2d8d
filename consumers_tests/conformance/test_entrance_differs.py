"""The short way into uvicorn takes no request that `h11` would read differently."""

from __future__ import annotations

import os
import random

import h11

from consumers.server.frames import Handshake, check_handshake, read_request
from consumers_tests.server.hostile import HANDSHAKES
from consumers_tests.server.live import handshake

COUNT = int(os.environ.get("CONSUMERS_FUZZ_EXAMPLES", "2000"))
PIECES = [
    *(bytes([byte]) for byte in b"\r\n\t :;,/?#%\x00\x0b\x0c\x1f\x7f\x80\xa0\xff"),
    b"\r\n",
    b"\n\n",
    b"\r\n ",
    b"Host: y\r\n",
    b"Connection: close\r\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Upgrade: h2c\r\n",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
]


def changed(source: random.Random) -> bytes:
    """Return a handshake in which something is added, taken out or replaced."""
    data = bytearray(handshake("/a/b?c=d", Origin="http://x", User_Agent="a b (c; d)"))
    for _ in range(source.randrange(1, 4)):
        at = source.randrange(len(data) + 1)
        # Where one line ends and the next begins is where readers differ.
        if source.random() < 0.5:
            at = data.rfind(b"\r\n", 0, at + 2) + 2 * source.randrange(2)
        upto = at + source.choice((0, 0, 1, 2, 5))
        data[at:upto] = source.choice((b"", source.choice(PIECES)))
    return bytes(data)


def read_by_h11(data: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """Return target and headers; nothing else may be there."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    request = connection.next_event()
    assert type(request) is h11.Request
    assert (request.method, request.http_version) == (b"GET", b"1.1")
    assert connection.trailing_data[0] == b""
    return request.target, list(request.headers)


def test_what_is_taken_is_what_h11_reads() -> None:
    """Whatever is taken and not refused is a request, and the same one, to `h11`."""
    source = random.Random(5)
    taken = refused = 0
    cases = [*HANDSHAKES.values(), *(changed(source) for _ in range(COUNT))]
    for data in cases:
        request = read_request(data)
        if request is None:
            continue
        taken += 1
        checked = check_handshake(b"GET", request.headers)
        if not isinstance(checked, Handshake):
            refused += 1
            continue
        assert read_by_h11(data) == (request.target, request.headers), data

    assert taken - refused > COUNT / 20
    assert len(cases) - taken > COUNT / 20
