"""Heartbeats: when it is time to look whether a client is still there.

One task for all connections of an event loop, since a task for each would take a third
of an idle connection's memory. It lives in one of them, as the watchdog does.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any, Final, Protocol
from weakref import WeakKeyDictionary

import anyio
from anyio.lowlevel import RunVar

from consumers.clock import Clock, current_clock, current_time, move_on_after

__all__ = ["Heartbeats", "Patient", "current_heartbeats"]


class Patient(Protocol):
    """A connection that is looked after."""

    def look(self) -> None:
        """Look whether the client is there; it is time. Never waits."""
        ...

    def spawn(self, function: Callable[[], Any]) -> object:
        """Start a task that ends with the connection."""
        ...


class Heartbeats:
    """Tells connections when to look, those of one event loop and clock."""

    __slots__ = ("_due", "_earlier", "_numbers", "_patients", "_runs")

    def __init__(self) -> None:
        """Begin with nobody."""
        self._numbers = count()
        self._patients: dict[int, Patient] = {}  # by the number of what is due
        self._due: list[tuple[float, int]] = []  # a heap; void if nobody has the number
        self._runs = False
        self._earlier: anyio.Event | None = None  # something is due before the first

    def __len__(self) -> int:
        """Return how many are looked after."""
        return len(self._patients)

    def tell(self, patient: Patient, seconds: float) -> int:
        """Have a connection look after some seconds; return what `forget` takes."""
        number = next(self._numbers)
        if len(self._due) > 2 * len(self._patients) + 64:
            self._due = [each for each in self._due if each[1] in self._patients]
            heapq.heapify(self._due)
        self._patients[number] = patient
        heapq.heappush(self._due, (current_time() + seconds, number))
        if not self._runs:
            self._start()
        elif self._due[0][1] == number and self._earlier is not None:
            self._earlier.set()
        return number

    def forget(self, number: int) -> None:
        """Have a connection not look any more: it ends."""
        self._patients.pop(number, None)

    def _start(self) -> None:
        for number, host in self._patients.items():
            self._runs = True
            host.spawn(partial(self._run, number))
            return

    async def _run(self, host: int) -> None:
        try:
            while self._patients:
                left = self._due[0][0] - current_time()
                if left > 0:
                    self._earlier = anyio.Event()
                    with move_on_after(left):
                        await self._earlier.wait()
                    continue
                _, number = heapq.heappop(self._due)
                patient = self._patients.pop(number, None)
                if patient is not None:
                    patient.look()
        finally:
            self._runs = False
            # What cancelled this task would cancel the next that is started there.
            self._patients.pop(host, None)
            self._start()  # in another connection, if it is this one that ends


_of_clocks: Final[RunVar[WeakKeyDictionary[Clock, Heartbeats]]] = RunVar(
    "consumers.heartbeats"
)


def current_heartbeats() -> Heartbeats:
    """Return those of the running event loop and the current clock."""
    try:
        of_clocks = _of_clocks.get()
    except LookupError:
        of_clocks = WeakKeyDictionary()
        _of_clocks.set(of_clocks)
    clock = current_clock.get()
    if clock not in of_clocks:
        of_clocks[clock] = Heartbeats()
    return of_clocks[clock]
