"""Thousands of connections that say nothing, and what one connection can take."""

from __future__ import annotations

import resource
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from consumers_tests.server.live import PATIENCE, Process, handshake
from consumers_tests.stopwatch import Stopwatch

from .frames import PING, TEXT, bomb, frame, opened, push
from .servers import in_process

MIB = 1024 * 1024
CROWD = 9500
KIB_EACH = 24
"""What stock uvicorn with `websockets` takes for an idle connection, and a bit more."""

pytestmark = [
    pytest.mark.may_skip,
    pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's"),
]


@pytest.fixture
def files() -> Iterator[int]:
    """Allow as many open files as the system lets this process have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def kib(process: Process, name: str) -> int:
    """Return what a line of the process's status says: VmRSS, or its peak, VmHWM."""
    status = Path(f"/proc/{process.popen.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1])


def test_a_crowd_is_idle(loop: str, files: int) -> None:
    """9,500 connections are opened, served, and closed in time by the server's end."""
    crowd = min(CROWD, files - 500)
    # On a slow machine it takes longer than until the first ping.
    quiet = ("--ws-ping-interval", "600")
    with in_process(loop, *quiet) as (process, server), ExitStack() as stack:
        stack.enter_context(opened(server)).close()
        before = kib(process, "VmRSS")
        sockets: list[socket.socket] = []
        for _ in range(0, crowd, 100):
            # Handshakes of a hundred at a time: what is waiting to be accepted is kept.
            some = [stack.enter_context(server.raw(handshake())) for _ in range(100)]
            for sock in some:
                head = b""
                while b"\r\n\r\n" not in head:
                    head += sock.recv(1000)
                assert head.startswith(b"HTTP/1.1 101 ")
            sockets += some
        each = (kib(process, "VmRSS") - before) / len(sockets)
        assert each < KIB_EACH

        for sock in sockets[::100]:
            sock.sendall(frame(TEXT, b"hello"))
            assert sock.recv(100) == b"\x81\x05hello"

        watch = Stopwatch(process.popen.pid)
        process.terminate()
        for sock in sockets:
            assert sock.recv(100)[2:4] == (1012).to_bytes(2)
            sock.close()
            watch.look()
        assert process.wait(6 * PATIENCE) == 0
        assert watch.seconds() < 15


def test_a_bomb_takes_no_memory(loop: str) -> None:
    """200 KiB that inflate to 200 MiB take no more than a message may have."""
    options = ("--ws-per-message-deflate", "--ws-max-size", str(MIB))
    with in_process(loop, *options) as (process, server):
        offer = {"Sec_WebSocket_Extensions": "permessage-deflate"}
        with opened(server, **offer) as sock:
            before = kib(process, "VmHWM")
            sock.sendall(bomb(200 * MIB))
            while sock.recv(65536):
                pass
            assert kib(process, "VmHWM") - before < 8 * 1024


def test_pings_take_no_memory(loop: str) -> None:
    """64 MiB of pings, whose answers are not read, take no more than a buffer."""
    with in_process(loop) as (process, server), opened(server) as sock:
        before = kib(process, "VmHWM")
        push(sock, frame(PING, bytes(125)) * 500, 1000)
        assert kib(process, "VmHWM") - before < 8 * 1024


def test_a_signal_ends_it_in_time(loop: str) -> None:
    """After SIGTERM the process exits with 0 in time, whoever stalls or is busy."""
    options = ("--graceful-timeout", "1", "--unacknowledged-timeout", "off")
    with in_process(loop, *options) as (process, server), ExitStack() as stack:
        stack.enter_context(opened(server, "/flood"))
        stack.enter_context(server.raw(handshake()[:50]))
        stack.enter_context(server.raw(b"POST / HTTP/1.1\r\nHost: x\r\n"))
        for _ in range(20):
            busy = stack.enter_context(opened(server))
            busy.settimeout(0.05)
            with suppress(TimeoutError):
                while True:  # until echoes fill the buffers of both
                    busy.sendall(frame(TEXT, b"x" * 1000) * 100)
        begun = time.monotonic()
        process.terminate()
        assert process.wait(PATIENCE) == 0
        assert 0.9 < time.monotonic() - begun < 1 + 5
