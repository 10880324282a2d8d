"""What commands run until Ctrl+C: as something that happens, not as an exception."""

from __future__ import annotations

import signal
import sys
from collections.abc import Awaitable, Callable

import anyio
import click
from anyio.abc import TaskStatus

from consumers.server.options import CHOICES

__all__ = ["backend_option", "until_interrupted"]

backend_option = click.option(
    "--backend",
    type=click.Choice(CHOICES["backend"]),
    default="asyncio",
    show_default=True,
    help="The event loop to run on.",
)
"""--backend: what :func:`until_interrupted` runs on."""


async def until_interrupted(work: Callable[[], Awaitable[None]]) -> None:
    """Do work until Ctrl+C cancels it; what it raises is raised.

    As an exception that is raised wherever the program happens to be, Ctrl+C has also
    come amid trio's own bookkeeping, which that does not survive. On Windows, whose
    event loop knows no signals, it remains one.
    """
    raised: Exception | None = None

    async def wait(*, task_status: TaskStatus[None]) -> None:
        with anyio.open_signal_receiver(signal.SIGINT) as signals:
            task_status.started()
            async for _ in signals:
                group.cancel_scope.cancel()
                return

    async with anyio.create_task_group() as group:
        if sys.platform != "win32":
            await group.start(wait)
        try:
            await work()
        except Exception as error:
            raised = error  # which the task group would wrap
        group.cancel_scope.cancel()
    if raised is not None:
        raise raised
