"""`groups.sync`: groups for threads, without ``await``."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
from anyio import from_thread
from anyio.lowlevel import EventLoopToken

from consumers.errors import StateError

if TYPE_CHECKING:
    from .declaration import Target
    from .groups import Groups
    from .presence import Present

__all__ = ["SyncGroups", "run_in"]

T = TypeVar("T")


def run_in(
    loops: set[EventLoopToken],
    token: EventLoopToken,
    function: Callable[..., Coroutine[Any, Any, T]],
    *args: Any,
) -> list[T]:
    """Run a coroutine function in another event loop, from a thread.

    Returns:
        What it returns, as the only item; none where the loop has ended, which then is
        taken out of ``loops``.
    """
    try:
        return [from_thread.run(function, *args, token=token)]
    except anyio.RunFinishedError:
        loops.discard(token)
        return []


class SyncGroups:
    """Groups for threads: a synchronous view, a worker thread, a shell.

    Each call waits until it is carried out on the event loop that has the members.
    Without members there is nothing to do, and it returns at once.
    """

    def __init__(self, groups: Groups) -> None:
        """Stand for ``groups``."""
        self._groups = groups

    def publish(self, group: Target, message: Any) -> None:
        """Send ``message`` to every member of ``group``. As ``Groups.publish``."""
        self._run(self._groups.publish, group, message)

    def publish_to_user(self, key: str, message: Any) -> None:
        """Send ``message`` to one user. As ``Groups.publish_to_user``."""
        self._run(self._groups.publish_to_user, key, message)

    def disconnect(self, *, user: str, code: int = 1008, reason: str = "") -> int:
        """Close every connection of one user. As ``Groups.disconnect``."""
        close = partial(self._groups.disconnect, user=user, code=code, reason=reason)
        return sum(self._run(close))

    def count(self, group: Target) -> int:
        """Return how many connections are members. As ``Groups.count``."""
        return sum(self._run(self._groups.count, group))

    def presence(self, group: Target) -> list[Present]:
        """Return who is in ``group``. As ``Groups.presence``."""
        found = self._run(self._groups.presence, group)
        return found[0] if found else []

    def _run(
        self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any
    ) -> list[T]:
        """Return what ``function`` returns, as the only item; none without members."""
        if _in_event_loop():
            raise StateError(
                "groups.sync is for threads, got a call from a coroutine, which would "
                "wait for itself; write await groups.publish(...)"
            )
        # From one event loop, every call reaches the members on all of them.
        for token in list(self._groups.loops):
            results = run_in(self._groups.loops, token, function, *args)
            if results:
                return results
        return []


def _in_event_loop() -> bool:
    try:
        anyio.get_current_task()
    except anyio.NoEventLoopError:
        return False
    return True
