"""Runs one attack, and judges it by a bystander and by the server's memory."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from consumers_tests.faults.processes import BACKENDS
from consumers_tests.server.live import PATIENCE, ROOT, Process

from .assaults import Assault

__all__ = ["LONGEST", "Outcome", "run"]

LONGEST = 0.1
"""Seconds that a bystander's echo may take."""

_APP = "consumers_tests.attacks.application:app"
_UNGUARDED = "consumers_tests.attacks.unguarded"


@dataclass
class Outcome:
    """What came of one attack."""

    longest: float
    """The bystander's longest echo, in seconds."""
    median: float
    echoes: int
    grown: float
    """MiB by which the server's memory grew at most."""
    seconds: float
    problems: list[str]


def memory(pid: int) -> int:
    """Return the resident memory of a process and its children's, in KiB."""
    text = Path(f"/proc/{pid}/status").read_text()
    (line,) = (each for each in text.splitlines() if each.startswith("VmRSS"))
    return int(line.split()[1])


class Memory:
    """Looks at a process's memory now and then, and knows the most."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.first = self.most = memory(pid)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(0.05):
            try:
                self.most = max(self.most, memory(self._pid))
            except OSError:
                return

    def grown(self) -> float:
        """Look no more; return MiB."""
        self._over.set()
        self._thread.join()
        return (self.most - self.first) / 1024


@contextmanager
def bystander(port: int, pid: int) -> Iterator[dict[str, float]]:
    """Have an honest client beside; what it tells is there after the block."""
    told: dict[str, float] = {}
    module, server = "consumers_tests.attacks.bystander", (str(port), str(pid))
    with subprocess.Popen(
        [sys.executable, "-m", module, *server],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield told
            out, _ = process.communicate(timeout=3 * PATIENCE)
            if process.returncode == 0:
                told.update(json.loads(out.splitlines()[-1]))
        finally:
            process.kill()


def run(
    assault: Assault,
    loop: str,
    scale: float,
    *,
    guarded: bool = True,
    longest: float = LONGEST,
    alone: bool = True,
) -> Outcome:
    """Attack a server on a loop.

    Args:
        assault: What is done.
        loop: ``asyncio``, ``uvloop`` or ``trio``.
        scale: How much of it; 1: all.
        guarded: Whether what defends is on.
        longest: Seconds that a bystander's echo may take.
        alone: Whether nothing else is going on: if so, it counts as well for how long
            it had no processor.
    """
    options = assault.options if guarded else assault.unguarded
    app: tuple[str, ...] = (_APP,)
    if assault.without and not guarded:
        app = ("--factory", f"{_UNGUARDED}:{assault.without}")
    command = (*BACKENDS[loop], "--port", "0", "--no-access-log", *options, *app)
    problems = []
    with Process(*command) as process:
        server = process.server()
        stderr = process.popen.stderr
        assert stderr is not None
        threading.Thread(target=stderr.read, daemon=True).start()
        with server.connect("/echo") as first:  # whatever is loaded late
            first.send("x")
            first.recv(timeout=PATIENCE)
        watched = Memory(process.popen.pid)
        began = time.monotonic()
        with bystander(server.port, process.popen.pid) as told:
            time.sleep(0.1)
            if wrong := assault.run(server, scale):
                problems.append(wrong)
            time.sleep(0.1)
        took, grown = time.monotonic() - began, watched.grown()
        if process.popen.poll() is not None:
            problems.append("the server has ended")
        else:
            with server.connect("/echo") as after:
                after.send("still here")
                if after.recv(timeout=PATIENCE) != "still here":
                    problems.append("who came after is not served")
    if not told:
        problems.append("the bystander was not served to the end")
    waited = told.get("longest" if alone else "held", 999.0)
    if waited > longest:
        problems.append(f"the bystander waited for {1000 * waited:.0f} ms")
    if grown > assault.memory:
        problems.append(f"the server grew by {grown:.0f} MiB")
    median, echoes = told.get("median", 999.0), int(told.get("echoes", 0))
    return Outcome(waited, median, echoes, grown, took, problems)
