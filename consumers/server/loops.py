"""The event loop of a process that only serves."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from contextlib import nullcontext
from socket import socket
from typing import Any, Final, cast

import anyio
from anyio.abc import TaskStatus
from uvicorn.importer import ImportFromStringError, import_from_string

from consumers.errors import ConfigurationError
from consumers.server.collecting import ShortCollections
from consumers.server.lifespan import ASGIApplication
from consumers.server.options import Options
from consumers.server.serve import serve_until
from consumers.server.shutdown import Shutdown
from consumers.server.sockets import release, url_of

__all__ = ["serve_process"]

logger: Final = logging.getLogger("consumers.server")


def serve_process(
    app: ASGIApplication,
    options: Options,
    sockets: list[socket],
    *,
    announce: bool = False,
) -> None:
    """Serve in an event loop of its own, until a signal comes."""

    def leave() -> None:
        logger.error("the process ends without them")
        if announce:  # else they are its parent's
            for sock in sockets:
                release(sock, options)
        logging.shutdown()
        sys.stdout.flush()
        os._exit(1)

    backend_options: dict[str, Any] = {}
    if options.backend == "asyncio":
        backend_options["loop_factory"] = _loop_factory(options.loop)
    status: TaskStatus[Any] = anyio.TASK_STATUS_IGNORED
    if announce:
        status = _Announcement(url_of(sockets[0], options))

    async def main() -> None:
        await serve_until(
            Shutdown(leave),
            app,
            options,
            sockets,
            task_status=status,
            # Windows' event loop knows no signals; Ctrl+C cancels the call there.
            install_signal_handlers=sys.platform != "win32",
        )

    with ShortCollections() if options.short_collections else nullcontext():
        anyio.run(main, backend=options.backend, backend_options=backend_options)


class _Announcement:
    """Says where the server is, once it is there."""

    def __init__(self, url: str) -> None:
        self.url = url

    def started(self, value: object = None) -> None:
        logger.info("serving on %s (Ctrl+C stops it)", self.url)


def _loop_factory(name: str) -> Callable[[], Any] | None:
    if name == "asyncio":
        return None
    if name in ("auto", "uvloop"):
        try:
            import uvloop
        except ImportError as error:
            if name == "auto":
                return None
            raise ConfigurationError(
                "loop 'uvloop' needs its package, got none; pip install "
                "'anyio-consumers[uvloop]'"
            ) from error
        return uvloop.new_event_loop
    try:
        return cast("Callable[[], Any]", import_from_string(name))
    except (ImportError, ImportFromStringError) as error:
        raise ConfigurationError(
            f"loop must name a function that makes an event loop, got {name!r}: {error}"
        ) from error
