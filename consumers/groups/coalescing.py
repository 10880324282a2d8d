"""Coalescing in front of the members: at most one delivery in so many seconds.

`Coalesce(every=...)` holds back, per event loop and group, what comes sooner, and keeps
the latest per key of it. One task serves all groups, and lasts while one is held back.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Awaitable, Callable, Hashable
from itertools import count
from typing import Any, Final

import anyio

from consumers.clock import current_time, move_on_after
from consumers.queues.policies import Coalesce

from .batch import Batch
from .counters import Counters
from .publication import Kind, Publication

__all__ = ["Coalescing"]

log = logging.getLogger("consumers")

_MOST: Final = 1000
"""Different keys that may wait for a delivery where the policy bounds none: then they
go out early, so that nothing is lost and the memory is bounded."""


class Coalescing:
    """Holds back what comes too soon after a delivery, on one event loop."""

    __slots__ = (
        "_begun",
        "_counters",
        "_deliver",
        "_due",
        "_more",
        "_order",
        "_spawn",
        "_waiting",
    )

    def __init__(
        self,
        deliver: Callable[[Publication], None],
        spawn: Callable[[Callable[[], Awaitable[Any]]], object],
        counters: Counters,
    ) -> None:
        """Begin with nothing.

        Args:
            deliver: Hands a publication, or a batch, to the members.
            spawn: Starts a task of the event loop's.
            counters: Where to count what was replaced by something newer.
        """
        self._deliver = deliver
        self._spawn = spawn
        self._counters = counters
        # {group: {key: the latest publication}} of all that had a delivery lately.
        self._waiting: dict[str, dict[Hashable, Publication]] = {}
        # A heap of (when a group may have its next delivery, tie-breaker, its name,
        # every).
        self._due: list[tuple[float, int, str, float]] = []
        self._order = count()
        # Groups that the task does not know yet, with their intervals.
        self._begun: list[tuple[str, float]] = []
        # There while the task is: set when there are such groups.
        self._more: anyio.Event | None = None

    def deliver(self, publication: Publication) -> None:
        """Deliver a publication, or hold it back until it is time.

        Raises:
            MessageNotEncodable: A member's codec can't send it; only where it was not
                held back. All others have got it.
            StateError: No task can be started, which would deliver what comes next.
        """
        policy = publication.policy
        if not isinstance(policy, Coalesce) or not policy.every:
            if publication.kind is not Kind.MESSAGE:
                self.flush(publication.group)
            self._deliver(publication)
            return
        key = policy.key_of(publication.message)
        if key is None or (policy.batch and publication.internal):
            self.flush(publication.group)
            self._deliver(publication)
            return
        waiting = self._waiting.get(publication.group)
        if waiting is None:
            self._hold_back(publication.group, policy.every)
            self._send({key: publication}, policy)
            return
        if waiting.pop(key, None) is not None:  # the newer one goes to the end
            self._counters.coalesced += 1
        waiting[key] = publication
        if len(waiting) >= (policy.messages or _MOST):
            self.flush(publication.group)

    def flush(self, group: str) -> None:
        """Deliver what waits of a group, at once."""
        waiting = self._waiting.get(group)
        if waiting:
            self._waiting[group] = {}
            try:
                policy = next(iter(waiting.values())).policy
                assert isinstance(policy, Coalesce)
                self._send(waiting, policy)
            except Exception:
                log.exception("publications to %s are dropped", group)

    def _send(self, items: dict[Hashable, Publication], policy: Coalesce) -> None:
        if policy.batch:
            self._deliver(Batch(items))
            return
        error: Exception | None = None
        for item in items.values():
            try:
                self._deliver(item)
            except Exception as failed:
                error = failed
        if error is not None:
            raise error

    def _hold_back(self, group: str, every: float) -> None:
        """Deliver nothing more of a group for ``every`` seconds."""
        self._waiting[group] = {}
        self._begun.append((group, every))
        if self._more is not None:
            self._more.set()
            return
        self._more = anyio.Event()
        try:
            self._spawn(self._run)
        except BaseException:
            self._end()
            raise

    async def _run(self) -> None:
        """Deliver what is due, until nothing is held back.

        Nobody else asks for the time: publishers may go by another clock.
        """
        try:
            while self._waiting:
                self._more = anyio.Event()
                now = current_time()
                for group, every in self._begun:
                    self._hold_on(group, every, now)
                self._begun.clear()
                seconds = self._due[0][0] - now
                if seconds > 0:
                    with move_on_after(seconds):
                        await self._more.wait()
                now = current_time()
                while self._due and self._due[0][0] <= now:
                    self._next(heapq.heappop(self._due), now)
        finally:
            # Cancelled: nothing may wait for a task that is not there any more.
            for group in [*self._waiting]:
                self.flush(group)
            self._end()

    def _end(self) -> None:
        self._more = None
        self._waiting.clear()
        self._begun.clear()
        self._due.clear()

    def _hold_on(self, group: str, every: float, now: float) -> None:
        heapq.heappush(self._due, (now + every, next(self._order), group, every))

    def _next(self, due: tuple[float, int, str, float], now: float) -> None:
        _, _, group, every = due
        if self._waiting[group]:
            self.flush(group)
            self._hold_on(group, every, now)
        else:
            del self._waiting[group]
