"""Subscribing: which groups this event loop gets from its layer, and follows.

Counted by the hub: subscribed with a group's first member, unsubscribed some time after
its last. Whoever waits subscribes for all that wait, so that a thousand clients that
come at once cost a few round trips.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import anyio

from consumers.clock import current_time, sleep
from consumers.errors import LayerUnavailable, StateError

from .declaration import Group, GroupName
from .follower import Follower

if TYPE_CHECKING:
    from consumers.layers import Layer

    from .hub import Hub

__all__ = ["Subscribed", "Subscribing", "at_once"]

log = logging.getLogger("consumers")

_LINGER: Final = 0.5
"""Seconds that a group without members stays subscribed: clients that come back, or
come and go, then cost the layer nothing."""

_CHECK_EVERY: Final = 10.0
"""Seconds between two comparisons of positions, which find what no later publication
would show."""


class Subscribed:
    """One group that the layer delivers."""

    __slots__ = ("follower", "group", "is_ready")

    def __init__(self, group: Group, follower: Follower | None) -> None:
        self.group = group
        """What was declared about it."""
        self.follower = follower
        """Who follows its history, if it has one."""
        self.is_ready = False
        """Whether it does deliver it, and the follower has its position."""


class Subscribing:
    """The groups that one event loop subscribes to."""

    __slots__ = (
        "_hub",
        "_idle",
        "_layer",
        "_lock",
        "_make",
        "_recover",
        "_silent",
        "_spawn",
        "_wanted",
        "of",
    )

    def __init__(
        self,
        layer: Layer,
        hub: Hub,
        make: Callable[[GroupName], Follower | None],
        spawn: Callable[[Callable[[], Any]], object],
        recover: Callable[[Follower], object],
        silent: Callable[[str], object],
    ) -> None:
        """Begin with none.

        Args:
            layer: What delivers.
            hub: Who is a member of what.
            make: Makes a group's follower, if it has a history.
            spawn: Starts a task of the event loop's.
            recover: Has what a follower is missing fetched.
            silent: Is told of each group that is delivered no longer.
        """
        self.of: dict[str, Subscribed] = {}
        """``{group name: what is known of it}``, of all that the layer delivers."""
        self._hub = hub
        self._layer = layer
        self._make = make
        self._spawn = spawn
        self._recover = recover
        self._silent = silent
        self._lock = anyio.Lock()
        self._wanted: dict[str, GroupName] = {}
        self._idle: set[str] | None = None  # None: no task waits to unsubscribe them

    @property
    def followers(self) -> list[Follower]:
        """Return those of all groups with history."""
        return [each.follower for each in self.of.values() if each.follower is not None]

    async def ensure(self, names: Iterable[GroupName]) -> None:
        """Have groups delivered; when it returns they are.

        Raises:
            LayerUnavailable: They are not, for now.

        Cancelling leaves it open which are.
        """
        missing = {name.name: name for name in names if not self.is_ready(name.name)}
        if self._layer.local:  # there is nothing to wait for
            await self._subscribe(missing)
            return
        self._wanted |= missing
        while any(not self.is_ready(name) for name in missing):
            async with self._lock:
                due = {
                    key: name
                    for key, name in (self._wanted | missing).items()
                    if not self.is_ready(key)
                }
                self._wanted.clear()
                await self._subscribe(due)

    def is_ready(self, name: str) -> bool:
        """Tell whether a group is delivered."""
        known = self.of.get(name)
        return known is not None and known.is_ready

    async def _subscribe(self, due: dict[str, GroupName]) -> None:
        if not due:
            return
        made = {
            key: Subscribed(each.group, self._make(each)) for key, each in due.items()
        }
        # Known before they are: what comes meanwhile waits with the follower.
        self.of |= made
        try:
            await self._layer.subscribe(*due)
            await self._begin(
                [each.follower for each in made.values() if each.follower]
            )
        except BaseException:
            for key in due:  # the layer may have come to know of them
                self.forget(key)
            raise
        for subscribed in made.values():
            subscribed.is_ready = True

    async def _begin(self, followers: list[Follower]) -> None:
        if not followers:
            return
        positions = await self._layer.positions([each.group for each in followers])
        for follower, known in zip(followers, positions, strict=True):
            position = known
            if position is None:
                history = self._layer.history
                replay = await history(follower.group, follower.history, limit=0)
                position = replay.position
            follower.asked_at = current_time()
            if follower.begin(position):
                self._recover(follower)

    def forget(self, group: str) -> None:
        """Have a group's publications no longer, once it has stayed without members."""
        if group not in self.of:
            return
        if self._layer.local:
            self._drop(group)
            at_once(self._layer.unsubscribe(group))
        elif self._idle is not None:
            self._idle.add(group)
        else:
            try:
                self._spawn(self._unsubscribe_idle)
                self._idle = {group}
            except StateError:  # all has stopped, the layer with it
                self._drop(group)

    def _drop(self, group: str) -> None:
        """Know a group no longer, and have nobody wait for what it will not deliver."""
        follower = self.of.pop(group).follower
        if follower is not None:
            follower.end()
        self._silent(group)

    async def _unsubscribe_idle(self) -> None:
        try:
            while self._idle:
                await sleep(_LINGER)
                async with self._lock:
                    idle, self._idle = self._idle, set()
                    gone = [
                        group
                        for group in idle
                        if group not in self._hub.members and group in self.of
                    ]
                    for group in gone:
                        self._drop(group)
                    if gone:
                        await self._layer.unsubscribe(*gone)
        except LayerUnavailable:
            pass  # it will not subscribe to them when it is back
        finally:
            self._idle = None

    async def check(self) -> None:
        """Compare all positions with the layer's; have what is missing fetched.

        Raises:
            LayerUnavailable: It can't be told.
        """
        followers = self.followers
        if not followers:
            return
        await self._keep_remembered(followers)
        ours = [each.position for each in followers]
        theirs = await self._layer.positions([each.group for each in followers])
        for follower, our, their in zip(followers, ours, theirs, strict=True):
            if follower.check(our, their):
                self._recover(follower)

    async def _keep_remembered(self, followers: list[Follower]) -> None:
        """Ask for histories now and then, so that silent ones are not forgotten."""
        now = current_time()
        for follower in followers:
            if now >= follower.asked_at + follower.history.remembered / 3:
                follower.asked_at = now
                await self._layer.history(follower.group, follower.history, limit=0)

    async def check_for_ever(self) -> None:
        """Do that every few seconds, until cancelled."""
        while True:
            await sleep(_CHECK_EVERY)
            with suppress(LayerUnavailable):  # it says so itself
                await self.check()


def at_once(call: Any) -> None:
    """Carry out a call of a local layer, none of which waits."""
    try:
        call.send(None)
    except StopIteration:
        return
    call.close()
    raise AssertionError("a local layer must not wait")
