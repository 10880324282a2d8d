"""Waiting until an application has done all that it can do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar, checkpoint

__all__ = ["deadline", "settle"]

# Rounds of the event loop before a look at the tasks. A message usually takes fewer.
_ROUNDS: Final = 10

# On asyncio, anyio looks again only after 0.1 s if it finds a task that can go on. To
# run some more rounds and ask anew is quicker.
_PATIENCE: Final = 0.0005

_THREAD_POLL: Final = 0.001

# {event loop: held by the task that settles}. Who settles is busy to look, and so two
# that do it at once would each see that the other one can go on.
_settling: Final[RunVar[anyio.Lock]] = RunVar("consumers.testing.settling")


async def settle() -> None:
    """Wait until no task can go on without new input or time.

    Threads of ``anyio.to_thread`` are waited for. Cancelling is safe.
    """
    async with _lock():
        await _settle()


def _lock() -> anyio.Lock:
    with suppress(LookupError):
        return _settling.get()
    lock = anyio.Lock()
    _settling.set(lock)
    return lock


async def _settle() -> None:
    blocked = 0
    # Twice, since a callback of the loop may have been on its way to wake a task.
    while blocked < 2:
        for _ in range(_ROUNDS):
            await checkpoint()
        with anyio.move_on_after(_PATIENCE) as patience:
            await anyio.wait_all_tasks_blocked()
        if patience.cancelled_caught:
            blocked = 0
        elif anyio.to_thread.current_default_thread_limiter().borrowed_tokens:
            blocked = 0
            await anyio.sleep(_THREAD_POLL)
        else:
            blocked += 1


@contextmanager
def deadline(seconds: float, explain: Callable[[], str]) -> Iterator[None]:
    """Bound a wait.

    Raises:
        TimeoutError: The body took longer; ``explain`` gives its text.
    """
    with anyio.move_on_after(seconds) as scope:
        yield
    if scope.cancelled_caught:
        raise TimeoutError(explain())
