"""Looking: the consumer behind the inspector's page.

It tells what there is every so often, for as long as the page is open. Everything is
bounded: with ten thousand connections a page gets the most remarkable of them.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec

from consumers.clock import sleep
from consumers.close import check_code
from consumers.consumer import WebSocketConsumer
from consumers.errors import ConnectionClosed, MessageError, StateError
from consumers.handlers.messages import receives
from consumers.handshake.connection import process_id
from consumers.handshake.refusals import refused
from consumers.runtime.registry import current_registry
from consumers.state import OPEN

from .record import End, Failure
from .shown import show_text
from .tap import TAP_KEY, Frame, Tap

if TYPE_CHECKING:
    from consumers.runtime.life import Life

    from .inspector import Inspector

__all__ = ["Looking"]

_ROWS: Final = 100
"""Connections, and groups, that are told at most."""
_GROUPS: Final = 12
"""Groups that are told of one connection."""
_LOSSES: Final = ("dropped_oldest", "dropped_newest", "overflowed", "given_up")
_PRESENT: Final = 200
"""Those who are told of one group."""


class Find(msgspec.Struct, tag="find"):
    """Shows connections whose id, user, path, consumer or address has a text."""

    text: str


class Look(msgspec.Struct, tag="look"):
    """Shows the frames of one connection from now on; ``None``: of none."""

    connection: str | None


class Disconnect(msgspec.Struct, tag="disconnect"):
    """Closes one connection."""

    connection: str
    code: int = 1008


class WhoIsIn(msgspec.Struct, tag="who"):
    """Asks who is present in a group."""

    group: str


class Here(msgspec.Struct, tag="here"):
    """Who is present in a group."""

    group: str
    users: list[str]
    """Each once."""
    more: int
    """How many are not told."""


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


class Overview(msgspec.Struct, tag="overview"):
    """What there is now, and what has happened since the last one."""

    at: float
    process: str
    connections: int
    found: int
    rows: list[Row]
    groups: int
    group_rows: list[GroupRow]
    opened: int
    received: int
    sent: int
    waiting: int
    slow: int
    """Connections with something in their outbox, or that were dropped from."""
    dropped: int
    codes: dict[str, int]
    refused: dict[str, int]
    ends: list[End]
    failures: list[Failure]
    looked_at: str | None
    frames: list[Frame]


class Looking(WebSocketConsumer):
    """One open page."""

    value_type = "json"
    refusals = "close"
    origins = ("self",)  # also where the application lets any page connect
    inspector: ClassVar[Inspector]

    _text = ""  # what is to be found
    _life: Life | None = None  # of the connection that is looked into
    _tap: Tap | None = None
    _frame = 0  # the number of the last that was told
    _known = 0  # the same of what the record has

    async def on_handshake(self) -> None:
        """Let in who may look."""
        if not await self.inspector.allows(self):
            await self.reject(403)

    async def on_connect(self) -> None:
        """Tell what there is, now and then."""
        self.start_soon(self._report)

    async def on_disconnect(self, code: int) -> None:
        """Have nobody's frames kept any more."""
        self._look_away()

    @receives
    async def find(self, message: Find) -> Overview:
        """Change which connections are told."""
        self._text = message.text.casefold()
        return self._overview()

    @receives
    async def look(self, message: Look) -> Overview:
        """Look into a connection, or away from it."""
        self._look_away()
        if message.connection is not None:
            life, tap = self._named(message.connection)
            self._life, self._tap, self._frame = life, tap, tap.number
            tap.look()
            _share(life)
        return self._overview()

    @receives
    async def disconnect(self, message: Disconnect) -> None:
        """Close a connection."""
        try:
            check_code(message.code)
        except ValueError as error:
            raise MessageError("bad_code", str(error)) from error
        life, _ = self._named(message.connection)
        consumer, reason = life.consumer, "disconnected by an operator"
        if not life.learns_by_receiving():
            consumer.end(message.code, reason)
            return
        with suppress(ConnectionClosed, StateError):
            await consumer.close(message.code, reason)

    @receives
    async def who(self, message: WhoIsIn) -> Here:
        """Tell who is present in a group."""
        name = self.groups.resolve(message.group)
        if name.group.presence is None:
            raise MessageError("no_presence", "the group has none")
        present = await self.groups.presence(message.group)
        users = [show_text(each.key, 80) for each in present[:_PRESENT]]
        return Here(message.group, users, len(present) - len(users))

    # -- what is told ---------------------------------------------------------------

    async def _report(self) -> None:
        while True:
            await self.send(self._overview())
            await sleep(self.inspector.every)

    def _overview(self) -> Overview:
        record, lives = self.inspector.record, list(self._lives())
        found = lives
        if self._text:
            found = [each for each in lives if self._matches(*each)]
        shown = heapq.nlargest(_ROWS, found, key=_remarkable)
        known, self._known = self._known, record.number
        frames = [] if self._tap is None else self._tap.frames(self._frame)
        self._frame = frames[-1].number if frames else self._frame
        members = self._members()
        largest = heapq.nlargest(_ROWS, members.items(), key=lambda each: each[1])
        counters = self.groups.counters
        received, sent, waiting, slow = record.received, record.sent, 0, 0
        for life, tap in lives:
            received += tap.received
            sent += tap.sent
            ledger = life.consumer._ledger_or_none
            if ledger is not None:
                waiting += ledger.messages
                slow += bool(ledger.messages or ledger.dropped)
        return Overview(
            at=time.time(),
            process=process_id(),
            connections=len(lives),
            found=len(found),
            rows=[_row(*each) for each in shown],
            groups=len(members),
            group_rows=[self._group_row(*each) for each in largest],
            opened=record.opened,
            received=received,
            sent=sent,
            waiting=waiting,
            slow=slow,
            dropped=sum(getattr(counters, loss) for loss in _LOSSES),
            codes=dict(record.codes),
            refused=dict(refused),
            ends=[each for each in record.ends if each.number > known],
            failures=[each for each in record.failures if each.number > known],
            looked_at=None if self._life is None else self._life.consumer.id,
            frames=frames,
        )

    def _lives(self) -> Iterator[tuple[Life, Tap]]:
        """Yield the application's connections, but those of the page itself."""
        for life in current_registry().lives:
            consumer = life.consumer
            tap: Tap | None = consumer.scope.get(TAP_KEY)
            if tap is None or isinstance(consumer, Looking):
                continue
            if tap.record is self.inspector.record:
                yield life, tap

    def _members(self) -> dict[str, int]:
        """Return ``{group: its members in this process}``."""
        local = self.groups._loop.get()
        if local is None:
            return {}
        # Those that begin with @ are the framework's own: one per user, for instance.
        members = local.hub.members.items()
        return {name: len(each) for name, each in members if name[0] != "@"}

    def _matches(self, life: Life, tap: Tap) -> bool:
        row = (life.consumer.id, tap.consumer, tap.path, tap.address, _user(life))
        return any(self._text in each.casefold() for each in row)

    def _named(self, name: str) -> tuple[Life, Tap]:
        for life, tap in self._lives():
            if life.consumer._id == name:
                return life, tap
        raise MessageError("gone", "the connection has ended")

    def _group_row(self, name: str, members: int) -> GroupRow:
        presence = self.groups.resolve(name).group.presence is not None
        return GroupRow(show_text(name, 120), members, presence)

    def _look_away(self) -> None:
        life, tap = self._life, self._tap
        self._life = self._tap = None
        if life is not None and tap is not None:
            tap.look_away()
            _share(life)


def _share(life: Life) -> None:
    """Have publications go as frames for many, or for this connection alone."""
    if life.consumer._shares is not None:
        life.consumer._share_frames()


def _remarkable(each: tuple[Life, Tap]) -> Any:
    """Put those first for whom something waits, then the latest."""
    life, tap = each
    ledger = life.consumer._ledger_or_none
    waiting = 0 if ledger is None else ledger.messages
    return (waiting, tap.since, id(tap))


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
