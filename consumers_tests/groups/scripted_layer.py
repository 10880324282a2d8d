"""A layer for tests: it can be made to wait, to lose and to fail."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Final, cast

import anyio

from consumers.errors import LayerUnavailable
from consumers.history import History, Position
from consumers.layers import (
    Changes,
    Count,
    Entry,
    Kept,
    MemoryLayer,
    MemoryStore,
    Overview,
    Parcel,
    Receiver,
    Renewal,
    Replay,
)


class ScriptedLayer:
    """A remote layer: what one publishes reaches all that share its store, as bytes.

    ``calls`` keeps what was asked for. A name in ``blocked`` makes such calls wait for
    the event that is there, a name in ``failing`` makes them raise.
    """

    local: Final = False
    peers: ClassVar[dict[int, list[ScriptedLayer]]] = {}

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.store = store or MemoryStore()
        self.memory = MemoryLayer(self.store)
        self.calls: list[tuple[Any, ...]] = []
        self.blocked: dict[str, anyio.Event] = {}
        self.failing: set[str] = set()
        self.loses: set[int] = set()
        """Offsets that are kept, and do not come."""
        self.cut_off = False
        """Whether nothing comes."""
        self.subscribed: set[str] = set()
        self.receiver: Receiver | None = None

    @asynccontextmanager
    async def running(self, receiver: Receiver) -> AsyncIterator[None]:
        self.receiver = receiver
        peers = self.peers.setdefault(id(self.store), [])
        peers.append(self)
        async with self.memory.running(_Nobody()):
            try:
                yield
            finally:
                peers.remove(self)
                self.receiver = None
                if not peers:
                    del self.peers[id(self.store)]

    async def _call(self, name: str, *args: Any) -> None:
        self.calls.append((name, *args))
        await anyio.lowlevel.checkpoint()
        if name in self.blocked:
            await self.blocked[name].wait()
        if name in self.failing:
            raise LayerUnavailable(f"{name} can't be carried out")

    def times(self, name: str) -> int:
        """Return how often something was asked for."""
        return sum(call[0] == name for call in self.calls)

    async def publish(self, parcels: Sequence[Parcel]) -> list[Position | None]:
        await self._call("publish")
        positions = await self.memory.publish(parcels)
        for parcel, position in zip(parcels, positions, strict=True):
            for peer in list(self.peers.get(id(self.store), ())):
                peer.take(parcel, position)
        return positions

    def take(self, parcel: Parcel, position: Position | None) -> None:
        """Deliver, if this one is subscribed, and it is not to be lost."""
        if parcel.group not in self.subscribed or self.cut_off:
            return
        if position is None or position.offset not in self.loses:
            assert self.receiver is not None
            self.receiver.deliver(parcel.group, parcel.payload(), position)

    async def subscribe(self, *groups: str) -> None:
        await self._call("subscribe", *groups)
        self.subscribed.update(groups)

    async def unsubscribe(self, *groups: str) -> None:
        self.subscribed.difference_update(groups)
        await self._call("unsubscribe", *groups)

    async def history(
        self,
        group: str,
        history: History,
        *,
        since: Position | None = None,
        limit: int | None = None,
    ) -> Replay:
        await self._call("history", group)
        replay = await self.memory.history(group, history, since=since, limit=limit)
        await anyio.lowlevel.checkpoint()
        kept = [
            Kept(each.position, cast("Parcel", each.carried).payload())
            for each in replay.kept
        ]
        return Replay(tuple(kept), replay.position, replay.complete)

    async def positions(self, groups: Sequence[str]) -> list[Position | None]:
        await self._call("positions", *groups)
        return await self.memory.positions(groups)

    async def enter(
        self, group: str, entries: Sequence[Entry], lease: float
    ) -> Changes:
        await self._call("enter", group)
        return await self.memory.enter(group, entries, lease)

    async def exit(self, group: str, connections: Sequence[str], linger: float) -> None:
        await self._call("exit", group, *connections)
        await self.memory.exit(group, connections, linger)

    async def renew(self, leases: Mapping[str, float]) -> dict[str, Renewal]:
        await self._call("renew", *leases)
        return await self.memory.renew(leases)

    async def present(self, group: str) -> list[Entry]:
        await self._call("present")
        return await self.memory.present(group)

    async def count(self, group: str) -> Count:
        await self._call("count")
        return await self.memory.count(group)

    async def hold(self, name: str, seconds: float) -> bool:
        await self._call("hold", name)
        return await self.memory.hold(name, seconds)

    async def release(self, name: str) -> None:
        await self._call("release", name)
        await self.memory.release(name)

    async def check(self) -> float:
        await self._call("check")
        return 0.001

    async def overview(self) -> list[Overview]:
        return await self.memory.overview()

    def statistics(self) -> Mapping[str, Any]:
        return {"calls": len(self.calls)}


class _Nobody:
    """Takes what the memory behind the scripted layer delivers: nothing."""

    def deliver(self, group: str, carried: Any, position: Position | None) -> None:
        raise AssertionError("the memory behind a scripted layer has no subscriptions")

    def resumed(self) -> None:
        raise AssertionError("the memory behind a scripted layer is never cut off")
