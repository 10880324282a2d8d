"""The clients of a broadcast: the members of a room, and others who come and go."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from functools import partial

import msgspec

from consumers_tests.benchmarks.bench import Bench
from consumers_tests.benchmarks.clients import Client, Crowd, arrive
from consumers_tests.benchmarks.frames import Opened
from consumers_tests.benchmarks.jobs import Side

PASSERS = 10  # connections that join and leave groups


class Alarm:
    """Calls a function once, after the seconds that were set last.

    Cleared when a turn begins, it does not go off for the turn before.
    """

    def __init__(self, function: Callable[[], None]) -> None:
        self.function = function
        self.timer: asyncio.TimerHandle | None = None

    def set(self, seconds: float) -> None:
        """Call the function in so many seconds, and not when it was to be called."""
        self.clear()
        self.timer = asyncio.get_running_loop().call_later(seconds, self.function)

    def clear(self) -> None:
        """Do not call it."""
        if self.timer is not None:
            self.timer.cancel()


class Flight:
    """A message that not all members have yet."""

    __slots__ = ("due", "missing")

    def __init__(self, due: float, missing: int) -> None:
        self.due = due  # by the clock of `perf_counter`
        self.missing = missing


class Room(Crowd):
    """One group: its first member keeps a window of messages on their way to all.

    A message is there when every member has it. With a pace the first member sends at
    fixed times, one message after the other: one that has to wait for the last is
    late, and its delays count from when it was due.
    """

    async def open(self) -> None:
        self.published = 0
        self.flying: deque[Flight] = deque()
        self.alarm = Alarm(self._on_time)
        self.members = await arrive(self, partial(Member, self))
        self.passers = Passers(self.bench, self.side, self)
        if self.plan.passing:
            await self.passers.open()

    def begin(self) -> None:
        self.alarm.clear()
        self._publish(time.perf_counter(), self.plan.window)
        if self.plan.passing:
            self.passers.begin()

    def _publish(self, due: float, count: int) -> None:
        self.published += count
        for _ in range(count):
            self.flying.append(Flight(due, len(self.members)))
        self.members[0].transport.write(self.bursts[count])

    def _on_time(self) -> None:
        if self.running:
            self._publish(time.perf_counter(), 1)

    def arrived(self, upto: int, count: int) -> None:
        """Send again for each message that nobody waits for any more.

        Args:
            upto: How many messages this member has got.
            count: How many of them came now.
        """
        now, gone = time.perf_counter(), self.published - len(self.flying)
        if upto > self.published:
            self.bench.fail(f"expected {self.published} messages, got {upto}")
            return
        for number in range(upto - count - gone, upto - gone):
            flight = self.flying[number]
            flight.missing -= 1
            self.delays.append(now - flight.due)
        done, due = 0, now
        while self.flying and not self.flying[0].missing:
            due = self.flying.popleft().due
            done += 1
        if not done or not self.running:
            return
        due = due + self.plan.pace if self.plan.pace else now
        if due > now:
            self.alarm.set(due - now)
        else:
            self._publish(due, done)

    def passed(self) -> int:
        return self.passers.units

    def pending(self) -> bool:
        published = self.published
        waiting = any(m.replies.received != published for m in self.members)
        return waiting or self.passers.pending()


class Member(Client):
    """Gets what the first member of its room sends."""

    def __init__(self, room: Room, reply: bytes, opened: Opened) -> None:
        super().__init__(room, reply, opened)
        self.room = room

    def answered(self, count: int) -> None:
        self.room.arrived(self.replies.received, count)


class Passers(Crowd):
    """Connections that ask for a group to be joined and left, at fixed times.

    They work while the room does, and are not counted with its deliveries.
    """

    def __init__(self, bench: Bench, side: Side, room: Room) -> None:
        changed = {"path": f"{side.plan.path}/passing", "connections": PASSERS}
        plan = msgspec.structs.replace(side.plan, **changed)
        super().__init__(bench, Side(plan, side.servers))
        self.room = room
        self.clients: list[Passer] = []

    async def open(self) -> None:
        self.clients = await arrive(self, partial(Passer, self))

    def begin(self) -> None:
        for number, client in enumerate(self.clients):
            client.alarm.set(client.interval * number / PASSERS)

    def pending(self) -> bool:
        return any(c.replies.received != c.due for c in self.clients)


class Passer(Client):
    """Asks again at its time, if the last one was answered."""

    def __init__(self, crowd: Passers, reply: bytes, opened: Opened) -> None:
        super().__init__(crowd, reply, opened)
        self.room = crowd.room
        self.interval = PASSERS / crowd.plan.passing
        self.alarm = Alarm(self.go)

    def go(self) -> None:
        if not self.room.running:
            return
        if self.replies.received == self.due:
            self.due += 1
            self.transport.write(self.crowd.bursts[1])
        self.alarm.set(self.interval)

    def answered(self, count: int) -> None:
        """Wait for the next time."""
