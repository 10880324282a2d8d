"""What the suite publishes, and how it listens."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import anyio
from anyio import fail_after

from consumers.history import History, Position
from consumers.layers import Carried, Entry, Kept, Layer

MakeLayer = Callable[[], Layer]
PassTime = Callable[[float], Awaitable[None]]

SHORT = 0.05
"""Seconds of what shall run out."""
PAST = 0.1
"""Seconds after which it has."""
LONG = 30.0
"""Seconds of what shall not."""

KEEP = History(size=100, ttl=LONG, remember=LONG)
FEW = History(size=3, ttl=LONG, remember=LONG)

_ids = count(1)


@dataclass(frozen=True)
class Note:
    """A parcel: the message is anything that JSON can say."""

    group: str
    message: Any
    history: History | None = None
    idempotency_key: str | None = None
    transient: bool = False
    id: str = field(default_factory=lambda: f"note-{next(_ids)}")

    def payload(self) -> bytes:
        return json.dumps(self.message).encode()


def read(carried: Carried) -> Any:
    """Return the message of what came out of a layer."""
    return json.loads(carried if isinstance(carried, bytes) else carried.payload())


def messages(kept: tuple[Kept, ...]) -> list[Any]:
    """Return the messages of a replay."""
    return [read(each.carried) for each in kept]


@dataclass(frozen=True)
class Delivery:
    """One call of ``deliver``."""

    group: str
    carried: Carried
    position: Position | None


class Heard:
    """What a layer delivered, in order."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self._more = anyio.Event()

    def deliver(self, group: str, carried: Carried, position: Position | None) -> None:
        self.deliveries.append(Delivery(group, carried, position))
        self._more.set()
        self._more = anyio.Event()

    def resumed(self) -> None:
        raise AssertionError("nothing was cut off")

    def messages(self, group: str = "a") -> list[Any]:
        """Return the messages to a group."""
        return [read(each.carried) for each in self.deliveries if each.group == group]

    def positions(self, group: str = "a") -> list[Position | None]:
        """Return the positions of the messages to a group."""
        return [each.position for each in self.deliveries if each.group == group]

    async def until(self, count: int, group: str = "a") -> list[Any]:
        """Wait for so many messages to a group, and return them."""
        with fail_after(5):
            while len(self.messages(group)) < count:
                await self._more.wait()
        return self.messages(group)


@asynccontextmanager
async def started(make_layer: MakeLayer) -> AsyncIterator[tuple[Layer, Heard]]:
    """Yield a layer that runs, and what it delivers."""
    layer, heard = make_layer(), Heard()
    with fail_after(20):
        async with layer.running(heard):
            yield layer, heard


@asynccontextmanager
async def two(make_layer: MakeLayer) -> AsyncIterator[tuple[Layer, Layer]]:
    """Yield two layers of one place: two processes."""
    async with started(make_layer) as (one, _), started(make_layer) as (other, _):
        yield one, other


async def publish(
    layer: Layer, *said: Any, group: str = "a", history: History | None = KEEP
) -> list[Position]:
    """Publish messages to a group with history; return where it then stands each."""
    notes = [Note(group, message, history) for message in said]
    positions = await layer.publish(notes)
    return [position for position in positions if position is not None]


def entry(connection: str, user: str = "", metadata: bytes = b"\xc0") -> Entry:
    """Return an entry, by default of a user of its own and without metadata."""
    return Entry(connection, user or connection, metadata)
