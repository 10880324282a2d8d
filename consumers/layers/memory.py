"""The layer of an application that is one process."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from types import TracebackType
from typing import Any, ClassVar, Final

from consumers.clock import LoopClock, current_clock
from consumers.history import History, Position

from .contract import (
    Changes,
    Count,
    Entry,
    Overview,
    Parcel,
    Receiver,
    Renewal,
    Replay,
)
from .memory_presence import MemoryPresence, Stay
from .memory_store import MemoryStore

__all__ = ["MemoryLayer"]

log: Final = logging.getLogger("consumers")


class MemoryLayer:
    """Delivers what is published on this event loop to this event loop.

    Other event loops of the process have layers of their own, on the same store; what
    is published here reaches them by nothing but the history. It goes by the clock of
    the context in which it was entered.
    """

    local: Final = True

    workers: ClassVar[int] = 1
    """How many processes serve the application. The server says it, or the variable
    ``WEB_CONCURRENCY`` by which uvicorn and gunicorn are told."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        """Make a layer.

        Args:
            store: What it shares with other layers; ``None``: nothing.
        """
        self.subscribed: Final[set[str]] = set()
        """The names of the groups that are delivered."""
        self._store = MemoryStore() if store is None else store
        # What is entered and held is marked with this, and not with the layer: it would
        # outlive its event loop by that.
        self._owner = object()
        self._receiver: Receiver | None = None
        self._now: Callable[[], float] = self._store.time
        # {group: our stay there, from when we began it}. If it is another one now, some
        # of those that we have entered are gone.
        self._stays: dict[str, Stay] = {}
        self._kept = 0
        self._repeated = 0

    def running(self, receiver: Receiver) -> AbstractAsyncContextManager[None]:
        """Deliver to ``receiver`` while the context lasts; it may last for ever."""
        return _Running(self, receiver)

    def start(self, receiver: Receiver) -> None:
        """Deliver from now on."""
        clock = current_clock.get()
        # Event loops count from different starts, their store can't.
        self._now = time.monotonic if isinstance(clock, LoopClock) else clock.time
        self._receiver = receiver
        with self._store.lock:
            self._store.layers.add(self)
            self._store.clock = self._now

    def stop(self) -> None:
        """Deliver no longer."""
        self._receiver = None
        self.subscribed.clear()
        with self._store.lock:
            self._store.layers.discard(self)
            was_last = not self._store.layers
        if was_last:
            self._store.clock = time.monotonic
            # The next to run is another run of the application, whose clock may be
            # another as well: a test's.
            self._store.clear()

    # -- publications ---------------------------------------------------------------

    async def publish(self, parcels: Sequence[Parcel]) -> list[Position | None]:
        """Deliver at once; keep what is to be kept."""
        positions: list[Position | None] = []
        histories, subscribed = self._store.histories, self.subscribed
        for parcel in parcels:
            group = parcel.group
            position: Position | None = None
            if (
                parcel.history is not None
                or parcel.idempotency_key is not None
                or (group in histories and not parcel.transient)
            ):
                position, repeated = self._keep(parcel)
                if repeated:
                    positions.append(position)
                    continue
            positions.append(position)
            if group in subscribed and self._receiver is not None:
                self._receiver.deliver(group, parcel, position)
        return positions

    def _keep(self, parcel: Parcel) -> tuple[Position | None, bool]:
        """Keep a parcel; return its position and whether it is a repetition."""
        store, group, key = self._store, parcel.group, parcel.idempotency_key
        now = self._now()
        with store.lock:
            store.sweep(now)
            if key is not None:
                known = store.keys.find(group, key, now)
                if known is not None:
                    self._repeated += 1
                    return known[0], True
            position = None
            if not parcel.transient:
                declared = parcel.history
                history = (
                    store.history(group, now)
                    if declared is None
                    else store.begin(group, declared, now)
                )
                if history is not None:
                    position = history.append(parcel, declared, now).position
                    self._kept += 1
            if key is not None:
                store.keys.add(group, key, position, now)
        return position, False

    async def subscribe(self, *groups: str) -> None:
        """Have the groups' publications delivered."""
        self.subscribed.update(groups)
        if self.workers > 1 and not all(map(_is_one_process, groups)):
            workers, MemoryLayer.workers = self.workers, 1  # warned of once
            log.warning(
                "group %s is on memory:// and there are %d workers: what is published "
                "in one of them does not reach members in the others; write "
                "Groups('redis://...') with a Redis or Valkey, or run one worker",
                groups[0],
                workers,
            )

    async def unsubscribe(self, *groups: str) -> None:
        """Have them delivered no longer."""
        self.subscribed.difference_update(groups)

    # -- histories ------------------------------------------------------------------

    async def history(
        self,
        group: str,
        history: History,
        *,
        since: Position | None = None,
        limit: int | None = None,
    ) -> Replay:
        """Return a part of a group's history; begin one where there is none."""
        now = self._now()
        with self._store.lock:
            self._store.sweep(now)
            return self._store.begin(group, history, now).replay(since, limit)

    async def positions(self, groups: Sequence[str]) -> list[Position | None]:
        """Return where histories stand; ``None``: there is none."""
        now = self._now()
        with self._store.lock:
            self._store.sweep(now)
            found = [self._store.history(group, now) for group in groups]
            return [None if history is None else history.position for history in found]

    # -- presence -------------------------------------------------------------------

    async def enter(
        self, group: str, entries: Sequence[Entry], lease: float
    ) -> Changes:
        """Have connections present, until they exit or the lease has run out."""
        now = self._now()
        with self._store.lock:
            self._store.sweep(now)
            presence = self._store.presence.setdefault(group, MemoryPresence())
            changes = presence.enter(self._owner, entries, lease, now)
            stay = presence.stay(self._owner)
            if stay is not None:
                self._stays.setdefault(group, stay)
            return changes

    async def exit(self, group: str, connections: Sequence[str], linger: float) -> None:
        """Have connections present no longer."""
        now = self._now()
        with self._store.lock:
            self._store.sweep(now)
            presence = self._store.presence.get(group)
            if presence is not None:
                presence.exit(connections, linger, now)
            if presence is None or presence.stay(self._owner) is None:
                self._stays.pop(group, None)

    async def renew(self, leases: Mapping[str, float]) -> dict[str, Renewal]:
        """Renew what was entered here, and return who is gone."""
        now = self._now()
        renewals: dict[str, Renewal] = {}
        with self._store.lock:
            self._store.sweep(now)
            for group, seconds in leases.items():
                presence = self._store.presence.get(group)
                if presence is None:
                    self._stays.pop(group, None)
                    renewals[group] = Renewal(held=False)
                    continue
                left = presence.renew(self._owner, seconds, now)
                stay = presence.stay(self._owner)
                held = stay is not None and stay is self._stays.get(group)
                if not held:
                    self._stays.pop(group, None)
                renewals[group] = Renewal(held, left)
                if presence.forgotten(now):
                    del self._store.presence[group]
        return renewals

    async def present(self, group: str) -> list[Entry]:
        """Return who is present, in the order of entering."""
        with self._store.lock:
            presence = self._present(group)
            return [] if presence is None else presence.present()

    async def count(self, group: str) -> Count:
        """Return how many are present."""
        with self._store.lock:
            presence = self._present(group)
            return Count(0, 0) if presence is None else presence.count()

    def _present(self, group: str) -> MemoryPresence | None:
        presence = self._store.presence.get(group)
        if presence is not None:
            presence.expire(self._now())
        return presence

    # -- leases ---------------------------------------------------------------------

    async def hold(self, name: str, seconds: float) -> bool:
        """Take the lease ``name``, or renew it; return whether it is held by us."""
        now = self._now()
        with self._store.lock:
            self._store.sweep(now)
            holder, end = self._store.leases.get(name, (self._owner, now))
            if holder is not self._owner and end > now:
                return False
            self._store.leases[name] = (self._owner, now + seconds)
            return True

    async def release(self, name: str) -> None:
        """Give the lease back, if it is held by us."""
        with self._store.lock:
            holder, _ = self._store.leases.get(name, (None, 0.0))
            if holder is self._owner:
                del self._store.leases[name]

    # -- health ---------------------------------------------------------------------

    async def check(self) -> float:
        """Return how long it takes to get at the store, in seconds."""
        started = time.perf_counter()
        with self._store.lock:
            return time.perf_counter() - started

    async def overview(self) -> list[Overview]:
        """Return what is known of every group, by name."""
        now, store = self._now(), self._store
        found = []
        with store.lock:
            # Copied, since other threads may add to them meanwhile.
            subscribed = [layer.subscribed.copy() for layer in store.layers]
            for group in sorted({*store.histories, *store.presence}.union(*subscribed)):
                history = store.history(group, now)
                presence = self._present(group)
                found.append(
                    Overview(
                        group,
                        processes=sum(group in names for names in subscribed),
                        position=None if history is None else history.position,
                        kept=0 if history is None else history.kept,
                        present=0 if presence is None else presence.count().connections,
                    )
                )
        return found

    def statistics(self) -> Mapping[str, Any]:
        """Return how many publications were kept, and how many were repetitions."""
        return {"kept": self._kept, "repeated": self._repeated}


class _Running:
    """The life of a layer. No generator: it may be entered and then left alone."""

    def __init__(self, layer: MemoryLayer, receiver: Receiver) -> None:
        self._layer = layer
        self._receiver = receiver

    async def __aenter__(self) -> None:
        self._layer.start(self._receiver)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._layer.stop()


def _is_one_process(group: str) -> bool:
    """Tell whether a group is of connections of one process by its nature."""
    return group.startswith("@node.")


with suppress(KeyError, ValueError):
    MemoryLayer.workers = int(os.environ["WEB_CONCURRENCY"])
