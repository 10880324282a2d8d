"""Servers that end: what is finished first, who is closed how, how long it takes."""

from __future__ import annotations

import http.client
import json
import time
from contextlib import ExitStack

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from consumers_tests.conftest import without_uvloop
from consumers_tests.server.live import (
    KINDS,
    PATIENCE,
    Process,
    Server,
    handshake,
    in_thread,
)

from .drained import app

each_server = pytest.mark.parametrize(
    "kind",
    [
        pytest.param(name, marks=without_uvloop if KINDS[name].uvloop else ())
        for name in ("own", "own-uvloop", "sansio", "trio")
    ],
)


def drained(*options: str) -> Process:
    """Serve the application in a process of its own."""
    return Process("consumers_tests.integration.drained:app", "--port", "0", *options)


def has_ended(process: Process, server: Server) -> bool:
    """Wait for the process's end; tell whether it went well. Nobody listens then."""
    went_well = process.wait(PATIENCE) == 0
    with pytest.raises(ConnectionRefusedError):
        server.raw()
    return went_well


def hears(client: ClientConnection) -> object:
    """Return what comes next."""
    return json.loads(client.recv(timeout=PATIENCE))


def closed(client: ClientConnection) -> int:
    """Return the code with which the server ends the connection."""
    with pytest.raises(ConnectionClosed) as caught:
        client.recv(timeout=PATIENCE)
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code


def answers(server: Server, path: str) -> tuple[int, bytes]:
    """Return status and body of what a new connection gets."""
    client = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE)
    client.request("GET", path, headers={"Connection": "close"})
    response = client.getresponse()
    return response.status, response.read()


@each_server
def test_a_handler_that_runs_may_answer(kind: str) -> None:
    """A message that is handled is answered, then comes 1012, as for all others."""
    with ExitStack() as stack:
        with in_thread(app, KINDS[kind]) as server:
            busy, idle = (stack.enter_context(server.connect("/work")) for _ in "12")
            raw = stack.enter_context(server.connect("/echo"))
            for client in (busy, idle):
                hears(client)
            busy.send("0.2")
            assert hears(busy) == "begun"

        assert hears(busy) == "done"
        assert [closed(client) for client in (busy, idle, raw)] == [1012] * 3


@each_server
def test_neither_who_reads_nothing_nor_who_works_on_holds_it_up(kind: str) -> None:
    """It ends within its limits, whatever its clients and its handlers do."""
    settings = {"drain_timeout": 0.1, "graceful_timeout": 0.6}
    with ExitStack() as stack:
        with in_thread(
            app, KINDS[kind], unacknowledged_timeout=None, **settings
        ) as server:
            stalled = stack.enter_context(server.raw(handshake("/flood")))
            stalled.recv(1)
            busy = stack.enter_context(server.connect("/work"))
            hears(busy)
            busy.send("1000")
            assert hears(busy) == "begun"
            begun = time.monotonic()

        assert time.monotonic() - begun < 0.1 + 0.6 + 5
        assert closed(busy) == 1012


@pytest.mark.parametrize(
    "backend",
    [pytest.param(name, id=f"workers-{name}") for name in ("asyncio", "trio")],
)
def test_each_worker_drains(backend: str) -> None:
    """SIGTERM to the parent: each lets its handlers end, and then the parent does."""
    with (
        ExitStack() as stack,
        drained(
            *("--workers", "2", "--backend", backend, "--drain-delay", "0.1"),
        ) as process,
    ):
        server = process.server()
        clients: dict[object, ClientConnection] = {}
        deadline = time.monotonic() + PATIENCE
        while len(clients) < 2:
            assert time.monotonic() < deadline
            client = stack.enter_context(server.connect("/work"))
            clients[hears(client)] = client
        for client in clients.values():
            client.send("0.3")
            assert hears(client) == "begun"
        process.terminate()

        for client in clients.values():
            assert hears(client) == "done"
            assert closed(client) == 1012
        assert has_ended(process, server)


@pytest.mark.parametrize("signals", [1, 2])
def test_the_second_signal_hurries(signals: int) -> None:
    """It skips all waiting; one alone lets a delay pass, in which it serves on."""
    with (
        ExitStack() as stack,
        drained(
            *("--backend", "trio"),
            *("--drain-delay", "30" if signals == 2 else "3"),
        ) as process,
    ):
        server = process.server()
        begun = time.monotonic()
        process.terminate()
        process.read_until("stopping; the same signal again skips the waiting")
        client = stack.enter_context(server.connect("/work"))
        hears(client)
        if signals == 2:
            process.terminate()

        assert closed(client) == 1012
        assert process.wait(PATIENCE) == 0
        assert time.monotonic() - begun > 2.9 or signals == 2


@pytest.mark.parametrize("end", ["hurried", "in time"])
@pytest.mark.parametrize(
    "loop",
    [
        pytest.param(("--loop", "uvloop"), id="uvloop", marks=without_uvloop),
        pytest.param(("--backend", "trio"), id="trio"),
    ],
)
def test_it_is_not_ready_and_serves_on(loop: tuple[str, str], end: str) -> None:
    """During the delay `/readyz` says 503, and whoever is there or comes is served."""
    with (
        ExitStack() as stack,
        drained(
            *("--drain-timeout", "0.1", *loop),
            *("--drain-delay", "60" if end == "hurried" else "4"),
        ) as process,
    ):
        server = process.server()
        assert answers(server, "/readyz") == (200, b'{"ready":true}')
        there = stack.enter_context(server.connect("/work"))
        hears(there)
        process.terminate()
        process.read_until("stopping")

        came = stack.enter_context(server.connect("/work"))
        hears(came)
        draining = b'{"ready":false,"reason":"draining"}'
        assert answers(server, "/readyz") == (503, draining)
        assert answers(server, "/healthz") == (200, b"ok\n")
        for client in (there, came):
            client.send("0")
            assert [hears(client), hears(client)] == ["begun", "done"]
        if end == "hurried":
            process.terminate()
        else:  # one works until after the delay, and is waited for
            there.send("4.5")
            assert [hears(there), hears(there)] == ["begun", "done"]

        assert [closed(client) for client in (there, came)] == [1012, 1012]
        assert has_ended(process, server)
