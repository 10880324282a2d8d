"""Sizes, and clients that do not read: on each of our servers."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack, suppress

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from consumers_tests.server.apps import MIB, Probe
from consumers_tests.server.live import PATIENCE, handshake

from .frames import TEXT, frame, opened
from .servers import serving

SIZES = [0, 1, 24, 125, 126, 1024, 65_535, 65_536, 100_000, MIB]


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "compressed"])
def test_sizes(loop: str, compress: bool) -> None:
    """Messages of no byte up to 1 MiB come back as they were, alone and in a row."""
    with (
        serving(Probe(), loop, ws_per_message_deflate=compress) as server,
        connect(
            f"ws://{server.host}:{server.port}/echo",
            proxy=None,
            compression="deflate" if compress else None,
            max_size=None,
        ) as client,
    ):
        texts = ["x" * size for size in SIZES]
        # What does not shrink, so that its size is that of its frame.
        noise = bytes(range(256)) * (MIB // 256)
        messages: list[str | bytes] = [*texts, *(noise[:size] for size in SIZES)]
        for message in messages:
            client.send(message)
            assert client.recv(timeout=PATIENCE) == message
        for message in messages[:5] * 20:
            client.send(message)
        for message in messages[:5] * 20:
            assert client.recv(timeout=PATIENCE) == message


def test_a_peer_that_answers_no_ping_is_gone_in_time(loop: str) -> None:
    """An idle client is gone when a ping is not answered, and one that does is not."""
    # Where the one had no processor for as long as it may take there is another try.
    for patience in (0.2, 1.0, 3.0):
        probe = Probe()
        settings = {"ws_ping_interval": 0.2, "ws_ping_timeout": patience}
        with (
            serving(probe, loop, **settings) as server,
            server.connect("/echo", ping_interval=None) as alive,
        ):
            begun = time.monotonic()
            with server.raw(handshake()):
                event = probe.disconnects.get(timeout=PATIENCE)
            took = time.monotonic() - begun
            with suppress(ConnectionClosed):
                alive.send("still here")
                answer = alive.recv(timeout=PATIENCE)
                if probe.disconnects.empty():
                    break
    else:
        pytest.fail("a client that answers each ping is gone")

    assert answer == "still here"
    assert patience < took < patience + 5
    assert event["code"] in (1006, 1011)


def test_a_peer_that_stops_reading_is_gone_in_time(loop: str) -> None:
    """A client that reads nothing, and so no ping, is gone and releases who sends."""
    probe = Probe()
    settings = {"ws_ping_interval": 0.2, "ws_ping_timeout": 0.3}
    with (
        serving(probe, loop, unacknowledged_timeout=None, **settings) as server,
        server.raw(handshake("/flood")),
    ):
        assert probe.flooding.wait(PATIENCE)
        begun = time.monotonic()
        assert probe.released.wait(PATIENCE)
        assert time.monotonic() - begun < 5


@pytest.mark.may_skip
@pytest.mark.skipif(sys.platform != "linux", reason="TCP_USER_TIMEOUT is Linux's")
def test_the_system_notices_it_too(loop: str) -> None:
    """Without pings, a client that reads nothing is gone by the system's own timer."""
    probe = Probe()
    settings = {"ws_ping_interval": None, "ws_ping_timeout": None}
    with (
        serving(probe, loop, unacknowledged_timeout=0.5, **settings) as server,
        server.raw(handshake("/flood")),
    ):
        assert probe.flooding.wait(PATIENCE)
        assert probe.released.wait(PATIENCE)


def test_the_end_is_in_time_whoever_is_there(loop: str) -> None:
    """Stalled, busy and idle clients, and half a request, don't hold up a stop."""
    probe = Probe()
    with ExitStack() as clients:
        with serving(probe, loop, graceful_timeout=2) as server:
            clients.enter_context(server.raw(handshake("/flood")))
            assert probe.flooding.wait(PATIENCE)
            half = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1"
            clients.enter_context(server.raw(half))
            busy = clients.enter_context(opened(server))
            busy.settimeout(0.05)
            with suppress(TimeoutError):
                while True:  # until echoes fill the buffers of both
                    busy.sendall(frame(TEXT, b"x" * 1000) * 100)
            with server.connect("/echo") as idle:
                begun = time.monotonic()
                server.stop()
                with pytest.raises(ConnectionClosed) as caught:
                    idle.recv(timeout=PATIENCE)
                assert caught.value.rcvd is not None
                assert caught.value.rcvd.code == 1012
                assert time.monotonic() - begun < 1.9

        assert 1.9 < time.monotonic() - begun < 2 + 5
    assert probe.lifespan[-1] == "lifespan.shutdown"
