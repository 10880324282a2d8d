"""Several messages of one client handled at once: so many, and no more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from anyio import CancelScope, create_task_group

from .codecs import Event
from .errors import InvalidMessage
from .tasks import Tasks
from .verdict import Verdict

__all__ = ["Concurrency"]


class Concurrency:
    """Hands the messages of one connection to tasks."""

    __slots__ = ("_free", "_reading", "_tasks", "_verdict")

    def __init__(self, limit: int, tasks: Tasks, verdict: Verdict) -> None:
        """Begin with ``limit`` places that are free."""
        self._free = anyio.Semaphore(limit)
        self._reading = CancelScope()
        self._tasks = tasks
        self._verdict = verdict

    def stop(self) -> None:
        """Take no more messages; those that are handled may go on."""
        self._reading.cancel()

    async def handle_all(
        self,
        following: Callable[[], Awaitable[Event]],
        decode: Callable[[Event], Any],
        handle: Callable[[Any], Awaitable[Any]],
        last: Callable[[], None],
    ) -> None:
        """Handle messages until the client leaves, sends nonsense, or :meth:`stop`.

        Args:
            following: Returns the next event.
            decode: Makes a message of it.
            handle: Handles one.
            last: Is called when there are no more, and not after :meth:`stop`.
        """
        tasks, free = self._tasks, self._free

        async def run(message: Any) -> None:
            try:
                await handle(message)
            finally:
                free.release()

        async with create_task_group() as group:
            with self._reading:
                try:
                    while True:
                        event = await following()
                        if event["type"] == "websocket.disconnect":
                            break
                        message = decode(event)
                        # While all are taken the main task counts as busy, and the
                        # client's leaving is noticed by reading ahead.
                        await free.acquire()
                        if self._reading.cancel_called:
                            break
                        tasks.start(tasks.handlers, run, message, group=group)
                except InvalidMessage as error:
                    self._verdict.take_note(error)
            if not self._reading.cancel_called:
                last()
