"""Servers in processes of their own, and what they cost."""

import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from consumers_tests.benchmarks.jobs import Server

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT = 20.0  # seconds
# Channels over Redis needs 5 s to stop: it waits for the reply to a blocking command.
STOP_TIMEOUT = 2.0

Command = Callable[[str, int], Sequence[str]]
"""Makes the arguments after `python -m` that serve MODULE:APP on a port."""


class ServerError(Exception):
    """A server did not start, or broke while it was measured."""


def cpu(place: int) -> int:
    """Return the number of a CPU that this process may use, counted from 0 or -1."""
    return sorted(os.sched_getaffinity(0))[place]


def pin(pid: int, place: int) -> None:
    """Keep a process on one CPU, counted from 0 and from -1; needs two to choose."""
    if len(os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(pid, {cpu(place)})


def family(pid: int) -> list[int]:
    """Return a process, and all that it has started and that are still there."""
    everyone = [pid]
    for one in everyone:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            everyone += map(int, task.read_text().split())
    return everyone


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process, all its threads, has used so far."""
    # What clock_getcpuclockid(3) computes: exact to the nanosecond, where
    # /proc/PID/stat counts in ticks of 10 ms.
    return time.clock_gettime(~pid << 3 | 2)


def open_many_files() -> None:
    """Let this process, and those that it starts, open as many files as they may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def resident_kib(pid: int) -> int:
    """Return the physical memory of a process, in KiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


@contextmanager
def serve(
    command: Command,
    app: str,
    environment: Mapping[str, str] = MappingProxyType({}),
    tree: Path = ROOT,
) -> Iterator[Server]:
    """Run a server on the first CPU and on a free port until the block ends.

    Args:
        command: How it is started.
        app: What it serves, as MODULE:APP.
        environment: Variables to add to its environment.
        tree: The folder that it is started in, and takes this project's modules from.

    Raises:
        ServerError: It did not start within 20 seconds, or it logged a traceback.
    """
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command(app, port)],
            cwd=tree,
            env={**os.environ, **environment},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            pin(process.pid, 0)
            if not _listens(process, port):
                raise ServerError(f"{app} did not start:\n{_tail(log.fileno())}")
            yield Server(process.pid, port)
        finally:
            _stop(process)
        if "Traceback" in (text := _tail(log.fileno())):
            raise ServerError(f"{app} logged an error:\n{text}")


def _listens(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the server accepts; False when it ended or took too long."""
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return True
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the server, with whatever it started: the session is its own."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _tail(log: int) -> str:
    """Return the end of the log."""
    size = os.fstat(log).st_size
    return os.pread(log, 3000, max(0, size - 3000)).decode(errors="replace")
