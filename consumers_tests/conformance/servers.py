"""The servers that are tried. One more is one line here."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import uvicorn

from consumers.server.options import Options
from consumers.server.sockets import address_of, bind
from consumers_tests.server.live import PATIENCE, Kind, Process, Server, in_thread

__all__ = [
    "COMMANDS",
    "OURS",
    "PROTOCOL",
    "STOCK",
    "Kind",
    "Server",
    "in_process",
    "reference",
    "serving",
]

PROTOCOL = "consumers.server.uvicorn:Protocol"

OURS: dict[str, Kind] = {
    "asyncio": Kind("asyncio", PROTOCOL),
    "uvloop": Kind("asyncio", PROTOCOL, uvloop=True),
    "trio": Kind("trio"),
}
"""``{loop: the server on it}``: what is shown to be right."""

STOCK = Kind("asyncio", "websockets-sansio")
"""What uvicorn has without us."""

COMMANDS: dict[str, tuple[str, ...]] = {
    "asyncio": ("--loop", "asyncio", "--ws", PROTOCOL),
    "uvloop": ("--loop", "uvloop", "--ws", PROTOCOL),
    "trio": ("--backend", "trio"),
}
"""The same for `consumers run`."""


@contextmanager
def serving(app: Any, loop: str, **settings: Any) -> Iterator[Server]:
    """Serve on one of them; messages may have 20 MiB, and nothing is logged."""
    settings = {"ws_max_size": 20 * 1024 * 1024, "access_log": False, **settings}
    with in_thread(app, OURS[loop], **settings) as server:
        yield server


@contextmanager
def in_process(loop: str, *options: str) -> Iterator[tuple[Process, Server]]:
    """Serve the applications of `consumers_tests.server.apps` in a process."""
    app = "consumers_tests.server.apps:app"
    with Process(*COMMANDS[loop], "--port", "0", *options, app) as process:
        server = process.server()
        # A line is logged for each WebSocket, and nobody reads the pipe.
        assert process.popen.stderr is not None
        threading.Thread(target=process.popen.stderr.read, daemon=True).start()
        yield process, server


@contextmanager
def reference(app: Any) -> Iterator[Server]:
    """Serve HTTP on uvicorn with `h11`, as uvicorn does that by itself."""
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    sock = bind(Options(port=0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
    thread.start()
    try:
        yield Server(*address_of(sock), Future(), thread.join)
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        sock.close()
