"""What the layers of one process share: histories, presence and leases."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from .memory_history import MemoryHistory, MemoryKeys
from .memory_presence import MemoryPresence

if TYPE_CHECKING:
    from consumers.history import History

    from .memory import MemoryLayer

__all__ = ["MemoryStore"]

_SWEEP: Final = 1000


class MemoryStore:
    """The histories, presence and leases that the layers of one process share.

    Several layers may use it at once, each in an event loop and a thread of its own. It
    needs neither.

    Its memory is bounded by what was declared: what is asked for is first rid of what
    has run out, and all is swept after every 1,000 calls, or after as many calls as it
    has groups, if these are more. A store that nobody calls drops nothing. Idempotency
    keys are remembered for five minutes, the latest 100,000 of them.
    """

    def __init__(self) -> None:
        self.lock: Final = Lock()
        """To be held while anything here is used, for no longer than that."""
        self.histories: Final[dict[str, MemoryHistory]] = {}
        """``{group: what it keeps}``. May be asked without the lock what is there."""
        self.keys: Final = MemoryKeys()
        """The idempotency keys."""
        self.presence: Final[dict[str, MemoryPresence]] = {}
        """``{group: who is there}``."""
        self.leases: Final[dict[str, tuple[object, float]]] = {}
        """``{name: (its holder, when it ends)}``."""
        self.layers: Final[WeakSet[MemoryLayer]] = WeakSet()
        """The layers that run."""
        self.clock: Callable[[], float] = time.monotonic
        """What those that run go by; a test's, perhaps."""
        self._calls = 0

    def time(self) -> float:
        """Return the time, in seconds, for a layer that does not run."""
        return self.clock()

    def history(self, group: str, now: float) -> MemoryHistory | None:
        """Return a group's history without what is too old, if it has one."""
        history = self.histories.get(group)
        if history is not None and history.forgotten(now):
            del self.histories[group]
            return None
        return history

    def begin(self, group: str, declared: History, now: float) -> MemoryHistory:
        """Return a group's history, new where it had none."""
        history = self.history(group, now)
        if history is None:
            history = self.histories[group] = MemoryHistory(declared, now)
        else:
            history.remember(declared, now)
        return history

    def sweep(self, now: float) -> None:
        """Count a call, and drop all that has run out if it is time."""
        self._calls += 1
        size = len(self.histories) + len(self.presence) + len(self.leases)
        if self._calls < max(_SWEEP, size):
            return
        self._calls = 0
        for group in list(self.histories):
            self.history(group, now)
        for group, presence in list(self.presence.items()):
            if presence.forgotten(now):
                del self.presence[group]
        for name, (_, end) in list(self.leases.items()):
            if end <= now:
                del self.leases[name]
        self.keys.sweep(now)

    def clear(self) -> None:
        """Lose everything, as a broker does whose data are wiped."""
        with self.lock:
            self.histories.clear()
            self.presence.clear()
            self.leases.clear()
            self.keys.clear()
