"""What our part of uvicorn does that uvicorn's own would not."""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from typing import Any, ClassVar

import anyio
import pytest
from websockets.exceptions import ConnectionClosedError

from consumers.errors import ConfigurationError
from consumers.server.options import Options
from consumers.server.serve import serve
from consumers_tests.server.apps import Probe
from consumers_tests.server.hostile import HANDSHAKES
from consumers_tests.server.live import KINDS, PATIENCE, handshake, in_thread


@pytest.mark.parametrize("ws", ["no_such_module:Protocol", "math:Protocol", "math:pi:"])
def test_a_missing_protocol_is_an_error(ws: str) -> None:
    """A WebSocket protocol that can't be imported is told at start-up."""
    options = Options(port=0, ws=ws)

    with pytest.raises(ConfigurationError, match=f"ws must name .* got '{ws}'"):
        anyio.run(serve, Probe(), options)


def test_uvicorn_does_not_call_the_application() -> None:
    """An application that takes any arguments is not called to see what it is."""
    calls = []

    async def app(*event: object) -> None:
        calls.append(event)
        await Probe()(*event)

    with in_thread(app, KINDS["sansio"]) as server, server.connect("/echo"):
        pass

    assert () not in calls


def test_a_forgotten_connection_holds_up_nothing() -> None:
    """A handshake that wsproto can't decode stays in uvicorn's books; we end anyway."""
    with in_thread(Probe(), KINDS["wsproto"], graceful_timeout=60.0) as server:
        with server.raw(HANDSHAKES["extensions not ASCII"]) as sock:
            assert sock.recv(65536) == b""
        begun = time.monotonic()
        server.stop()

    assert time.monotonic() - begun < PATIENCE


@pytest.mark.parametrize("ws", ["sansio", "wsproto"])
def test_a_client_that_is_closing_does_not_break_the_end(ws: str) -> None:
    """A stop while a client's close is under way ends everybody in order."""
    probe = Probe()
    close_frame = b"\x88\x82\x00\x00\x00\x00\x03\xe8"
    with in_thread(
        probe, KINDS[ws], graceful_timeout=0.0, unacknowledged_timeout=None
    ) as server:
        # What it does not read keeps its connection in the server's books.
        closing = server.raw(handshake("/flood"))
        assert probe.flooding.wait(PATIENCE)
        closing.sendall(close_frame)
        with server.connect("/echo") as bystander:
            bystander.send("the close frame was read before this")
            bystander.recv(timeout=PATIENCE)
            server.stop()
            with pytest.raises(ConnectionClosedError, match="1012"):
                bystander.recv(timeout=PATIENCE)

    closing.close()
    assert probe.lifespan == [
        "lifespan.startup",
        "connection ended",
        "connection ended",
        "lifespan.shutdown",
    ]


def test_an_application_that_ignores_the_disconnect_is_cancelled() -> None:
    """Work that goes on after the close frame is cancelled, and waited for."""
    probe = Probe()
    with (
        in_thread(probe, KINDS["sansio"], graceful_timeout=0.2) as server,
        server.connect("/sleep"),
    ):
        probe.scopes.get(timeout=PATIENCE)
        server.stop()

    assert probe.lifespan[-2:] == ["connection ended", "lifespan.shutdown"]


class Scarce(socket.socket):
    """A listening socket of a process that has no room for another connection."""

    backlogs: ClassVar[list[int]] = []

    def accept(self) -> tuple[socket.socket, Any]:
        raise OSError(errno.EMFILE, "no room")

    def listen(self, backlog: int = 0) -> None:
        self.backlogs.append(backlog)
        super().listen(backlog)


def test_a_process_without_room_is_not_busy_with_saying_so() -> None:
    """Where nothing can be accepted there are few attempts, then a pause."""
    listener = Scarce()
    listener.bind(("127.0.0.1", 0))
    told = []

    async def main() -> None:
        loop, failing = asyncio.get_running_loop(), anyio.Event()

        def tell(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            told.append(context["exception"])
            failing.set()

        loop.set_exception_handler(tell)
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:

                async def run(*, task_status: Any) -> None:
                    await serve(
                        Probe(),
                        Options(backlog=500),
                        sockets=[listener],
                        task_status=task_status,
                    )

                address = await group.start(run)
                with socket.create_connection(address):
                    await failing.wait()
                group.cancel_scope.cancel()

    asyncio.run(main())

    assert 0 < len(told) <= 32
    assert listener.backlogs[-1] == 500
