"""Signals become requests to end, and to hurry."""

from __future__ import annotations

import os
import signal

import anyio
import pytest

from consumers.server.shutdown import Shutdown


@pytest.mark.parametrize(
    ("signals", "hurried"),
    [
        ([signal.SIGTERM], False),
        ([signal.SIGINT], False),
        ([signal.SIGINT, signal.SIGTERM], False),
        ([signal.SIGTERM, signal.SIGTERM], True),
        ([signal.SIGINT, signal.SIGINT], True),
    ],
)
async def test_a_signal_ends_and_the_same_one_hurries(
    signals: list[signal.Signals], hurried: bool
) -> None:
    """The first signal asks for the end; only the same one again is a hurry."""
    shutdown = Shutdown()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            await group.start(shutdown.watch_signals)
            assert not shutdown.requested.is_set()
            for number in signals:
                os.kill(os.getpid(), number)
                await anyio.wait_all_tasks_blocked()
            await shutdown.requested.wait()
            if hurried:
                await shutdown.hurried.wait()
            group.cancel_scope.cancel()

    assert shutdown.hurried.is_set() is hurried
