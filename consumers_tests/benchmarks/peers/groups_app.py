"""This framework's groups: few large ones, many small ones, others in passing."""

import os
from itertools import count

from consumers import App, Groups, WebSocketConsumer, WebSocketRoute

SEATS = 250  # connections among which the small groups are dealt
SIZE = 5  # members of a small group, in each process
BURST = SEATS // SIZE  # small groups in which each seat is once

groups = Groups(os.environ.get("BROKER_URL", "memory://"))
seats = count()
bursts = count()
passing = count()


class Broadcast(WebSocketConsumer):
    async def on_connect(self) -> None:
        await self.join("room")

    async def on_receive(self, message: str) -> None:
        await self.publish("room", message)


class Few(WebSocketConsumer):
    """A member of each fiftieth group; a message goes to fifty groups in turn."""

    async def on_connect(self, total: int) -> None:
        self.total = total
        first = next(seats) % SEATS // SIZE
        await self.join(*(f"few-{n}" for n in range(first, total, BURST)))

    async def on_receive(self, message: str) -> None:
        first = next(bursts) * BURST % self.total
        names = (f"few-{n}" for n in range(first, first + BURST))
        await groups.publish_many([(name, message) for name in names])


class Passing(WebSocketConsumer):
    """Joins and leaves a new group for each message."""

    async def on_receive(self, message: str) -> None:
        name = f"passing-{os.getpid()}-{next(passing)}"
        await self.join(name)
        await self.leave(name)
        await self.send(message)


app = App(
    [
        WebSocketRoute("/broadcast", Broadcast),
        WebSocketRoute("/few/{total:int}", Few),
        WebSocketRoute("/broadcast/passing", Passing),
    ],
    groups=groups,
)
