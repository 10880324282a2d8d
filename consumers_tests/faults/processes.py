"""Processes of a run: servers, and others that answer line by line.

Whoever starts one ends it, by its own handle.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import IO, ClassVar, Self, TypeVar

import msgspec

from consumers_tests.valkey import free_port

from .jobs import Settings, State
from .verdict import Kept

__all__ = ["BACKENDS", "ROOT", "FaultError", "Server", "Talker"]

ROOT = Path(__file__).resolve().parents[2]

BACKENDS = {
    "asyncio": ("--backend", "asyncio", "--loop", "asyncio"),
    "uvloop": ("--backend", "asyncio", "--loop", "uvloop"),
    "trio": ("--backend", "trio"),
}
"""``{name: arguments of consumers run}``."""

_START, _STOP = 30.0, 20.0  # seconds

T = TypeVar("T")


class FaultError(Exception):
    """A run could not be carried through; the text says why."""


def environment(settings: Settings) -> dict[str, str]:
    """Return the environment of a process that serves the application, or uses it."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "GROUPS_URL": settings.url,
        "FAULTS_SETTINGS": msgspec.json.encode(settings).decode(),
    }


class Server:
    """``consumers run`` in a process of its own. ``port``: of one that was killed."""

    app: ClassVar = "consumers_tests.faults.application:app"

    def __init__(
        self,
        backend: str,
        settings: Settings,
        *arguments: str,
        port: int = 0,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.port = port or free_port()
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._popen = subprocess.Popen(
            [
                *(sys.executable, "-m", "consumers", "run", "--log-level", "warning"),
                *("--port", str(self.port), "--no-access-log", *BACKENDS[backend]),
                *arguments,
                self.app,
            ],
            cwd=ROOT,
            env=environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            pass_fds=pass_fds,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Its process."""
        return self._popen.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._popen.poll() is None:
            self._popen.terminate()
            try:
                self._popen.wait(_STOP)
            except subprocess.TimeoutExpired:
                self.kill()
        self._log.close()

    def ready(self) -> None:
        """Wait until it serves."""
        deadline = time.monotonic() + _START
        while time.monotonic() < deadline and self._popen.poll() is None:
            try:
                self.ask()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise FaultError(f"the server did not start:\n{self.log()[-3000:]}")

    def ask(self) -> None:
        """Ask something, so that it answers."""
        self.state()

    def state(self, query: str = "") -> State:
        """Ask what it holds."""
        url = f"http://127.0.0.1:{self.port}/state?{query}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return msgspec.json.decode(answer.read(), type=State)

    def kept(self, group: str) -> Kept:
        """Ask what the broker has kept of a group."""
        url = f"http://127.0.0.1:{self.port}/kept?group={group}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            return msgspec.json.decode(answer.read(), type=Kept)

    @property
    def status(self) -> int | None:
        """Its exit code; ``None``: it runs."""
        return self._popen.poll()

    def terminate(self) -> None:
        """Ask it to end, by SIGTERM."""
        self._popen.terminate()

    def wait(self, seconds: float) -> None:
        """Wait until it has ended.

        Raises:
            FaultError: It took too long.
        """
        try:
            self._popen.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise FaultError(f"a server did not end: {self.log()[-3000:]}") from error

    def kill(self) -> None:
        """End it at once, as ``kill -9`` does."""
        self._popen.kill()
        self._popen.wait(_STOP)

    def log(self) -> str:
        """Return what it has logged."""
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode(errors="replace")


class Talker:
    """A process that is written to and read from line by line, always with a limit.

    Args:
        module: What runs, in this package.
        arguments: Its arguments.
        settings: Of the application, where it uses that.
    """

    def __init__(
        self, module: str, *arguments: str, settings: Settings | None = None
    ) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.{module}", *arguments],
            cwd=ROOT,
            env=environment(settings or Settings()),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        if any(error):
            self._popen.kill()
        self._popen.stdin.close()
        try:
            self._popen.wait(_STOP)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        self._popen.stdout.close()

    def kill(self) -> None:
        """End it at once, as ``kill -9`` does."""
        self._popen.kill()
        self.__exit__()

    def write(self, message: msgspec.Struct) -> None:
        """Write one line."""
        assert self._popen.stdin is not None
        self._popen.stdin.write(msgspec.json.encode(message) + b"\n")
        self._popen.stdin.flush()

    def read(self, kind: type[T], seconds: float) -> T:
        """Read one line.

        Raises:
            FaultError: It took too long, or the process has ended.
        """
        (line,) = self.lines(seconds, 1)
        return msgspec.json.decode(line, type=kind)

    def lines(self, seconds: float, least: int = 0) -> Sequence[bytes]:
        """Read what lines there are, and wait until there are as many as asked for."""
        assert self._popen.stdout is not None
        deadline = time.monotonic() + seconds
        found: list[bytes] = []
        while True:
            *whole, self._buffer = self._buffer.split(b"\n")
            found += whole
            left = max(0.0, deadline - time.monotonic()) if len(found) < least else 0.0
            ready, _, _ = select.select([self._popen.stdout], [], [], left)
            if not ready:
                if len(found) >= least:
                    return found
                raise FaultError(f"a process took more than {seconds:.0f} s to answer")
            data = os.read(self._popen.stdout.fileno(), 1 << 20)
            if not data:
                if len(found) >= max(least, 1):
                    return found
                raise FaultError("a process has ended before it answered")
            self._buffer += data
