"""A socket that a supervisor holds over restarts, as systemd does for `shop.socket`."""

from __future__ import annotations

import json
import select
import shlex
import shutil
import socket
from contextlib import ExitStack

import pytest
from websockets.exceptions import ConnectionClosed

from consumers_tests.server.live import PATIENCE, ROOT, Process, handshake
from consumers_tests.valkey import free_port

UNIT = ROOT / "docs" / "examples" / "deploy" / "shop.service"
COMMAND = next(
    shlex.split(line)
    for line in UNIT.read_text().splitlines()
    if line.startswith("ExecStart=")
)
# Without the program and `run`; the shop itself is only a name.
ARGUMENTS = ["consumers_tests.integration.drained:app", *COMMAND[3:]]
CAME = 10
"""Clients that come while nobody serves."""


def serve(held: socket.socket, *arguments: str) -> Process:
    """Run what the unit runs, with the socket as its third descriptor."""
    third = ["sh", "-c", 'exec "$@" 3<&0 0</dev/null', "sh"]
    return Process(*ARGUMENTS, *arguments, under=third, stdin=held.fileno())


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_who_comes_during_a_restart_waits(backend: str) -> None:
    """Nobody is refused or cut off between two processes; the second serves them."""
    with (
        ExitStack() as clients,
        socket.create_server(("127.0.0.1", 0), backlog=128) as held,
    ):
        with serve(held, "--backend", backend) as process:
            server = process.server()
            there = clients.enter_context(server.connect("/work"))
            there.recv(PATIENCE)
            process.terminate()
            with pytest.raises(ConnectionClosed):
                there.recv(PATIENCE)
            came = [
                clients.enter_context(server.raw(handshake("/work")))
                for _ in range(CAME)
            ]
            assert process.wait(PATIENCE) == 0
        assert select.select(came, [], [], 0)[0] == []  # no answer, and no end

        with serve(held, "--backend", backend) as process:
            for client in came:
                assert client.recv(12) == b"HTTP/1.1 101"
            process.server()
            clients.close()  # they would not answer a close frame
            process.terminate()
            assert process.wait(PATIENCE) == 0


@pytest.mark.may_skip
@pytest.mark.skipif(
    shutil.which("systemd-socket-activate") is None, reason="systemd is not installed"
)
def test_systemd_activates_it() -> None:
    """The first client has systemd start the unit's command, and is served by it."""
    port = free_port()
    activate = ["systemd-socket-activate", "--listen", f"127.0.0.1:{port}"]
    with Process(*ARGUMENTS, under=[*activate, "-E", "PYTHONPATH"]) as process:
        process.read_until("Listening on")
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
            client.sendall(handshake("/work"))
            assert client.recv(12) == b"HTTP/1.1 101"
            server = process.server()
            assert server.port == port
            with server.connect("/work") as second:
                assert json.loads(second.recv(PATIENCE)) == process.popen.pid
                process.terminate()
                with pytest.raises(ConnectionClosed) as closed:
                    second.recv(PATIENCE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        assert process.wait(PATIENCE) == 0
