"""One bad client is nobody else's problem."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from concurrent.futures import Future
from contextlib import suppress

import anyio
import hypercorn.trio
import pytest
from anyio.from_thread import start_blocking_portal
from hypercorn.config import Config

from consumers_tests.server.apps import Probe
from consumers_tests.server.hostile import ENDED_HYPERCORN, HANDSHAKES, random_bytes
from consumers_tests.server.live import KINDS, PATIENCE, Kind, Server, in_thread

RESET = struct.pack("ii", 1, 0)
"""For SO_LINGER: closing sends a reset, as a crashed client's kernel does."""


def attack(server: Server, attacks: Iterable[bytes]) -> None:
    """Send each on a connection of its own; every other one ends with a reset."""
    opened = []
    for data in attacks:
        sock = socket.create_connection((server.host, server.port), timeout=PATIENCE)
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


@pytest.mark.parametrize(
    "attacks",
    [
        pytest.param(list(HANDSHAKES.values()), id="handshakes"),
        pytest.param(random_bytes(100, seed=2), id="random"),
    ],
)
def test_bystanders_are_served(kind: Kind, attacks: list[bytes]) -> None:
    """Malformed handshakes and random bytes end no server and no other connection."""
    with in_thread(Probe(), kind) as server, server.connect("/echo") as bystander:
        attack(server, attacks)

        bystander.send("still here")
        assert bystander.recv(timeout=PATIENCE) == "still here"
        with server.connect("/echo") as newcomer:
            newcomer.send("and welcome")
            assert newcomer.recv(timeout=PATIENCE) == "and welcome"
        assert not server.ended.done()


def test_a_dropped_connection_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """What the guard caught is one warning in one line, with nothing of the others."""
    with in_thread(Probe(), KINDS["hypercorn"]) as server:
        attack(server, [ENDED_HYPERCORN["subprotocol not ASCII"]])
        with server.connect("/echo"):
            pass

    warned = [r for r in caplog.records if r.name == "consumers.server"]

    assert [r.levelname for r in warned] == ["WARNING"]
    assert warned[0].getMessage().startswith("a connection was dropped: UnicodeDecode")


@pytest.mark.parametrize("name", ENDED_HYPERCORN)
def test_the_guard_is_needed(name: str) -> None:
    """Hypercorn's own server on trio is ended by one such client."""

    async def serve(*, task_status: anyio.abc.TaskStatus[list[str]]) -> None:
        config = Config()
        config.bind = ["127.0.0.1:0"]
        config.errorlog = None
        await hypercorn.trio.serve(Probe(), config, task_status=task_status)  # type: ignore[arg-type]

    with start_blocking_portal("trio") as portal:
        ended, binds = portal.start_task(serve)
        port = int(binds[0].rpartition(":")[2])
        server = Server("127.0.0.1", port, Future(), ended.cancel)
        with server.raw(ENDED_HYPERCORN[name]):
            error = ended.exception(timeout=PATIENCE)

    assert isinstance(error, BaseExceptionGroup)
