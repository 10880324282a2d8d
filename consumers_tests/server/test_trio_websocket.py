"""WebSockets on trio: closing, failing, pings, what an application is told."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from queue import Queue
from threading import Event
from typing import Any

import pytest
import trio
from websockets.exceptions import ConnectionClosed

from consumers.server import trio_transport, trio_websocket
from consumers_tests.server.apps import MIB, Probe
from consumers_tests.server.live import (
    KINDS,
    PATIENCE,
    Kind,
    Server,
    handshake,
    in_thread,
)

TRIO = KINDS["trio"]
OFFER = handshake(Sec_WebSocket_Extensions="permessage-deflate")
MASK = b"\x00\x00\x00\x00"
PING = 9
PONG = 10
CLOSE = 8


@contextmanager
def opened(server: Server, path: str = "/echo") -> Iterator[socket.socket]:
    """Connect a WebSocket without a client that would answer by itself."""
    with server.raw(handshake(path)) as sock:
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += sock.recv(1)
        yield sock


def frames(sock: socket.socket) -> Iterator[tuple[int, bytes]]:
    """Yield opcode and payload of each frame, until the server ends the connection."""
    while head := sock.recv(2, socket.MSG_WAITALL):
        payload = sock.recv(head[1], socket.MSG_WAITALL) if head[1] else b""
        yield head[0] & 0x0F, payload


def text(payload: bytes) -> bytes:
    """Return a short text frame of a client's."""
    return bytes([0x81, 0x80 | len(payload)]) + MASK + payload


@pytest.mark.parametrize(
    ("payload", "code", "reason"),
    [
        (struct.pack("!H", 1000), 1000, ""),
        (struct.pack("!H", 1001) + b"tab closed", 1001, "tab closed"),
        (struct.pack("!H", 4123), 4123, ""),
        (b"", 1005, ""),
    ],
)
def test_the_application_learns_the_clients_close(
    payload: bytes, code: int, reason: str
) -> None:
    """Code and reason are those of the client's frame; 1005 stands for none."""
    probe = Probe()
    with in_thread(probe, TRIO) as server, opened(server) as client:
        client.sendall(bytes([0x88, 0x80 | len(payload)]) + MASK + payload)

        assert list(frames(client)) == [(CLOSE, payload)]
        assert probe.disconnects.get(timeout=PATIENCE) == {
            "type": "websocket.disconnect",
            "code": code,
            "reason": reason,
        }


def test_the_application_learns_its_own_close() -> None:
    """After the application's close the disconnect has its code and reason."""
    events: Queue[Any] = Queue()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close", "code": 4001, "reason": "done"})
            events.put(await receive())

    with in_thread(app, TRIO) as server, server.connect("/") as client:
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=PATIENCE)
        event = events.get(timeout=PATIENCE)

    assert (event["code"], event["reason"]) == (4001, "done")


def test_a_frame_that_can_not_be_read_is_answered() -> None:
    """Text that is not UTF-8 closes with 1007, and the application learns it."""
    probe = Probe()
    with in_thread(probe, TRIO) as server, opened(server) as client:
        client.sendall(text(b"\xff\xfe"))

        (opcode, payload), *more = frames(client)

    assert (opcode, payload[:2], more) == (CLOSE, struct.pack("!H", 1007), [])
    assert probe.disconnects.get(timeout=PATIENCE)["code"] == 1007


def test_a_message_that_never_ends_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that sends on after the close frame is dropped after a while."""
    monkeypatch.setattr(trio_transport, "_LINGER", 0.02)
    probe = Probe()
    with (
        in_thread(probe, TRIO, ws_max_size=1000) as server,
        opened(server) as client,
    ):
        client.sendall(b"\x82\xff" + (100 * MIB).to_bytes(8, "big") + MASK)
        with pytest.raises(OSError, match=r"Broken pipe|reset"):  # noqa: PT012
            for _ in range(100 * 16):
                client.sendall(b"x" * 65536)

    assert probe.disconnects.get(timeout=PATIENCE)["code"] == 1009


@pytest.mark.parametrize("kind", [KINDS["own"], KINDS["sansio"], TRIO])
@pytest.mark.parametrize("compress", [None, True], ids=["default", "on"])
def test_compression_is_an_option(kind: Kind, compress: bool | None) -> None:
    """What a client offers is taken when the option says so, and not by default."""
    settings = {} if compress is None else {"ws_per_message_deflate": compress}
    with (
        in_thread(Probe(), kind, **settings) as server,
        server.raw(OFFER) as client,
    ):
        answer = client.recv(65536).lower()

    assert answer.startswith(b"http/1.1 101 ")
    assert (b"permessage-deflate" in answer) is bool(compress)


@pytest.mark.parametrize("kind", [KINDS["own"], TRIO])
def test_messages_may_be_compressed_each_by_itself(kind: Kind) -> None:
    """Without context takeover both sides agree to begin anew with each message."""
    settings = {"ws_per_message_deflate": True, "ws_deflate_context_takeover": False}
    with (
        in_thread(Probe(), kind, ws_deflate_memory_level=2, **settings) as server,
        server.raw(OFFER) as client,
    ):
        answer = client.recv(65536)

    assert b"server_no_context_takeover" in answer
    assert b"client_no_context_takeover" in answer


PINGS = {"ws_ping_interval": 0.02, "ws_ping_timeout": 0.2}


def test_a_client_that_answers_no_ping_is_dropped() -> None:
    """Silence after a ping ends the connection with 1006; an answer keeps it."""
    probe = Probe()
    with (
        in_thread(probe, TRIO, **PINGS) as server,
        server.connect("/echo") as answering,
        opened(server) as silent,
    ):
        assert [opcode for opcode, _ in frames(silent)] == [PING]
        assert probe.disconnects.get(timeout=PATIENCE)["code"] == 1006

        answering.send("still here")
        assert answering.recv(timeout=PATIENCE) == "still here"


def test_who_has_answered_is_pinged_at_the_next_interval() -> None:
    """However long it would have had for the answer."""
    settings = {**PINGS, "ws_ping_timeout": 3600.0}
    with in_thread(Probe(), TRIO, **settings) as server, opened(server) as client:
        pinged = frames(client)
        for _ in range(5):
            assert next(pinged)[0] == PING
            client.sendall(bytes([0x80 | PONG, 0x80]) + MASK)


def test_without_the_timeout_silence_is_allowed() -> None:
    """With no ws_ping_timeout a client is pinged on, whatever it answers."""
    settings = {**PINGS, "ws_ping_timeout": None}
    with (
        in_thread(Probe(), TRIO, **settings) as server,
        opened(server) as silent,
    ):
        pinged = frames(silent)
        assert [next(pinged)[0] for _ in range(5)] == [PING] * 5


def test_an_application_that_is_behind_loses_no_client() -> None:
    """While it is so far behind that nothing is read, an answer may be on its way."""
    with (
        in_thread(Probe(), TRIO, graceful_timeout=0.0, **PINGS) as server,
        opened(server, "/sleep") as client,
    ):
        client.sendall(text(b"hello") * 200)
        pinged = frames(client)
        assert [next(pinged)[0] for _ in range(3)] == [PING] * 3


def test_who_is_not_read_and_reads_nothing_is_dropped() -> None:
    """A client that takes no replies is dropped, though nothing of it is read."""
    probe = Probe()
    settings = {**PINGS, "unacknowledged_timeout": None}
    with (
        in_thread(probe, TRIO, **settings) as server,
        opened(server, "/flood") as client,
    ):
        # More than is read ahead while the application waits for who reads nothing.
        assert probe.flooding.wait(PATIENCE)
        client.sendall(text(b"hello") * 200)

        assert probe.released.wait(PATIENCE)


def test_a_close_behind_unread_messages_is_found() -> None:
    """The client's close ends the connection at once, wherever it waits to be read."""
    told, closing = Queue[str](), Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await receive()
            told.put("behind")
            await trio.to_thread.run_sync(closing.wait)
            await send({"type": "websocket.close", "code": 4001})

    with in_thread(app, TRIO) as server, opened(server, "/") as client:
        client.sendall(text(b"hello") * 200 + b"\x88\x80" + MASK)
        assert told.get(timeout=PATIENCE) == "behind"
        closing.set()
        client.settimeout(trio_websocket.CLOSE_TIMEOUT / 2)

        assert list(frames(client)) == [(CLOSE, struct.pack("!H", 4001))]


def test_a_flood_of_pings_is_answered() -> None:
    """Each of them, in order, and what comes after them is read."""
    with in_thread(Probe(), TRIO) as server, opened(server) as client:
        pings = b"".join(
            bytes([0x80 | PING, 0x82]) + MASK + n.to_bytes(2, "big")
            for n in range(3000)
        )
        client.sendall(pings + text(b"the next"))

        *pongs, last = islice(frames(client), 3001)

    assert [int.from_bytes(payload, "big") for _, payload in pongs] == [*range(3000)]
    assert last == (1, b"the next")


def test_a_flood_does_not_hide_the_answer_to_our_close(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is read to its end, though nobody receives any more."""
    monkeypatch.setattr(trio_websocket, "CLOSE_TIMEOUT", 3600)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await receive()
            await send({"type": "websocket.close", "code": 4001})

    with in_thread(app, TRIO) as server, opened(server, "/") as client:
        flood = (bytes([0x80 | PING, 0x80]) + MASK) * 3000
        client.sendall(text(b"close") + flood + bytes([0x88, 0x80]) + MASK)

        (code,) = [payload for opcode, payload in frames(client) if opcode == CLOSE]

    assert code == struct.pack("!H", 4001)
