"""How a server is told to end: by a signal, or by whoever runs it."""

from __future__ import annotations

import logging
import signal
from collections import Counter
from typing import Final

import anyio
from anyio.abc import TaskStatus

__all__ = ["CLEAN_UP_TIMEOUT", "Shutdown"]

logger: Final = logging.getLogger("consumers.server")

CLEAN_UP_TIMEOUT: Final = 10.0
"""Seconds that cancelled connections have to clean up, and after them the lifespan.

Not the graceful timeout: whoever sets that to 0 wants connections to be cut, and not
`on_disconnect` or the application's shutdown. As long as `limits.disconnect_timeout`.
"""


class Shutdown:
    """A request to end, and a second one to hurry."""

    def __init__(self) -> None:
        self.requested = anyio.Event()
        """Set once the server shall end: accept nothing more, close what is open."""
        self.hurried = anyio.Event()
        """Set once it shall not wait for connections any longer."""

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
                if seen[number] > 1:
                    self.hurried.set()
