"""Servers to talk to: one in a thread, one in a process of its own."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from anyio.from_thread import start_blocking_portal
from websockets.sync.client import ClientConnection, connect

from consumers.server.options import Options
from consumers.server.serve import serve

ROOT = Path(__file__).parent.parent.parent

PATIENCE = 10.0
"""Seconds after which a test that waits has failed."""


@dataclass(frozen=True)
class Kind:
    """A server with an event loop."""

    backend: str
    ws: str = "auto"
    uvloop: bool = False

    def options(self, **settings: Any) -> Options:
        return Options(
            **{"port": 0, "backend": self.backend, "ws": self.ws, **settings}
        )


KINDS = {
    "own": Kind("asyncio"),
    "own-uvloop": Kind("asyncio", uvloop=True),
    "sansio": Kind("asyncio", "websockets-sansio"),
    "wsproto": Kind("asyncio", "wsproto"),
    "trio": Kind("trio"),
}


@dataclass
class Server:
    """A server that listens."""

    host: str
    port: int
    ended: Future[None]
    """Done when the server has ended; it must not be, unless the test ended it."""
    stop: Callable[[], object]

    def connect(self, path: str, **settings: Any) -> ClientConnection:
        """Connect a WebSocket client; it is used as a context manager."""
        settings = {"open_timeout": PATIENCE, "close_timeout": PATIENCE, **settings}
        url = f"ws://{self.host}:{self.port}{path}"
        client: ClientConnection = connect(
            url, proxy=None, compression=None, **settings
        )
        return client

    def raw(self, data: bytes = b"") -> socket.socket:
        """Connect a plain socket, and send bytes."""
        sock = socket.create_connection((self.host, self.port), timeout=PATIENCE)
        try:
            sock.sendall(data)
        except OSError:
            sock.close()
            raise
        return sock


@contextmanager
def in_thread(app: Any, kind: Kind, **settings: Any) -> Iterator[Server]:
    """Serve in a thread; the end of the block stops the server gracefully."""
    options = kind.options(**settings)
    backend_options = {"use_uvloop": True} if kind.uvloop else {}
    with start_blocking_portal(kind.backend, backend_options) as portal:
        ended, (host, port) = portal.start_task(serve, app, options)
        try:
            yield Server(host, port, ended, ended.cancel)
            assert ended.cancelled() or not ended.done(), "the server ended by itself"
        finally:
            ended.cancel()


def handshake(path: str = "/echo", **headers: str | None) -> bytes:
    """Return a handshake; a header that is None is left out."""
    fields = {
        "Host": "localhost",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return "\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]).encode("latin-1")


class Process:
    """`consumers run` in a process of its own; killed at the end if need be.

    ``under``: a command that runs the one that follows it. ``stdin``: a descriptor.
    """

    def __init__(
        self,
        *arguments: str,
        cwd: Path = ROOT,
        under: Sequence[str] = (),
        stdin: int | None = None,
    ) -> None:
        self.popen = subprocess.Popen(
            [*under, sys.executable, "-m", "consumers", "run", *arguments],
            stdin=stdin,
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.communicate(timeout=PATIENCE)

    def read_until(self, pattern: str) -> re.Match[str]:
        """Read its messages until one matches; fail when there are no more."""
        assert self.popen.stderr is not None
        seen = []
        # A pipe can't be read with a timeout; the end of the process ends it.
        impatience = threading.Timer(2 * PATIENCE, self.popen.kill)
        impatience.start()
        try:
            for line in self.popen.stderr:
                seen.append(line)
                if match := re.search(pattern, line):
                    return match
        finally:
            impatience.cancel()
        raise AssertionError(f"{pattern!r} was not said: {''.join(seen)}")

    def server(self) -> Server:
        """Wait until it serves."""
        port = int(self.read_until(r"serving .*on http://127\.0\.0\.1:(\d+)")[1])
        return Server("127.0.0.1", port, Future(), self.terminate)

    def terminate(self) -> None:
        self.popen.send_signal(signal.SIGTERM)

    def wait(self, seconds: float) -> int:
        """Wait for its end and return the exit code."""
        self.popen.communicate(timeout=seconds)
        return self.popen.returncode
