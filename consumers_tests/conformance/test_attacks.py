"""What a client can do to hurt, and that it hurts nobody: on each of our servers."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from websockets.sync.client import ClientConnection

from consumers_tests.server.apps import Probe
from consumers_tests.server.live import PATIENCE, handshake, in_thread

from .frames import BINARY, CONTINUATION, PING, TEXT, bomb, frame, opened, push
from .servers import STOCK, Server, serving

MIB = 1024 * 1024
KERNEL = 24 * MIB
"""More than the two systems' buffers ever hold."""

COMPRESSED = {"Sec_WebSocket_Extensions": "permessage-deflate"}


@contextmanager
def bystander(server: Server) -> Iterator[ClientConnection]:
    """Connect one client before and one after, who must be served as ever."""
    with server.connect("/echo") as before:
        yield before
        with server.connect("/echo") as after:
            for client in (before, after):
                client.send("still here")
                assert client.recv(timeout=PATIENCE) == "still here"


def code(sock: socket.socket) -> int:
    """Read to the end; return the code of the close frame that is there."""
    data = b""
    with suppress(ConnectionResetError):
        while more := sock.recv(65536):
            data += more
    start = data.rindex(b"\x88")
    (found,) = struct.unpack_from("!H", data, start + 2)
    return int(found)


def test_a_million_empty_fragments(loop: str) -> None:
    """A message of ever more empty fragments is refused with 1008 long before."""
    with serving(Probe(), loop) as server, bystander(server), opened(server) as sock:
        sock.sendall(frame(TEXT, final=False))
        push(sock, frame(CONTINUATION, final=False) * 1000, 20)

        assert code(sock) == 1008


def test_others_take_empty_fragments() -> None:
    """A class of uvicorn's own takes as many as come: what refuses them is ours."""
    data = frame(TEXT, final=False) + frame(CONTINUATION, final=False) * 20_000
    with in_thread(Probe(), STOCK) as server, opened(server) as sock:
        sock.sendall(data + frame(CONTINUATION, b"end"))

        assert sock.recv(100) == b"\x81\x03end"


def test_an_endless_message(loop: str) -> None:
    """Fragments that make a message too large are refused with 1009, when they do."""
    with (
        serving(Probe(), loop, ws_max_size=MIB) as server,
        bystander(server),
        opened(server) as sock,
    ):
        sock.sendall(frame(BINARY, final=False))
        piece = frame(CONTINUATION, bytes(64 * 1024), final=False)
        push(sock, piece, 1 + MIB // (64 * 1024))

        assert code(sock) == 1009


def test_a_frame_that_lies_about_its_length(loop: str) -> None:
    """A frame of 8 EiB is refused by its header, before anything of it has come."""
    with serving(Probe(), loop) as server, bystander(server), opened(server) as sock:
        sock.sendall(b"\x82\xff\x7f" + b"\xff" * 7 + bytes(4))

        assert code(sock) == 1009


def test_a_bomb(loop: str) -> None:
    """32 KiB that inflate to 32 MiB are refused with 1009."""
    with (
        serving(Probe(), loop, ws_max_size=MIB, ws_per_message_deflate=True) as server,
        bystander(server),
        opened(server, **COMPRESSED) as sock,
    ):
        push(sock, bomb(32 * MIB), 1)

        assert code(sock) == 1009


def test_a_flood_of_pings(loop: str) -> None:
    """Who pings all the time gets all the answers, and is the only one who waits."""
    with serving(Probe(), loop) as server, bystander(server), opened(server) as sock:
        for _ in range(50):
            sock.sendall(frame(PING, b"x" * 100) * 100)
            left = 100 * 102
            while left > 0:
                left -= len(sock.recv(65536))
            assert left == 0


def test_a_ping_amid_a_flood(loop: str) -> None:
    """A ping is answered though more is to be sent than the client reads at once."""
    probe = Probe()
    with serving(probe, loop) as server, opened(server, "/flood") as sock:
        assert probe.flooding.wait(PATIENCE)
        sock.recv(MIB)
        sock.sendall(frame(PING, b"hello"))
        before, answered = b"", False
        while more := sock.recv(4 * MIB):
            answered = answered or b"\x8a\x05hello" in before + more
            before = more[-10:]
            if more.endswith(b"\x88\x02\x03\xe8"):
                break
        assert answered


def test_more_than_the_application_reads(loop: str) -> None:
    """Messages that no application takes are not read from the network either."""
    with serving(Probe(), loop, graceful_timeout=0.1) as server, bystander(server):
        with opened(server, "/sleep") as sock:
            assert push(sock, frame(BINARY, bytes(64 * 1024)), 1000) < KERNEL
        with opened(server, "/sleep") as sock:
            assert push(sock, frame(TEXT, b"x") * 10_000, 1000) < KERNEL


def test_handshakes_that_do_not_end(loop: str) -> None:
    """A hundred handshakes that stop in the middle keep nobody out."""
    data = handshake()
    with serving(Probe(), loop) as server, bystander(server):
        halves = [server.raw(data[: 1 + number]) for number in range(100)]
        with bystander(server):
            pass
        for sock in halves:
            sock.close()


def test_bytes_one_by_one(loop: str) -> None:
    """A handshake may come in any pieces, and so may a frame."""
    with serving(Probe(), loop) as server, server.raw() as sock:
        for data, answer in (
            (handshake(), b"\r\n\r\n"),
            (frame(TEXT, b"hello"), b"\x81\x05hello"),
        ):
            for byte in data:
                sock.sendall(bytes([byte]))
            got = b""
            while not got.endswith(answer):
                got += sock.recv(1000)


class Injecting(Probe):
    """An application that lets its client write the answer's headers."""

    async def echo(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        header = (b"x-own", scope["query_string"].replace(b"+", b"\r\n"))
        await send({"type": "websocket.accept", "headers": [header]})


def test_headers_of_an_accept_cannot_break_out(loop: str) -> None:
    """A header with a line's end in it is the application's mistake, and a 500."""
    with serving(Injecting(), loop) as server:
        with server.raw(handshake("/echo?a+set-cookie:b")) as sock:
            got = b""
            while more := sock.recv(65536):
                got += more
        assert got.startswith(b"HTTP/1.1 500 ")
        assert b"set-cookie" not in got


def test_nothing_is_read_after_a_refusal(loop: str) -> None:
    """What follows a handshake that the application refuses is no other request."""
    with serving(Probe(), loop) as server, server.raw() as sock:
        sock.sendall(handshake("/refuse") + b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n")
        got = b""
        while more := sock.recv(65536):
            got += more
        assert got.startswith(b"HTTP/1.1 403 ")
        assert got.count(b"HTTP/1.1 ") == 1
