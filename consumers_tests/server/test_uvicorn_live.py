"""Our protocol over real sockets, on asyncio and uvloop, and under uvicorn itself."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import Queue
from typing import Any

import anyio
import pytest
import uvicorn
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from consumers.server.frames import close_frame, pong_frame, text_frame
from consumers.server.options import Options
from consumers.server.sockets import address_of, bind
from consumers_tests.conftest import without_uvloop
from consumers_tests.server.apps import MIB, Probe
from consumers_tests.server.driven import PING, TEXT
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

BUFFER = 8192


@pytest.fixture(params=["own", pytest.param("own-uvloop", marks=without_uvloop)])
def kind(request: pytest.FixtureRequest) -> Kind:
    """Run a test on each loop."""
    return KINDS[request.param]


@pytest.fixture
def probe() -> Probe:
    return Probe()


@contextmanager
def opened(server: Server, path: str = "/echo") -> Iterator[socket.socket]:
    """Connect a client with small buffers, that does nothing by itself."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        client.settimeout(PATIENCE)
        client.connect((server.host, server.port))
        client.sendall(handshake(path))
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += client.recv(1)
        yield client


def read(client: socket.socket, count: int) -> bytes:
    got = bytearray()
    while len(got) < count:
        data = client.recv(count - len(got))
        assert data, "the server has ended the connection"
        got += data
    return bytes(got)


def send_until_full(client: socket.socket, data: bytes) -> int:
    """Send again and again what is given, until nobody takes more; tell how much."""
    client.settimeout(0.1)
    sent, view = 0, memoryview(data)
    with suppress(TimeoutError):
        while sent < 64 * MIB:
            sent += client.send(view[sent % len(data) :])
    client.settimeout(PATIENCE)
    assert sent < 64 * MIB
    return sent


def test_who_sends_waits_for_a_slow_reader(kind: Kind, probe: Probe) -> None:
    """64 MiB for a client that reads little do not go into memory."""
    with in_thread(probe, kind) as server, opened(server, "/flood") as client:
        assert probe.flooding.wait(PATIENCE)
        assert not probe.released.wait(0.05)
        frame = b"\x82\x7f" + MIB.to_bytes(8, "big") + b"x" * MIB
        for _ in range(16):
            assert read(client, len(frame)) == frame
        assert not probe.released.is_set()
        client.close()
        assert probe.released.wait(PATIENCE)


def test_reading_pauses_for_a_slow_application(kind: Kind) -> None:
    """A client that sends on and on is held up until the application has received."""
    go, received = threading.Event(), Queue[int]()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await receive()
            await anyio.to_thread.run_sync(go.wait)
            count = 1
            while (await receive())["type"] == "websocket.receive":
                count += 1
            received.put(count)

    with in_thread(app, kind) as server, opened(server) as client:
        frame = client_frame(TEXT, b"x" * 16 * 1024)
        sent = send_until_full(client, frame)
        go.set()
        client.sendall(frame[sent % len(frame) :])
        client.shutdown(socket.SHUT_WR)

        assert received.get(timeout=PATIENCE) == sent // len(frame) + 1


def test_pings_of_a_client_that_reads_nothing(kind: Kind, probe: Probe) -> None:
    """It can't send them for ever; when it reads, it gets every answer."""
    with in_thread(probe, kind) as server, opened(server) as client:
        flood = client_frame(PING, b"p" * 125) * 500
        sent = send_until_full(client, flood)
        answer = pong_frame(b"p" * 125)
        whole = sent // (len(flood) // 500)
        assert read(client, whole * len(answer)) == answer * whole


def test_a_failure_is_told_though_much_is_unread(kind: Kind, probe: Probe) -> None:
    """The close frame arrives though the client goes on with its message."""
    with (
        in_thread(probe, kind, ws_max_size=1000) as server,
        opened(server) as client,
    ):
        message = client_frame(TEXT, b"x" * 4 * MIB)
        sending = threading.Thread(target=client.sendall, args=(message,))
        sending.start()
        sending.join(PATIENCE)

        reason = "a message is larger than 1000 bytes"
        assert read(client, 4 + len(reason)) == close_frame(1009, reason)
        assert client.recv(1) == b""
        assert probe.disconnects.get(timeout=PATIENCE)["code"] == 1009


def test_a_client_that_answers_no_ping_is_told(kind: Kind, probe: Probe) -> None:
    """It gets the ping, then a close frame with 1011, and then the end."""
    with (
        in_thread(probe, kind, ws_ping_interval=0.05, ws_ping_timeout=0.05) as server,
        opened(server) as client,
    ):
        end = close_frame(1011, "keepalive ping timeout")
        assert read(client, 2 + len(end)) == b"\x89\x00" + end
        assert client.recv(1) == b""

    assert probe.disconnects.get(timeout=PATIENCE)["code"] == 1011


def test_a_client_that_answers_pings_stays(kind: Kind, probe: Probe) -> None:
    """A foreign client that knows nothing of ours is pinged, and not dropped."""
    with (
        in_thread(
            probe, kind, ws_ping_interval=0.05, ws_ping_timeout=PATIENCE
        ) as server,
        server.connect("/echo") as client,
        pytest.raises(TimeoutError),
    ):
        client.recv(timeout=0.2)

    assert probe.disconnects.get(timeout=PATIENCE)["code"] == 1000


def test_a_stop_reaches_clients_in_each_stage(kind: Kind, probe: Probe) -> None:
    """One that waits for the answer gets a 503, one that is open a close frame."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] != "/silent":
            await probe(scope, receive, send)
            return
        await receive()
        waits.set()
        await receive()

    waits = threading.Event()
    with in_thread(app, kind) as server, opened(server) as client:
        waiting = server.raw(handshake("/silent"))
        assert waits.wait(PATIENCE)
        server.stop()
        assert waiting.recv(BUFFER).startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert read(client, 4) == close_frame(1012)
        client.sendall(client_frame(0x88, b"\x03\xf4"))
        assert client.recv(1) == b""
        waiting.close()


@pytest.mark.parametrize("says_so", [True, False], ids=["told", "cut"])
def test_a_client_that_leaves_tls_is_noticed(
    kind: Kind, probe: Probe, says_so: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Whether it ends TLS in order or not: 1006, and nothing for the log."""
    trusting = ssl.create_default_context(cafile=PEM)
    with in_thread(probe, kind, ssl_certfile=PEM) as server, server.raw() as plain:
        client = trusting.wrap_socket(plain, server_hostname="localhost")
        client.sendall(handshake())
        assert client.recv(BUFFER).startswith(b"HTTP/1.1 101 ")
        client.sendall(client_frame(TEXT, b"hello"))
        assert client.recv(BUFFER) == text_frame(b"hello")
        if says_so:
            client.unwrap().close()
        else:
            client.close()

        assert probe.disconnects.get(timeout=PATIENCE)["code"] == 1006

    assert [record for record in caplog.records if record.levelname != "INFO"] == []


def test_compression_with_a_foreign_client(kind: Kind, probe: Probe) -> None:
    """What `websockets` compresses is understood, and the other way round."""
    with in_thread(probe, kind, ws_per_message_deflate=True) as server:
        url = f"ws://{server.host}:{server.port}/echo"
        with connect(url, proxy=None, compression="deflate") as client:
            for message in ("grüß dich" * 1000, b"\0" * MIB, "small"):
                client.send(message)
                assert client.recv(timeout=PATIENCE) == message


# -- under uvicorn itself -------------------------------------------------------------


@contextmanager
def under_uvicorn(app: Any, **settings: Any) -> Iterator[tuple[uvicorn.Server, str]]:
    """Run uvicorn as its command line does, in a thread."""
    config = uvicorn.Config(
        app, ws="consumers.server.uvicorn:Protocol", log_config=None, **settings
    )
    server = uvicorn.Server(config)
    sock = bind(Options(port=0))
    host, port = address_of(sock)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
    thread.start()
    try:
        yield server, f"ws://{host}:{port}"
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        sock.close()
    assert not thread.is_alive()


@pytest.mark.parametrize("http", ["h11", "httptools"])
def test_uvicorn_runs_it(http: str, probe: Probe) -> None:
    """By its public option: served, counted, and closed with 1012 when it ends."""
    with (
        under_uvicorn(probe, http=http) as (server, url),
        connect(f"{url}/echo?a=1", proxy=None, open_timeout=PATIENCE) as client,
    ):
        client.send("hello")
        assert client.recv(timeout=PATIENCE) == "hello"
        assert client.response is not None
        assert client.response.headers["server"] == "uvicorn"
        state = server.server_state
        assert len(state.connections) == len(state.tasks) == 1
        assert probe.scopes.get(timeout=PATIENCE)["query_string"] == b"a=1"

        server.should_exit = True
        with pytest.raises(ConnectionClosed) as caught:
            client.recv(timeout=PATIENCE)

    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1012
    assert not state.connections
    assert not state.tasks


@pytest.mark.parametrize(
    ("trusted", "seen"),
    [("127.0.0.1", ("203.0.113.7", "wss")), ("192.0.2.1", ("127.0.0.1", "ws"))],
    ids=["trusted", "not trusted"],
)
def test_uvicorn_reads_a_proxys_headers(
    trusted: str, seen: tuple[str, str], probe: Probe
) -> None:
    """With its own option: who is trusted tells who the client is, and nobody else."""
    told = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}
    with (
        under_uvicorn(
            probe, proxy_headers=True, forwarded_allow_ips=trusted, lifespan="off"
        ) as (_, url),
        connect(f"{url}/echo", proxy=None, additional_headers=told) as client,
    ):
        client.send("hello")
        assert client.recv(timeout=PATIENCE) == "hello"

    scope = probe.scopes.get(timeout=PATIENCE)
    assert (scope["client"][0], scope["scheme"]) == seen
