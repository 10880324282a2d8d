"""How a server is told to end: by a signal, or by whoever runs it."""

from __future__ import annotations

import logging
import os
import signal
from collections import Counter
from collections.abc import Callable
from typing import Final

import anyio
from anyio.abc import TaskStatus

__all__ = ["CLEAN_UP_TIMEOUT", "Shutdown", "end_while_starting"]

logger: Final = logging.getLogger("consumers.server")

CLEAN_UP_TIMEOUT: Final = 10.0
"""Seconds that cancelled connections have to clean up, and after them the lifespan.

Not the graceful timeout: whoever sets that to 0 wants connections to be cut, and not
`on_disconnect` or the application's shutdown. As long as `limits.disconnect_timeout`.
"""


def end_while_starting() -> None:
    """Have SIGTERM end a container's first process before it serves, too.

    At once, as it does any other process; 143 is what a shell says of those.
    """
    # PID 1 is sent no signal that it has no handler for. A container that is stopped
    # while it imports its application would run on until it is killed.
    if os.getpid() == 1 and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda number, _: os._exit(128 + number))


class Shutdown:
    """A request to end, and a second one to hurry."""

    def __init__(self, leave: Callable[[], None] | None = None) -> None:
        self.leave = leave
        """Ends the process, where nothing is left to do but to wait for calls of the
        application that were cancelled long ago; ``None``: they are waited for."""
        self.requested = anyio.Event()
        """Set once the server shall end: accept nothing more, close what is open."""
        self.hurried = anyio.Event()
        """Set once it shall not wait for connections any longer."""
        self.has_started = False
        """Whether the application has; until then there is nothing to wait for."""
        self.serving = anyio.CancelScope()
        """Around all that it does: cancelled by a signal before it has started."""

    async def watch_signals(
        self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        """Turn SIGINT and SIGTERM into requests, until cancelled.

        Only in the main thread. The same signal twice means hurry; one of each does
        not: at Ctrl+C a worker gets SIGINT from the terminal and SIGTERM from its
        parent, and neither person nor parent is in a hurry.
        """
        seen: Counter[signal.Signals] = Counter()
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for number in signals:
                seen[number] += 1
                if not self.requested.is_set():
                    logger.info("stopping; the same signal again skips the waiting")
                self.requested.set()
                if not self.has_started:
                    self.serving.cancel()
                if seen[number] > 1:
                    self.hurried.set()
