"""The clients of a broadcast: the members of a room, and others who come and go."""

import asyncio
import time
from collections.abc import Callable

import msgspec

from consumers_tests.benchmarks import frames
from consumers_tests.benchmarks.bench import Bench
from consumers_tests.benchmarks.clients import Client, Crowd, adopt
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


class Room(Crowd):
    """One group: its first member sends when all have the last message.

    With a pace it sends at fixed times. A message that has to wait for the last one is
    late, and its delays count from when it was due.
    """

    async def open(self) -> None:
        reply = frames.first_reply(self.side)
        count = self.plan.connections
        self.members = [Member(self, reply) for _ in range(count)]
        self.missing = 0
        self.due = 0.0  # when the latest message was, by the clock of `perf_counter`
        self.frame = frames.client_frame(self.plan.body.encode())
        self.alarm = Alarm(self._on_time)
        await adopt(self.members, frames.connect_all(self.side))
        self.passers = Passers(self.bench, self.side, self)
        if self.plan.passing:
            await self.passers.open()

    def begin(self) -> None:
        self.alarm.clear()
        self._publish(time.perf_counter())
        if self.plan.passing:
            self.passers.begin()

    def _publish(self, due: float) -> None:
        self.due = due
        self.missing = len(self.members)
        for member in self.members:
            member.due += 1
        self.members[0].transport.write(self.frame)

    def _on_time(self) -> None:
        if self.running:
            self._publish(time.perf_counter())

    def arrived(self, count: int) -> None:
        """Send again when nobody waits any more."""
        now = time.perf_counter()
        self.delays += [now - self.due] * count
        self.missing -= count
        if self.missing or not self.running:
            return
        due = self.due + self.plan.pace if self.plan.pace else now
        if due > now:
            self.alarm.set(due - now)
        else:
            self._publish(due)

    def passed(self) -> int:
        return self.passers.units

    def pending(self) -> bool:
        waiting = any(m.replies.received != m.due for m in self.members)
        return waiting or self.passers.pending()


class Member(Client):
    """Gets what the first member of its room sends."""

    def __init__(self, room: Room, reply: bytes) -> None:
        super().__init__(room, reply)
        self.room = room

    def answered(self, count: int) -> None:
        self.room.arrived(count)


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
        reply = frames.first_reply(self.side)
        self.clients = [Passer(self, reply) for _ in range(self.plan.connections)]
        await adopt(self.clients, frames.connect_all(self.side))

    def begin(self) -> None:
        for number, client in enumerate(self.clients):
            client.alarm.set(client.interval * number / PASSERS)

    def pending(self) -> bool:
        return any(c.replies.received != c.due for c in self.clients)


class Passer(Client):
    """Asks again at its time, if the last one was answered."""

    def __init__(self, crowd: Passers, reply: bytes) -> None:
        super().__init__(crowd, reply)
        self.room = crowd.room
        self.interval = PASSERS / crowd.plan.passing
        self.frame = frames.client_frame(crowd.plan.body.encode())
        self.alarm = Alarm(self.go)

    def go(self) -> None:
        if not self.room.running:
            return
        if self.replies.received == self.due:
            self.due += 1
            self.transport.write(self.frame)
        self.alarm.set(self.interval)

    def answered(self, count: int) -> None:
        """Wait for the next time."""
