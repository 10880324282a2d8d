"""Time that passed, without that in which who was timed had no processor."""

from __future__ import annotations

import os
import time
from pathlib import Path

__all__ = ["Stopwatch"]


def _stood_in_line(pid: int) -> float:
    """Return for how many seconds a process's main thread has waited for a processor.

    0 where the process has ended, or the kernel keeps no count: then all is counted.
    """
    try:
        ran_waited_times = Path(f"/proc/{pid}/schedstat").read_text()
    except OSError:
        return 0.0
    return int(ran_waited_times.split()[1]) / 1e9


class Stopwatch:
    """Counts seconds from when it is made.

    Not those in which this process, or one of others, was ready to run and stood in
    line: on a busy machine, with many tests beside one, these say nothing of what is
    tested. What a process waited for is known until it ends: :meth:`look` before.
    """

    def __init__(self, *others: int) -> None:
        pids = (os.getpid(), *others)
        self._begun = time.monotonic()
        self._before = {pid: _stood_in_line(pid) for pid in pids}
        self._most = dict(self._before)

    def look(self) -> None:
        """Note for how long each has stood in line until now."""
        for pid, most in self._most.items():
            self._most[pid] = max(most, _stood_in_line(pid))

    def seconds(self) -> float:
        """Return what has passed: the less, the more of it was spent in line."""
        passed = time.monotonic() - self._begun
        self.look()
        waited = sum(self._most.values()) - sum(self._before.values())
        return max(0.0, passed - waited)
