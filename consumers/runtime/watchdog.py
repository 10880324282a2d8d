"""The watchdog: sees that a hook takes long, and then has its connection read ahead.

A client's leaving comes as an event, and nobody reads events while a hook works. A
reader for each connection would cost a task and a switch for every message; this is one
task per event loop, which rests while no hook runs.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final, Protocol

import anyio
from anyio.lowlevel import RunVar

from consumers.queues.inbox import Inbox

__all__ = ["PERIOD", "Host", "Watchdog", "current_watchdog"]

PERIOD: Final = 0.03
"""Seconds between two looks. A hook is noticed in its second look, after 30-60 ms."""

_REST_AFTER: Final = 32
# Looks at nothing before it rests: being woken costs more than a look, so that a server
# with a message every now and then should not pay for it each time.


class Host(Protocol):
    """A connection that can run tasks for the watchdog."""

    def spawn(self, function: Callable[[], Any]) -> object:
        """Start a task that ends with the connection."""
        ...


class Watchdog:
    """Looks after all connections of one event loop. Lives in the tasks of one of them.

    A connection that ends takes it along; the next that is busy takes it in.
    """

    __slots__ = ("_hosts", "_listed", "_resting", "awake", "tick")

    def __init__(self) -> None:
        self.tick = 0
        """The number of the current look."""
        self.awake = False
        """Whether it looks, or else has to be woken."""
        # Those with an event since the last look, in the order of `enlist`. They leave
        # the list at a look, and not when they have done: that would be for each event.
        self._listed: dict[Inbox, None] = {}
        self._hosts: dict[Inbox, Host] = {}
        self._resting: anyio.Event | None = None

    def watch(self, inbox: Inbox, host: Host) -> None:
        """Look after a connection from now on."""
        inbox.watchdog = self
        self._hosts[inbox] = host

    def forget(self, inbox: Inbox) -> None:
        """Stop looking after a connection."""
        inbox.watchdog = inbox.since = None
        self._strike(inbox)
        self._hosts.pop(inbox, None)

    def mark(self, inbox: Inbox) -> None:
        """Count a connection as busy, whether it read an event or its first hooks run.

        Written out where every message passes.
        """
        inbox.since = self.tick
        if not inbox.listed:
            self.enlist(inbox)

    def enlist(self, inbox: Inbox) -> None:
        """Look at a connection that is busy, until it is not when it is looked at."""
        inbox.listed = True
        self._listed[inbox] = None
        if not self.awake:
            self._wake()

    def __len__(self) -> int:
        """Return how many connections it knows: none when all have ended."""
        return len(self._listed.keys() | self._hosts.keys())

    def _strike(self, inbox: Inbox) -> None:
        inbox.listed = False
        self._listed.pop(inbox, None)

    def _wake(self) -> None:
        """Start looking."""
        if self._resting is not None:
            self.awake = True
            self._resting.set()
            return
        for inbox in [*self._listed]:
            if inbox.is_idle():
                self._strike(inbox)  # so that its next event wakes again
            elif inbox in self._hosts:
                self.awake = True
                self._hosts[inbox].spawn(partial(self._look, inbox))
                return

    async def _look(self, host: Inbox) -> None:
        nothing = 0
        try:
            while True:
                await anyio.sleep(PERIOD)
                self.tick += 1
                self._read_ahead()
                if self._listed:
                    nothing = 0
                    continue
                nothing += 1
                if nothing >= _REST_AFTER:
                    await self._rest()
                    nothing = 0
        finally:
            # What cancelled this task would cancel the next that is started there.
            self._hosts.pop(host, None)
            self.awake = False
            self._resting = None
            self._wake()

    async def _rest(self) -> None:
        self.awake = False
        self._resting = anyio.Event()
        try:
            await self._resting.wait()
        finally:
            self._resting = None

    def _read_ahead(self) -> None:
        for inbox in [*self._listed]:
            if inbox.since is None:
                self._strike(inbox)
            elif self.tick - inbox.since >= 2:
                # A whole period has passed at the least. Its inbox may be full, and
                # have room later: it is looked at again.
                inbox.since = self.tick
                if inbox.has_room() and inbox in self._hosts:
                    self._hosts[inbox].spawn(inbox.read_beside)


_current: Final[RunVar[Watchdog]] = RunVar("consumers.watchdog")


def current_watchdog() -> Watchdog:
    """Return the watchdog of the running event loop."""
    with suppress(LookupError):
        return _current.get()
    watchdog = Watchdog()
    _current.set(watchdog)
    return watchdog
