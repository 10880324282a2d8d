"""What commands run until Ctrl+C: as something that happens, not as an exception."""

from __future__ import annotations

import signal
import sys
from collections.abc import Awaitable, Callable
from importlib.util import find_spec

import anyio
import click
from anyio.abc import TaskStatus

from consumers.errors import ConfigurationError
from consumers.server.options import CHOICES

__all__ = ["backend_option", "run_until_interrupted"]

backend_option = click.option(
    "--backend",
    type=click.Choice(CHOICES["backend"]),
    default="asyncio",
    show_default=True,
    help="The event loop to run on.",
)
"""--backend: what :func:`run_until_interrupted` runs on."""


def run_until_interrupted(work: Callable[[], Awaitable[None]], backend: str) -> None:
    """Do work on an event loop of its own, until Ctrl+C cancels it.

    Raises:
        ConfigurationError: There is no such event loop here.
    """
    if backend == "trio" and find_spec("trio") is None:
        raise ConfigurationError(
            "backend 'trio' needs its package, got none; pip install "
            "'anyio-consumers[trio]'"
        )
    anyio.run(_until_interrupted, work, backend=backend)


async def _until_interrupted(work: Callable[[], Awaitable[None]]) -> None:
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
