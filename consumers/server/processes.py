"""Several processes on one address: workers, and one that is restarted on change."""

from __future__ import annotations

import logging
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess
from socket import socket
from typing import Any, Final

from uvicorn import Config
from uvicorn.supervisors.watchfilesreload import WatchFilesReload
from watchfiles import watch

from consumers.errors import ConfigurationError
from consumers.handshake.origins import Origins
from consumers.layers import MemoryLayer
from consumers.server.loading import describe, load
from consumers.server.logs import configure_logging
from consumers.server.loops import serve_process
from consumers.server.options import Options

__all__ = ["START_UP_FAILED", "Worker", "reload_on_change", "run_workers"]

logger: Final = logging.getLogger("consumers.server")

START_UP_FAILED: Final = 2
"""Exit code of a process that can't serve, and has said why."""

_RESTART_AFTER: Final = 1.0
"""Seconds that a worker has to live; one that dies sooner is replaced later."""


@dataclass(frozen=True)
class Worker:
    """What a child process does; it travels there by pickle."""

    app: str
    options: Options

    def __call__(self, sockets: list[socket] | None = None) -> None:
        """Import the application and serve it on the parent's sockets."""
        threading.Thread(target=_end_with_parent, daemon=True).start()
        configure_logging(self.options)
        MemoryLayer.workers = self.options.workers
        Origins.development = self.options.reload
        try:
            app = load(self.app, self.options)
            serve_process(app, self.options, sockets or [])
        except ConfigurationError as error:
            own_traceback, line = describe(error)
            sys.stderr.write(f"{own_traceback}error: {line}\n")
            sys.exit(START_UP_FAILED)


def _end_with_parent() -> None:
    """End as at SIGTERM when the parent is gone without a word: it was killed.

    Nobody else would end this process, which has the address that a new parent needs.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def reload_on_change(worker: Worker, sockets: list[socket]) -> None:
    """Run one worker, and restart it when a file changes, until a signal comes.

    A worker that can't start says why, and is tried again at the next change.
    """
    config = Config(
        worker.app,
        reload=True,
        reload_dirs=list(worker.options.reload_dirs) or [str(worker.options.directory)],
        log_config=None,
    )
    _Reload(config, target=worker, sockets=sockets).run()


class _Reload(WatchFilesReload):
    """uvicorn's, which begins to watch only after it has started the worker.

    What changes while the worker reads its files would never be loaded.
    """

    def startup(self) -> None:
        self.watcher = watch(
            *self.reload_dirs,
            watch_filter=None,
            stop_event=self.should_exit,
            yield_on_timeout=True,
            rust_timeout=100,  # milliseconds, which the first look takes
            ignore_permission_denied=True,
        )
        next(self.watcher)
        super().startup()


def run_workers(worker: Worker, sockets: list[socket]) -> None:
    """Run several workers, replacing those that die, until a signal comes.

    uvicorn's supervisor builds its own server in each child, which is not ours and
    knows no trio.

    Raises:
        ConfigurationError: The workers can't start. They said why on stderr.
    """
    _Workers(worker, sockets).run()


class _Workers:
    def __init__(self, worker: Worker, sockets: Sequence[socket]) -> None:
        self.worker = worker
        self.sockets = sockets
        self.ending = False
        self.failed = False
        self.starting = False
        """Whether the sockets are on their way to a worker."""
        self.processes: dict[SpawnProcess, float] = {}
        """``{process: when it was started}``, by the monotonic clock."""

    def run(self) -> None:
        before = {
            number: signal.signal(number, self.on_signal)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            for _ in range(self.worker.options.workers):
                self.start()
            while self.processes:
                multiprocessing.connection.wait([p.sentinel for p in self.processes])
                for process in [p for p in self.processes if not p.is_alive()]:
                    self.on_death(process)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if self.failed:
            raise ConfigurationError("the workers could not start; see above")

    def start(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        process = spawn.Process(
            target=self.worker, kwargs={"sockets": list(self.sockets)}
        )
        self.starting = True
        if not self.ending:  # else the sockets are closed
            process.start()
            self.processes[process] = time.monotonic()
        self.starting = False
        if self.ending:  # The signal came while it was being made.
            self.end(*self.processes.keys() & {process})

    def on_signal(self, number: int, frame: Any) -> None:
        # A second signal is passed on too: it tells the workers to hurry.
        self.end(*self.processes)

    def end(self, *processes: SpawnProcess) -> None:
        """End some processes; who is told twice hurries."""
        self.ending = True
        for process in processes:
            process.terminate()
        if not self.starting:
            # Workers have their own. As long as one of all is open clients connect,
            # and wait for somebody to accept them.
            for sock in self.sockets:
                sock.close()

    def on_death(self, process: SpawnProcess) -> None:
        started = self.processes.pop(process)
        lived = time.monotonic() - started
        pause = _RESTART_AFTER - lived
        failed = process.exitcode == START_UP_FAILED
        if failed:
            # Where one that is older serves, another try may succeed: what the
            # application stands on is away, or just being replaced.
            pause = _RESTART_AFTER
            latest = started - _RESTART_AFTER / 2  # those of the beginning are as old
            failed = all(other > latest for other in self.processes.values())
        if failed:
            self.failed = True
            self.end(*self.processes)
        elif not self.ending:
            logger.error(
                "worker %s ended with exit code %s; another one is started",
                process.pid,
                process.exitcode,
            )
            time.sleep(max(0.0, pause))
            self.start()
