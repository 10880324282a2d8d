"""Tasks that no scope of the test's own task holds."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import copy_context
from threading import Thread
from typing import Any

import anyio
import anyio.from_thread
from anyio.abc import TaskGroup
from anyio.lowlevel import EventLoopToken, current_token

__all__ = ["Background"]


class Background:
    """A task group that one task may start and another one stop.

    anyio's own must be left by the task that entered it. A fixture of pytest-asyncio
    is set up in one task and torn down in another, so the group is held by a task that
    belongs to neither.
    """

    def __init__(self) -> None:
        self._group: TaskGroup | None = None
        self._started = anyio.Event()
        self._stopping = anyio.Event()
        self._ended = anyio.Event()

    async def start(self) -> None:
        """Make the group. If this is cancelled there is none."""
        # A thread is how anyio lets one start a task outside of all task groups.
        Thread(
            target=copy_context().run,
            args=(self._run_in_loop, current_token()),
            name="consumers.testing",
            daemon=True,
        ).start()
        try:
            await self._started.wait()
        except BaseException:
            self._stopping.set()
            raise

    async def stop(self, seconds: float) -> bool:
        """Cancel what still runs and wait for its end; tell whether it came in time.

        Not cancelled itself: the caller may be on its way out by a cancellation.
        """
        self._stopping.set()
        with anyio.move_on_after(seconds, shield=True):
            await self._ended.wait()
        return self._ended.is_set()

    def start_soon(self, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start a task, in a copy of the caller's context.

        Raises:
            RuntimeError: The group was not started, or was stopped.
        """
        if self._group is None or self._stopping.is_set():
            raise RuntimeError(
                "expected an entered client, got one outside of its `async with`; "
                "write `async with TestClient(app) as client:`"
            )
        self._group.start_soon(function)

    def _run_in_loop(self, token: EventLoopToken) -> None:
        # A loop that ends before the client is exited cancels the task. There is
        # nobody left to tell, and an error of a thread would spoil the report.
        with suppress(BaseException):
            anyio.from_thread.run(self._hold, token=token)

    async def _hold(self) -> None:
        try:
            async with anyio.create_task_group() as self._group:
                self._started.set()
                await self._stopping.wait()
                self._group.cancel_scope.cancel()
        finally:
            self._ended.set()
