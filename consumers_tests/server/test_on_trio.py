"""What our server on trio does at its start and at its end."""

from __future__ import annotations

import errno
import socket
import time
from pathlib import Path
from typing import Any, Self

import anyio
import pytest
import trio
from starlette.responses import FileResponse

from consumers.server import on_trio
from consumers.server.options import Options
from consumers.server.serve import serve, serve_until
from consumers.server.shutdown import Shutdown
from consumers.server.trio_poller import EpollPoller, Pollable
from consumers_tests.server.apps import Probe
from consumers_tests.server.live import KINDS, PATIENCE, handshake, in_thread

TRIO = KINDS["trio"]
END_OF_FILE = Path(__file__).read_bytes()[-20:]


def test_pings_do_not_hold_a_client_that_left() -> None:
    """Between two pings nothing waits for a client that is gone."""
    probe = Probe()
    with in_thread(probe, TRIO, ws_ping_interval=60.0, graceful_timeout=60.0) as server:
        with server.connect("/echo") as client:
            client.socket.shutdown(socket.SHUT_RDWR)
        probe.disconnects.get(timeout=PATIENCE)
        begun = time.monotonic()
        server.stop()

    # What is still open at a stop would be waited for.
    assert time.monotonic() - begun < PATIENCE


def test_a_kept_alive_connection_ends_at_the_stop() -> None:
    """An HTTP connection that waits for its next request is closed at once."""
    with in_thread(Probe(), TRIO, graceful_timeout=60.0) as server:
        idle = server.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle.recv(65536).startswith(b"HTTP/1.1 200")
        begun = time.monotonic()
        server.stop()

    with idle:
        assert time.monotonic() - begun < PATIENCE


def test_a_connection_that_got_a_file_ends_at_the_stop() -> None:
    """It is closed at once too, though Starlette cancels what sends a file."""
    app = FileResponse(__file__)
    with in_thread(app, TRIO, graceful_timeout=3 * PATIENCE) as server:
        idle = server.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        while not idle.recv(65536).endswith(END_OF_FILE):
            pass
        begun = time.monotonic()
        server.stop()

    with idle:
        assert time.monotonic() - begun < PATIENCE


def test_a_handshake_without_an_answer_is_cut_at_the_limit() -> None:
    """A connection that is not accepted yet has the graceful timeout, and no more."""
    with in_thread(Probe(), TRIO, graceful_timeout=0.2) as server:
        begun = time.monotonic()
        half = server.raw(handshake()[:-2])
        with server.connect("/echo"):
            server.stop()

    with half:
        assert time.monotonic() - begun < PATIENCE


def test_an_application_that_ignores_the_disconnect_is_cancelled() -> None:
    """Work that goes on after the close frame is cancelled at the limit."""
    probe = Probe()
    with (
        in_thread(probe, TRIO, graceful_timeout=0.2) as server,
        server.connect("/sleep") as client,
    ):
        client.send("heard")
        probe.scopes.get(timeout=PATIENCE)
        server.stop()

    assert probe.lifespan[-2:] == ["connection ended", "lifespan.shutdown"]


class Scarce(socket.socket):
    """A listening socket that has no room at first, for a reason."""

    failures: list[int]

    @classmethod
    def listening(cls, *failures: int) -> Self:
        """Return one on a free port."""
        sock = cls()
        sock.failures = [*failures]
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        return sock

    def accept(self) -> tuple[socket.socket, Any]:
        if self.failures:
            raise OSError(self.failures.pop(0), "no room")
        return super().accept()


def test_a_process_without_room_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    """Where nothing can be accepted that is logged, and tried again."""
    listener = Scarce.listening(errno.EMFILE, errno.ECONNABORTED)

    async def main() -> bytes:
        async with anyio.create_task_group() as group:

            async def run(*, task_status: Any) -> None:
                await serve(
                    Probe(), Options(), sockets=[listener], task_status=task_status
                )

            host, port = await group.start(run)
            stream = await trio.open_tcp_stream(host, port)
            async with stream:
                await stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                answer = await stream.receive_some(65536)
            group.cancel_scope.cancel()
        return bytes(answer)

    async def in_time() -> bytes:
        with trio.fail_after(PATIENCE):
            return await main()

    assert trio.run(in_time).startswith(b"HTTP/1.1 200 ")
    assert [r.getMessage() for r in caplog.records if r.levelname == "ERROR"] == [
        "no connection can be accepted: [Errno 24] no room"
    ]


def test_a_connection_that_can_not_be_watched_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where the kernel has no room for it, all of it ends before it is closed.

    Its timer would later end whoever has the same descriptor by then.
    """
    told: list[tuple[str, int]] = []

    class Full(EpollPoller):
        def watch(self, fd: int, owner: Pollable, read: bool, write: bool) -> None:
            if not told:
                told.append(("watch", fd))
                raise OSError(errno.ENOSPC, "no room")
            super().watch(fd, owner, read, write)

        def forget(self, fd: int) -> None:
            told.append(("forget", fd))
            super().forget(fd)

    monkeypatch.setattr("consumers.server.on_trio.best_poller", Full)
    with in_thread(Probe(), TRIO) as server:
        with server.raw(b"") as dropped:
            assert dropped.recv(1) == b""
            (_, fd), *rest = told
            assert rest == [("forget", fd)]
        with server.connect("/echo") as client:
            client.send("hello")
            assert client.recv(timeout=PATIENCE) == "hello"


class Unending:
    """An application whose connections shield themselves until they are let go."""

    def __init__(self) -> None:
        self.entered = anyio.Event()
        self.let_go = anyio.Event()
        self.stopped = anyio.Event()
        self.ends: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            self.ends.append("lifespan")
            self.stopped.set()
            return
        with anyio.CancelScope(shield=True):
            self.entered.set()
            await self.let_go.wait()
        self.ends.append("connection")


@pytest.mark.parametrize("leaves", [False, True])
def test_a_stop_does_not_wait_for_what_does_not_end(
    leaves: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The lifespan is shut down all the same; then the process ends, if it may."""
    monkeypatch.setattr(on_trio, "CLEAN_UP_TIMEOUT", 0.05)
    app = Unending()
    left = []

    def leave() -> None:
        left.append([*app.ends])
        app.let_go.set()

    async def main() -> None:
        shutdown = Shutdown(leave if leaves else None)
        with trio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:

                async def run(*, task_status: Any) -> None:
                    options = Options(port=0, graceful_timeout=0.0)
                    await serve_until(
                        shutdown, app, options, None, task_status=task_status
                    )
                    app.ends.append("server")

                address = await group.start(run)
                async with await anyio.connect_tcp(*address) as client:
                    await client.send(handshake())
                    await app.entered.wait()
                    shutdown.requested.set()
                    await app.stopped.wait()
                    if not leaves:
                        await anyio.wait_all_tasks_blocked()
                        assert app.ends == ["lifespan"]
                        app.let_go.set()

    trio.run(main)

    assert app.ends == ["lifespan", "connection", "server"]
    assert left == ([["lifespan"]] if leaves else [])
    assert "1 calls of the application go on, 0.05 s after" in caplog.text
