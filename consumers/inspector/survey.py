"""A survey: one look at all connections and groups, which lets others run meanwhile.

With ten thousand connections a look takes tens of milliseconds. So it is taken in
slices, and between two of them the event loop does what else is due.
"""

from __future__ import annotations

import time
from heapq import heappush, heapreplace
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import msgspec
from anyio.lowlevel import checkpoint

from consumers.runtime.registry import current_registry
from consumers.state import OPEN

from .shown import show_text
from .tap import TAP_KEY, Tap

if TYPE_CHECKING:
    from consumers.groups import Groups
    from consumers.runtime.life import Life

    from .record import Record

__all__ = ["GroupRow", "Row", "Survey", "find_connection"]

_ROWS: Final = 100
"""Connections, and groups, that are told at most."""
_GROUPS: Final = 12
"""Groups that are told of one connection."""
_SLICE: Final = 0.001
"""Seconds that are taken of the event loop at once."""


class Row(msgspec.Struct):
    """A connection."""

    id: str
    consumer: str
    path: str
    address: str
    user: str
    since: float
    """Seconds since 1970."""
    received: int
    sent: int
    waiting: int
    """Publications in its outbox."""
    waiting_bytes: int
    dropped: int
    groups: list[str]
    protocol: str


class GroupRow(msgspec.Struct):
    """A group with members in this process."""

    name: str
    members: int
    presence: bool


class Survey:
    """One look. What it counts is of one moment, when it was made.

    A connection that goes while it is being taken has been there at that moment, and
    what it has received is counted with it; one that comes is left to the next look.
    """

    def __init__(self, record: Record, groups: Groups) -> None:
        """Begin: note who is there now."""
        self._record = record
        self._groups = groups
        self._lives = list(current_registry().lives)
        local = groups._loop.get()
        self._members = {} if local is None else local.hub.members
        self._slices = _Slices()
        self.at = time.time()
        """When it was, in seconds since 1970."""
        self.opened = record.opened
        """Connections since the application began."""
        self.received = record.received
        """Messages since then."""
        self.sent = record.sent
        self.connections = 0
        self.found = 0
        """Those that have the text."""
        self.waiting = 0
        """Publications in all outboxes."""
        self.slow = 0
        """Connections with something in their outbox, or that were dropped from."""
        self.rows: list[Row] = []
        """The most remarkable of those found."""
        self.groups = 0
        self.group_rows: list[GroupRow] = []
        """The largest."""

    async def take(self, text: str) -> None:
        """Look at each; at those in detail that have a text, in lower case.

        Cancelling is safe: what was not looked at is missing.
        """
        await self._take_connections(text)
        await self._take_groups()
        await checkpoint()  # to say all this takes its time, too

    async def _take_connections(self, text: str) -> None:
        # (what waits, since when, its id: so that no two are equal, life, tap)
        best: list[tuple[int, float, int, Life, Tap]] = []
        for life in self._lives:
            await self._slices.share()
            tap = _tap(life, self._record)
            if tap is None:
                continue
            self.connections += 1
            self.received += tap.received
            self.sent += tap.sent
            ledger = life.consumer._ledger_or_none
            waiting = 0
            if ledger is not None:
                waiting = ledger.messages
                self.waiting += waiting
                self.slow += bool(waiting or ledger.dropped)
            if text and not _has(text, life, tap):
                continue
            self.found += 1
            _keep(best, (waiting, tap.since, id(tap), life, tap))
        for *_, life, tap in sorted(best, reverse=True):
            await self._slices.share()
            self.rows.append(_row(life, tap))

    async def _take_groups(self) -> None:
        best: list[tuple[int, int, str]] = []  # (members, minus its place, name)
        for place, name in enumerate(list(self._members)):
            await self._slices.share()
            # Those that begin with @ are the framework's own: one per user, say.
            members = 0 if name[0] == "@" else len(self._members.get(name, ()))
            if members:
                self.groups += 1
                _keep(best, (members, -place, name))
        for members, _, name in sorted(best, reverse=True):
            await self._slices.share()
            presence = self._groups.resolve(name).group.presence is not None
            self.group_rows.append(GroupRow(show_text(name, 120), members, presence))


async def find_connection(record: Record, name: str) -> tuple[Life, Tap] | None:
    """Return the connection that has an id, if it is there."""
    lives, slices = current_registry().lives, _Slices()
    for life in list(lives):
        await slices.share()
        if life.consumer._id == name and life in lives:
            tap = _tap(life, record)
            return None if tap is None else (life, tap)
    return None


class _Slices:
    """Long work, of which others shall not have to wait for the end."""

    def __init__(self) -> None:
        self._until = perf_counter() + _SLICE

    async def share(self) -> None:
        """Let others run, if the slice is over.

        By the clock and not by a number: clients choose texts, and so how long a look
        at one connection takes.
        """
        if perf_counter() >= self._until:
            await checkpoint()
            self._until = perf_counter() + _SLICE


def _keep(best: list[Any], entry: tuple[Any, ...]) -> None:
    """Add to a heap of the largest entries, if it is one of them."""
    if len(best) < _ROWS:
        heappush(best, entry)
    elif entry > best[0]:
        heapreplace(best, entry)


def _tap(life: Life, record: Record) -> Tap | None:
    """Return a connection's tap, if the connection is to be shown."""
    tap: Tap | None = life.consumer.scope.get(TAP_KEY)
    return tap if tap is not None and tap.record is record else None


def _has(text: str, life: Life, tap: Tap) -> bool:
    shown = (life.consumer.id, tap.consumer, tap.path, tap.address, _user(life))
    return any(text in each.casefold() for each in shown)


def _user(life: Life) -> str:
    user = life.consumer.user
    return str(user.display_name) if user.is_authenticated else ""


def _row(life: Life, tap: Tap) -> Row:
    consumer = life.consumer
    ledger = consumer._ledger_or_none
    groups = [name for name in life.memberships if name[0] != "@"][: _GROUPS + 1]
    return Row(
        id=consumer.id,
        consumer=tap.consumer or type(consumer).__name__,
        path=tap.path,
        address=tap.address,
        user=show_text(_user(life), 80),
        since=tap.since,
        received=tap.received,
        sent=tap.sent,
        waiting=ledger.messages if ledger else 0,
        waiting_bytes=ledger.bytes if ledger else 0,
        dropped=ledger.dropped if ledger else 0,
        groups=[show_text(name, 80) for name in groups],
        protocol=consumer.protocol or "" if consumer._stage is OPEN else "connecting",
    )
