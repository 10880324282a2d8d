"""Looking: the consumer behind the inspector's page.

It tells what there is every so often, for as long as the page is open. Everything is
bounded: with ten thousand connections a page gets the most remarkable of them, and an
error's traceback, which is long, when it asks for it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec
from anyio import Lock

from consumers.clock import sleep
from consumers.close import check_code
from consumers.consumer import WebSocketConsumer
from consumers.errors import ConnectionClosed, MessageError, StateError
from consumers.handlers.messages import receives
from consumers.handshake.connection import process_id
from consumers.handshake.refusals import refused
from consumers.over_limit import over_limit

from .record import End, Failure
from .shown import show_text
from .survey import GroupRow, Row, Survey, find_connection
from .tap import TAP_KEY, Frame, Tap

if TYPE_CHECKING:
    from consumers.runtime.life import Life

    from .inspector import Inspector

__all__ = ["Looking"]

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


class Explain(msgspec.Struct, tag="explain"):
    """Asks how an error came about."""

    failure: int
    """Its number."""


class Explained(msgspec.Struct, tag="explained"):
    """How an error came about."""

    traceback: str


class Here(msgspec.Struct, tag="here"):
    """Who is present in a group."""

    group: str
    users: list[str]
    """Each once."""
    more: int
    """How many are not told."""


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
    over_limit: dict[str, int]
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

    _one_look: Lock
    _text = ""  # what is to be found
    _life: Life | None = None  # of the connection that is looked into
    _tap: Tap | None = None
    _frame = 0  # the number of the last that was told
    _known = 0  # the same of what the record has

    async def on_handshake(self) -> None:
        """Let in who may look."""
        del self.scope[TAP_KEY]  # it does not show itself
        if not await self.inspector.allows(self):
            await self.reject(403)

    async def on_connect(self) -> None:
        """Tell what there is, now and then."""
        self._one_look = Lock()  # what a later one knows must not come before
        self.start_soon(self._report)

    async def on_disconnect(self, code: int) -> None:
        """Have nobody's frames kept any more."""
        self._look_away()

    @receives
    async def find(self, message: Find) -> Overview:
        """Change which connections are told."""
        self._text = message.text.casefold()
        return await self._overview()

    @receives
    async def look(self, message: Look) -> Overview:
        """Look into a connection, or away from it."""
        if message.connection is None:
            self._look_away()
        else:
            life, tap = await self._named(message.connection)
            self._look_away()
            self._life, self._tap, self._frame = life, tap, tap.number
            tap.look()
            _share(life)
        return await self._overview()

    @receives
    async def disconnect(self, message: Disconnect) -> None:
        """Close a connection."""
        try:
            check_code(message.code)
        except ValueError as error:
            raise MessageError("bad_code", str(error)) from error
        life, _ = await self._named(message.connection)
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

    @receives
    async def explain(self, message: Explain) -> Explained:
        """Tell how an error came about."""
        traceback = self.inspector.record.traceback(message.failure)
        if traceback is None:
            raise MessageError("gone", "later errors have taken its place")
        return Explained(traceback)

    # -- what is told ---------------------------------------------------------------

    async def _report(self) -> None:
        while True:
            await self.send(await self._overview())
            await sleep(self.inspector.every)

    async def _overview(self) -> Overview:
        async with self._one_look:
            record = self.inspector.record
            survey = Survey(record, self.groups)
            await survey.take(self._text)
            known, self._known = self._known, record.number
            frames = [] if self._tap is None else self._tap.frames(self._frame)
            self._frame = frames[-1].number if frames else self._frame
            counters = self.groups.counters
            return Overview(
                at=survey.at,
                process=process_id(),
                connections=survey.connections,
                found=survey.found,
                rows=survey.rows,
                groups=survey.groups,
                group_rows=survey.group_rows,
                opened=survey.opened,
                received=survey.received,
                sent=survey.sent,
                waiting=survey.waiting,
                slow=survey.slow,
                dropped=sum(getattr(counters, loss) for loss in _LOSSES),
                codes=dict(record.codes),
                refused=dict(refused),
                over_limit=dict(over_limit),
                ends=[each for each in record.ends if each.number > known],
                failures=[each for each in record.failures if each.number > known],
                looked_at=None if self._life is None else self._life.consumer.id,
                frames=frames,
            )

    async def _named(self, name: str) -> tuple[Life, Tap]:
        found = await find_connection(self.inspector.record, name)
        if found is None:
            raise MessageError("gone", "the connection has ended")
        return found

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
