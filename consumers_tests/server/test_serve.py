"""Any ASGI application gets from each server what ASGI promises."""

from __future__ import annotations

import socket
import sys
from typing import Any

import anyio
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from consumers.errors import ConfigurationError
from consumers.server.options import Options
from consumers.server.serve import check_installed, serve
from consumers_tests.excesses import Excesses
from consumers_tests.server.apps import MIB, Probe, failing_start, no_lifespan
from consumers_tests.server.live import KINDS, PATIENCE, Kind, in_thread


@pytest.fixture
def probe() -> Probe:
    return Probe()


def closed(connection: Any) -> ConnectionClosed:
    """Return how a connection that the server closes is closed."""
    with pytest.raises(ConnectionClosed) as caught:
        connection.recv(timeout=PATIENCE)
    return caught.value


def test_messages_come_and_go(kind: Kind, probe: Probe) -> None:
    """Text, bytes and a message of 1 MiB come back as they were sent."""
    with in_thread(probe, kind) as server, server.connect("/echo") as client:
        for message in ("", "grüß dich", b"\x00\xff", b"x" * MIB):
            client.send(message)

            assert client.recv(timeout=PATIENCE) == message


def test_a_message_over_the_limit_is_refused(
    kind: Kind, probe: Probe, excesses: Excesses
) -> None:
    """A message larger than ws_max_size closes the connection with 1009.

    It is counted where frames are ours. The control has a larger limit.
    """
    with (
        in_thread(probe, kind, ws_max_size=1000) as server,
        server.connect("/echo") as client,
    ):
        for size in (999, 1000):
            client.send("x" * size)
            assert len(client.recv(timeout=PATIENCE)) == size
        assert excesses.counted == {}

        client.send("x" * 1001)

        error = closed(client)
        assert error.rcvd is not None
        assert error.rcvd.code == 1009
    if kind.ws == "auto":
        assert excesses.counted == {"ws_max_size": 1}
        assert "1009: a message is larger than 1000 bytes" in excesses.line
    with (
        in_thread(probe, kind, ws_max_size=1001) as server,
        server.connect("/echo") as client,
    ):
        client.send("x" * 1001)
        assert len(client.recv(timeout=PATIENCE)) == 1001


def test_a_message_of_too_many_frames_is_refused(
    kind: Kind, probe: Probe, excesses: Excesses
) -> None:
    """A message of more than ws_max_frames closes with 1008, as far as frames are ours.

    The controls are the same message, with as many allowed, and with one more.
    """
    for most, echoes in ((9, True), (8, True), (7, False)):
        assert excesses.counted == {}
        with (
            in_thread(probe, kind, ws_max_frames=most) as server,
            server.connect("/echo") as client,
        ):
            client.send(iter(["x"] * 7))  # and an empty one, which ends it
            if echoes or kind.ws != "auto":
                assert client.recv(timeout=PATIENCE) == "x" * 7
            else:
                error = closed(client)
                assert error.rcvd is not None
                assert error.rcvd.code == 1008
    if kind.ws == "auto":
        assert excesses.counted == {"ws_max_frames": 1}
        assert "1008: a message has more than 7 frames" in excesses.line


def test_the_subprotocol_is_the_applications_choice(kind: Kind, probe: Probe) -> None:
    """The client learns which subprotocol the application chose."""
    with (
        in_thread(probe, kind) as server,
        server.connect("/echo", subprotocols=["a", "b"]) as client,
    ):
        assert client.subprotocol == "b"


def test_the_applications_close_reaches_the_client(kind: Kind, probe: Probe) -> None:
    """Code and reason of the application's close are the client's."""
    with in_thread(probe, kind) as server, server.connect("/close/4001/done") as client:
        error = closed(client)

        assert error.rcvd is not None
        assert (error.rcvd.code, error.rcvd.reason) == (4001, "done")


def test_the_clients_close_reaches_the_application(kind: Kind, probe: Probe) -> None:
    """The application learns the client's close code, and its reason."""
    with in_thread(probe, kind) as server:
        with server.connect("/echo") as client:
            client.close(4002, "bye")

        event = probe.disconnects.get(timeout=PATIENCE)

    assert (event["code"], event["reason"]) == (4002, "bye")


def test_a_client_that_vanishes_is_noticed(kind: Kind, probe: Probe) -> None:
    """A connection that breaks off is a disconnect with a code that says so."""
    with in_thread(probe, kind) as server:
        with server.connect("/echo") as client:
            client.socket.shutdown(socket.SHUT_RDWR)

        event = probe.disconnects.get(timeout=PATIENCE)

    assert event["code"] == (1006 if kind.ws == "auto" else 1005)


@pytest.mark.parametrize(
    ("path", "status", "body"), [("/deny", 429, b"slow down"), ("/refuse", 403, b"")]
)
def test_a_refusal_has_status_and_body(
    kind: Kind, probe: Probe, path: str, status: int, body: bytes
) -> None:
    """A denial response arrives as it is; a close before the accept is a 403."""
    with (
        in_thread(probe, kind) as server,
        pytest.raises(InvalidStatus) as caught,
        server.connect(path),
    ):
        pass

    assert caught.value.response.status_code == status
    assert caught.value.response.body == body


def test_an_application_that_raises_before_the_accept(kind: Kind, probe: Probe) -> None:
    """An exception before the accept is a 500 that tells no secrets."""
    with (
        in_thread(probe, kind) as server,
        pytest.raises(InvalidStatus) as caught,
        server.connect("/fail/early"),
    ):
        pass

    assert caught.value.response.status_code == 500
    assert b"secret" not in (caught.value.response.body or b"")


def test_an_application_that_raises_after_the_accept(kind: Kind, probe: Probe) -> None:
    """An exception after the accept ends the connection: never with a plain 1000."""
    with in_thread(probe, kind) as server, server.connect("/fail/late") as client:
        error = closed(client)

    # uvicorn with websockets drops TCP; whoever wants a code closes before raising.
    assert error.rcvd is None or (error.rcvd.code, error.rcvd.reason) == (1011, "")


@pytest.mark.parametrize("server", ["own", "trio"])
def test_a_message_without_content_is_the_applications_mistake(server: str) -> None:
    """An event with neither text nor bytes raises, and does not wait for ever."""
    raised: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            try:
                await send({"type": "websocket.send", "text": None})
            except RuntimeError as error:
                raised.append(str(error))

    with (
        in_thread(app, KINDS[server], graceful_timeout=0.1) as served,
        served.connect("/") as client,
    ):
        assert closed(client).rcvd is not None

    assert raised == [
        "a 'websocket.send' event must have 'text' or 'bytes', got neither"
    ]


def test_the_lifespan_surrounds_all_connections(kind: Kind, probe: Probe) -> None:
    """The lifespan starts first, shares its state, and ends after the connections."""
    with in_thread(probe, kind) as server, server.connect("/echo"):
        scope = probe.scopes.get(timeout=PATIENCE)
        assert scope["state"]["shared"] == "from the lifespan"
        assert probe.lifespan == ["lifespan.startup"]
        server.stop()

    assert probe.lifespan == [
        "lifespan.startup",
        "connection ended",
        "lifespan.shutdown",
    ]


def test_a_stop_is_told_to_both_sides(kind: Kind, probe: Probe) -> None:
    """At a stop client and application learn 1012, and the port is free again."""
    with in_thread(probe, kind) as server, server.connect("/echo") as client:
        client.send("here")
        assert client.recv(timeout=PATIENCE) == "here"
        server.stop()

        error = closed(client)
        event = probe.disconnects.get(timeout=PATIENCE)

    assert error.rcvd is not None
    assert error.rcvd.code == event["code"] == 1012
    with pytest.raises(ConnectionRefusedError):
        server.raw()


def test_an_application_without_a_lifespan_is_served(kind: Kind) -> None:
    """An application that raises in the lifespan scope is served all the same."""
    with in_thread(no_lifespan, kind) as server, server.connect("/echo") as client:
        client.send("still here")

        assert client.recv(timeout=PATIENCE) == "still here"


def test_a_failed_start_is_an_error(kind: Kind) -> None:
    """An application that says it can't start makes serve raise what it said."""
    with (
        pytest.raises(ConfigurationError, match=r"start-up failed: no database$"),
        in_thread(failing_start, kind),
    ):
        raise AssertionError("it was served")


def test_the_concurrency_limit_counts_websockets(kind: Kind, probe: Probe) -> None:
    """With limit_concurrency the next connection gets a 503, until one has left."""
    with in_thread(probe, kind, limit_concurrency=1) as server:
        with server.connect("/echo"):
            with pytest.raises(InvalidStatus) as caught, server.connect("/echo"):
                pass
            assert caught.value.response.status_code == 503
        probe.disconnects.get(timeout=PATIENCE)


def test_proxy_headers_name_the_client(kind: Kind, probe: Probe) -> None:
    """A trusted proxy says who the client is; nobody else may."""
    headers = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}
    for trusted, host, scheme in (
        ("127.0.0.1", "192.0.2.7", "wss"),
        ("10.0.0.1", "127.0.0.1", "ws"),
    ):
        with (
            in_thread(probe, kind, forwarded_allow_ips=trusted) as server,
            server.connect("/echo", additional_headers=headers),
        ):
            scope = probe.scopes.get(timeout=PATIENCE)

        assert (scope["client"][0], scope["scheme"]) == (host, scheme)


async def test_it_serves_in_a_tests_own_loop(anyio_backend_name: str) -> None:
    """`serve` is a task: it tells its address, and ends when cancelled."""
    probe = Probe()
    sock = socket.create_server(("127.0.0.1", 0))
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:

            async def run(*, task_status: Any) -> None:
                await serve(probe, Options(), sockets=[sock], task_status=task_status)

            host, port = await group.start(run)
            assert (host, port) == sock.getsockname()
            async with await anyio.connect_tcp(host, port) as stream:
                await stream.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                answer = await stream.receive()
            group.cancel_scope.cancel()

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert probe.lifespan == ["lifespan.startup", "lifespan.shutdown"]
    assert sock.fileno() == -1


async def test_a_taken_port_is_an_error(anyio_backend_name: str) -> None:
    """A port that is in use is told with the port and a way out."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"port {port} on 127.0.0.1 must"):
            await serve(no_lifespan, Options(port=port))


def test_a_missing_backend_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without h11 the trio backend is refused with what to install."""
    monkeypatch.setitem(sys.modules, "h11", None)
    for name in ("on_trio", "trio_http", "http1", "http1.cycle", "http1.requests"):
        monkeypatch.delitem(sys.modules, f"consumers.server.{name}", False)

    with pytest.raises(ConfigurationError, match=r"pip install 'anyio-consumers\[trio"):
        check_installed("trio")
    check_installed("asyncio")
