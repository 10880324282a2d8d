"""Much over TLS: long messages, clients that do not read, applications that do not."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Queue
from typing import Any

import anyio
import pytest

from consumers_tests.conftest import without_uvloop
from consumers_tests.server.apps import MIB, Probe
from consumers_tests.server.driven import BINARY, CLOSE, TEXT
from consumers_tests.server.frames.clients import client_frame
from consumers_tests.server.live import (
    KINDS,
    PATIENCE,
    Kind,
    Server,
    handshake,
    in_thread,
)
from consumers_tests.server.test_tls import PEM
from consumers_tests.server.test_uvicorn_live import read, send_until_full


@pytest.fixture(
    params=["own", pytest.param("own-uvloop", marks=without_uvloop), "trio"]
)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Run a test on each server of ours."""
    return KINDS[request.param]


@contextmanager
def opened(server: Server, path: str) -> Iterator[socket.socket]:
    """Connect a client by TLS, that does nothing by itself."""
    trusting = ssl.create_default_context(cafile=PEM)
    with (
        server.raw() as plain,
        trusting.wrap_socket(plain, server_hostname="localhost") as client,
    ):
        client.sendall(handshake(path))
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += client.recv(1)
        yield client


def binary_frame(size: int) -> bytes:
    """Return the header of a server's long frame, and what `Probe` fills it with."""
    return b"\x82\x7f" + size.to_bytes(8, "big") + b"x" * size


def test_a_long_message_comes_back(kind: Kind) -> None:
    """Two MiB, in hundreds of records of TLS each way."""
    size = 2 * MIB
    with (
        in_thread(Probe(), kind, ssl_certfile=PEM, ws_max_size=size) as server,
        opened(server, "/echo") as client,
    ):
        client.sendall(client_frame(BINARY, b"x" * size))

        assert read(client, 10 + size) == binary_frame(size)


def test_who_sends_waits_for_a_slow_reader(kind: Kind) -> None:
    """64 MiB for a client that reads little are held up, until it is gone."""
    probe = Probe()
    with in_thread(probe, kind, ssl_certfile=PEM) as server:
        with opened(server, "/flood") as client:
            assert probe.flooding.wait(PATIENCE)
            frame = binary_frame(MIB)
            for _ in range(4):
                assert read(client, len(frame)) == frame
            assert not probe.released.wait(0.3)

        assert probe.released.wait(PATIENCE)


def test_reading_pauses_for_a_slow_application(kind: Kind) -> None:
    """A client that sends on and on is held up; nothing that it sent is lost."""
    go, received = threading.Event(), Queue[int]()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await anyio.to_thread.run_sync(go.wait, PATIENCE)
            count = 0
            while (await receive())["type"] == "websocket.receive":
                count += 1
            received.put(count)

    with (
        in_thread(app, kind, ssl_certfile=PEM) as server,
        opened(server, "/") as client,
    ):
        # So long that 64 MiB of them are no more than it reads ahead by their number.
        frame = client_frame(TEXT, b"x" * MIB)
        sent = send_until_full(client, frame)
        go.set()
        # What TLS has begun to write has to go on with the same bytes.
        client.sendall(frame[sent % len(frame) :] + client_frame(CLOSE, b"\x03\xe8"))

        assert received.get(timeout=PATIENCE) == sent // len(frame) + 1
