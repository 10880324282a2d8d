"""`RedisLayer`: the layer of several processes, on a Redis or Valkey server."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any, Final

from anyio import create_task_group, get_cancelled_exc_class
from coredis.exceptions import RedisError

from consumers.clock import move_on_after
from consumers.errors import LayerUnavailable
from consumers.history import History, Position
from consumers.layers.contract import (
    Changes,
    Count,
    Entry,
    Overview,
    Parcel,
    Receiver,
    Renewal,
    Replay,
)

from .address import Address
from .asking import Asking, Question, fixed
from .calls import Call, Calls
from .cluster import Cluster
from .faults import Lost
from .names import Names
from .overview import overview
from .servers import Servers, SingleServer, unreachable

__all__ = ["RedisLayer"]


class RedisLayer:
    """Carries publications by a broker, over two connections to each of its servers.

    A connection that is lost, or does not answer for twice ``heartbeat`` seconds, is
    made again for as long as it takes. What can be asked twice without harm waits for
    that; publications to groups with a history, or with an idempotency key, among it.
    """

    local: Final = False

    def __init__(
        self,
        address: Address,
        *,
        wait: float = 0.0,
        timeout: float = 10.0,
        heartbeat: float = 3.0,
    ) -> None:
        """Make a layer that is not connected yet.

        Args:
            address: Where the broker is.
            wait: Seconds for which a broker that can't be reached is tried at the
                start; 0: once.
            timeout: Seconds after which a call that got no answer raises
                ``LayerUnavailable``.
            heartbeat: Seconds between two looks at the connections.
        """
        self._address = address
        self._wait = wait
        self._heartbeat = heartbeat
        # What is entered and held is ours by this.
        node = secrets.token_urlsafe(9)
        self._names = Names(address.prefix, address.db)
        self._calls = Calls(self._names, node, sharded=address.cluster)
        self._asking = Asking(address, timeout)
        self._published = 0
        # {group: which of our stays there it is}: another one began without our knowing
        # if the broker names another.
        self._terms: dict[str, bytes] = {}
        self._servers: Servers | None = None

    @asynccontextmanager
    async def running(self, receiver: Receiver) -> AsyncIterator[None]:
        """Connect, and hand everything to ``receiver`` while the context lasts.

        Raises:
            LayerUnavailable: The broker can't be reached, or refuses us.
            ConfigurationError: Its certificates can't be used.
        """
        raised: BaseException | None = None
        servers = self._servers_for(receiver)
        async with create_task_group() as tasks:
            try:
                tasks.start_soon(servers.keep)
                await servers.reach(self._wait)
                self._servers = servers
                yield
            except get_cancelled_exc_class():
                raise
            except BaseException as error:
                raised = error  # which the group would wrap
            finally:
                self._servers = None
                tasks.cancel_scope.cancel()
        if raised is not None:
            raise raised

    def _servers_for(self, receiver: Receiver) -> Servers:
        make = Cluster if self._address.cluster else SingleServer
        return make(self._address, receiver, self._heartbeat)

    # -- publications ---------------------------------------------------------------

    async def publish(self, parcels: Sequence[Parcel]) -> list[Position | None]:
        """Carry parcels to every process that subscribes to their groups."""
        answers = await self._ask([self._publication(parcel) for parcel in parcels])
        self._published += len(parcels)
        return [self._calls.position(answer) for answer in answers]

    def _publication(self, parcel: Parcel) -> Question:
        def make(run: str, retried: bool) -> Call:
            return self._calls.publish(parcel, run, retried=retried)

        once = parcel.history is not None or parcel.idempotency_key is not None
        return Question(parcel.group, make, again=once)

    async def subscribe(self, *groups: str) -> None:
        """Have the groups' publications delivered; when it returns they are."""
        servers = self._running()
        channels = {self._names.channel(group): group for group in groups}
        with move_on_after(self._asking.seconds) as patience:
            await servers.subscribe(channels)
        if patience.cancelled_caught:
            raise self._asking.unanswered(servers)

    async def unsubscribe(self, *groups: str) -> None:
        """Have them delivered no longer."""
        self._running().unsubscribe([self._names.channel(group) for group in groups])

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

        def make(run: str, _: bool) -> Call:
            return self._calls.history(group, history, run, since=since, limit=limit)

        (answer,) = await self._ask([Question(group, make)])
        return self._calls.replay(answer, since, limit)

    async def positions(self, groups: Sequence[str]) -> list[Position | None]:
        """Return where histories stand; ``None``: there is none."""
        standing = self._calls.standing
        answers = await self._ask(
            [fixed(group, (b"HMGET", *standing(group))) for group in groups]
        )
        return [self._calls.stands(answer) for answer in answers]

    # -- presence -------------------------------------------------------------------

    async def enter(
        self, group: str, entries: Sequence[Entry], lease: float
    ) -> Changes:
        """Have connections present, until they exit or the lease has run out."""

        def make(_: str, retried: bool) -> Call:
            return self._calls.enter(group, entries, lease, retried=retried)

        (answer,) = await self._ask([Question(group, make)])
        term, changes = self._calls.changes(answer, entries)
        self._terms.setdefault(group, term)
        return changes

    async def exit(self, group: str, connections: Sequence[str], linger: float) -> None:
        """Have connections present no longer."""
        call = self._calls.exit(group, connections, linger)
        (left,) = await self._ask([fixed(group, call)])
        if left <= 0:
            self._terms.pop(group, None)

    async def renew(self, leases: Mapping[str, float]) -> dict[str, Renewal]:
        """Renew what was entered here, and return who is gone."""
        answers = await self._ask(
            [
                fixed(group, self._calls.renew(group, seconds))
                for group, seconds in leases.items()
            ]
        )
        renewals: dict[str, Renewal] = {}
        for group, answer in zip(leases, answers, strict=True):
            term, left = self._calls.renewal(answer)
            held = term is not None and term == self._terms.get(group)
            if not held:
                self._terms.pop(group, None)
            renewals[group] = Renewal(held, left)
        return renewals

    async def present(self, group: str) -> list[Entry]:
        """Return who is present, in the order of entering."""
        (answer,) = await self._ask([fixed(group, self._calls.present(group))])
        return self._calls.entries(answer)

    async def count(self, group: str) -> Count:
        """Return how many are present."""
        (answer,) = await self._ask([fixed(group, self._calls.count(group))])
        return self._calls.counted(answer)

    # -- leases ---------------------------------------------------------------------

    async def hold(self, name: str, seconds: float) -> bool:
        """Take the lease ``name``, or renew it; return whether it is held by us."""
        (answer,) = await self._ask([fixed(name, self._calls.hold(name, seconds))])
        return bool(answer)

    async def release(self, name: str) -> None:
        """Give the lease back, if it is held by us."""
        await self._ask([fixed(name, self._calls.release(name))])

    # -- health ---------------------------------------------------------------------

    async def check(self) -> float:
        """Return how many seconds a round trip takes, to the slowest server.

        Does not wait for a connection that is lost, and for an answer no longer than
        twice the time of a heartbeat.
        """
        servers, slowest = self._running(), 0.0
        for link in servers.links:
            started = perf_counter()
            with move_on_after(2 * self._heartbeat) as patience:
                try:
                    await link.reply(link.send(b"PING"))
                except (Lost, RedisError) as error:
                    raise unreachable(self._address, error) from None
            if patience.cancelled_caught:
                raise LayerUnavailable(
                    f"{link.name} has not answered within "
                    f"{2 * self._heartbeat:g} seconds"
                )
            slowest = max(slowest, perf_counter() - started)
        return slowest

    async def overview(self) -> list[Overview]:
        """Return what is known of every group, by name. It may take long."""
        return await overview(self._running(), self._asking, self._calls)

    def statistics(self) -> Mapping[str, Any]:
        """Return counts of what has happened since the layer has been running.

        ``published`` and ``received`` publications, ``retried`` calls, ``reconnects``;
        the ``subscriptions`` that there are; the ``latency`` of the last heartbeat, in
        seconds.
        """
        links = () if self._servers is None else self._servers.links
        return {
            "published": self._published,
            "retried": self._asking.retried,
            "received": sum(link.subscriptions.received for link in links),
            "reconnects": sum(max(link.connects - 1, 0) for link in links),
            "subscriptions": sum(len(link.subscriptions.wanted) for link in links),
            "latency": max((link.latency for link in links), default=0.0),
        }

    async def _ask(self, questions: Sequence[Question]) -> list[Any]:
        return await self._asking.ask(self._running(), questions)

    def _running(self) -> Servers:
        if self._servers is None:
            raise LayerUnavailable(f"not connected to {self._address}: not running")
        return self._servers
