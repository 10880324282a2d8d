"""`Cluster`: several servers, each of which has some of the groups."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

import anyio
from anyio import CancelScope, create_task_group
from anyio.abc import TaskGroup
from coredis.exceptions import MovedError, RedisError

from consumers.clock import move_on_after, sleep

from .address import Address
from .connections import ask_once, connection_to
from .faults import FAILURES, Lost
from .link import Link
from .names import SLOTS, slot_of
from .servers import unreachable
from .subscriptions import Hears

__all__ = ["Cluster", "places_of"]

log: Final = logging.getLogger("consumers.layers")

_PAUSE: Final = 0.2
_SLOTS_COMMAND: Final = (b"CLUSTER SLOTS",)

Place: TypeAlias = tuple[str, int]
"""Host and port of a server."""


class Cluster:
    """The servers of a cluster, as far as they have slots.

    Which has which is asked again whenever one is lost, or says that it has not. What
    is to be heard goes along.
    """

    def __init__(self, address: Address, hears: Hears, heartbeat: float) -> None:
        """Make it, not connected yet."""
        address.ssl_context()  # tells what is wrong with it at once
        self._address = address
        self._hears = hears
        self._heartbeat = heartbeat
        self._wanted: dict[bytes, str] = {}
        self._places: Sequence[Place | None] = ()
        self._links: dict[Place, tuple[Link, CancelScope]] = {}
        self._failure: Exception | None = None
        self._pointed: Place | None = None
        self._stale = anyio.Event()
        self._changed = anyio.Event()

    @property
    def links(self) -> Sequence[Link]:
        """Those to the servers that have slots."""
        return [link for link, _ in self._links.values()]

    async def reach(self, seconds: float) -> None:
        """Wait until all servers can be used."""
        with move_on_after(seconds):
            while not self._complete():
                await self._changed.wait()
        while not self._complete():
            down = [link.failure for link in self.links if link.failure is not None]
            if failure := self._failure or (down[0] if down else None):
                raise unreachable(self._address, failure)
            await self._changed.wait()

    async def link(self, group: str) -> Link:
        """Return the link to the server of a group, when it is up."""
        while True:
            link = self._link_of(group)
            if link is None:
                await self._changed.wait()
            elif link.up:
                return link
            else:
                # It tells of each attempt; the group may be elsewhere by then.
                await link.changed()

    def moved(self, error: RedisError) -> None:
        """Look again which server has which slots, first where the error points."""
        if isinstance(error, MovedError):
            self._pointed = (error.host or self._address.host, error.port)
        self._stale.set()

    # -- subscriptions --------------------------------------------------------------

    async def subscribe(self, channels: Mapping[bytes, str]) -> None:
        """Hear channels, ``{channel: group}``, from when this returns."""
        new = [channel for channel in channels if channel not in self._wanted]
        self._wanted.update(channels)
        try:
            while missing := [each for each in channels if not self._heard(each)]:
                link = await self.link(channels[missing[0]])
                part = {
                    each: channels[each]
                    for each in missing
                    if each in self._wanted and self._link_of(channels[each]) is link
                }
                link.subscriptions.add(part)
                await link.hear(part)
        except BaseException:
            self.unsubscribe(new)
            raise

    def unsubscribe(self, channels: Iterable[bytes]) -> None:
        """Hear them no longer."""
        names = list(channels)
        for channel in names:
            self._wanted.pop(channel, None)
        for link in self.links:
            link.unsubscribe(names)

    def _heard(self, channel: bytes) -> bool:
        if channel not in self._wanted:
            return True  # given up meanwhile
        link = self._link_of(self._wanted[channel])
        return (
            link is not None
            and link.up
            and channel in link.subscriptions.wanted
            and link.subscriptions.heard([channel])
        )

    # -- which server has what ------------------------------------------------------

    async def keep(self) -> None:
        """Connect to every server, and follow the changes of the cluster."""
        async with create_task_group() as tasks:
            while True:
                self._stale = anyio.Event()
                try:
                    await self._look(tasks)
                except (*FAILURES, RedisError) as error:
                    self._failure = error
                    self._stale.set()
                except Exception:
                    log.exception("the servers of %s are unknown", self._address)
                    self._stale.set()
                self._notify()
                await sleep(random.uniform(_PAUSE / 2, _PAUSE))  # noqa: S311
                await self._stale.wait()

    async def _look(self, tasks: TaskGroup) -> None:
        places = await self._ask()
        self._places, self._failure = places, None
        current = set(filter(None, places))
        for place in current - self._links.keys():
            self._begin(tasks, place)
        moved: dict[Link, list[bytes]] = {}
        for channel, group in self._wanted.items():
            here = self._link_of(group)
            for link in self.links:
                if link is not here and channel in link.subscriptions.wanted:
                    link.unsubscribe([channel])
            if here is not None and here.subscriptions.add({channel: group}):
                moved.setdefault(here, []).append(channel)
        for place in self._links.keys() - current:
            _, scope = self._links.pop(place)
            scope.cancel()
        for link, channels in moved.items():
            tasks.start_soon(self._follow, link, channels)

    async def _ask(self) -> Sequence[Place | None]:
        """Ask whoever answers which server has which slots."""
        failure: Exception = Lost("no server has any slots")
        up = {place: link for place, (link, _) in self._links.items() if link.up}
        first = (self._address.host, self._address.port)
        known = list(self._links)
        random.shuffle(known)  # not always the same one: what it knows may be old
        known.sort(key=lambda place: place not in up)
        pointed, self._pointed = self._pointed, None
        for place in [*([pointed] if pointed else []), *known, first]:
            try:
                if (link := up.get(place)) is not None:
                    answer = await link.reply(link.send(*_SLOTS_COMMAND))
                else:
                    connection = connection_to(self._at(place))
                    answer = await ask_once(connection, *_SLOTS_COMMAND)
            except (*FAILURES, RedisError) as error:
                failure = error
                continue
            if any(places := places_of(answer, place[0])):
                return places
        raise failure

    def _begin(self, tasks: TaskGroup, place: Place) -> None:
        address = self._at(place)
        link = Link(
            str(address),
            lambda: connection_to(address),
            self._hears,
            heartbeat=self._heartbeat,
            sharded=True,
        )
        scope = CancelScope()
        self._links[place] = (link, scope)
        tasks.start_soon(self._serve, link, scope)

    async def _serve(self, link: Link, scope: CancelScope) -> None:
        with scope:
            async with create_task_group() as tasks:
                tasks.start_soon(link.keep)
                while True:
                    await link.changed()
                    self._notify()
                    if not link.up:
                        self._stale.set()

    async def _follow(self, link: Link, channels: list[bytes]) -> None:
        """Hear channels from the server that has them now, unless they move again.

        What came meanwhile is missed.
        """
        while link in self.links:
            if await link.hear(channels):
                self._hears.resumed()
                return

    def _complete(self) -> bool:
        return bool(self._places) and all(link.up for link in self.links)

    def _place_of(self, group: str) -> Place | None:
        return self._places[slot_of(group)] if self._places else None

    def _link_of(self, group: str) -> Link | None:
        place = self._place_of(group)
        return self._links[place][0] if place in self._links else None

    def _at(self, place: Place) -> Address:
        host, port = place
        return replace(self._address, host=host, port=port)

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


def places_of(answer: Any, asked: str) -> list[Place | None]:
    """Return for each slot where it is, from what CLUSTER SLOTS answers.

    Args:
        answer: Rows of first and last slot and servers, the primary first.
        asked: The host that answered: one that does not know its own name means this.
    """
    places: list[Place | None] = [None] * SLOTS
    for first, last, (host, port, *_), *_ in answer:
        name = host.decode() if host and host != b"?" else asked
        places[first : last + 1] = [(name, port)] * (last + 1 - first)
    return places
