"""The outbox: what waits to be sent to one client, in the order of its sending.

A connection has one only while something waits. Publications are put in without waiting
and are bounded, as `backlog.py` does it; whoever sends directly puts its message in and
waits until it is out. One task of the connection, the writer, empties it and ends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import ContextVar
from typing import Any, Final, TypeAlias

import anyio

from consumers.codecs import Event
from consumers.limits import Limits

from .backlog import Backlog, Encode, Entry, Ledger, Lost, Published

__all__ = ["SERVER_IS_DONE", "EventSend", "Outbox", "Suspended", "can_step", "step"]

EventSend: TypeAlias = "Callable[[Event], Awaitable[None]]"
Late: TypeAlias = "Callable[[], Awaitable[Event | None]]"
"""Makes the event when its turn comes; ``None``: nothing is sent."""

SERVER_IS_DONE = (OSError, RuntimeError)
"""What servers raise from ``send`` once the peer is gone: uvicorn an ``OSError``, or a
``RuntimeError`` about an unexpected message where it has closed by itself."""


class Suspended:
    """A ``send`` that was started and has to wait: awaiting it goes on with it."""

    __slots__ = ("_coroutine", "_yielded")

    def __init__(self, coroutine: Coroutine[Any, Any, None], yielded: Any) -> None:
        self._coroutine = coroutine
        self._yielded = yielded

    def __await__(self) -> Generator[Any, Any, None]:
        yielded = self._yielded
        while True:
            try:
                received = yield yielded
            except GeneratorExit:
                self._coroutine.close()
                raise
            except BaseException as error:  # cancellation goes to where it waits
                resume: Callable[[Any], Any] = self._coroutine.throw
                value: Any = error
            else:
                resume, value = self._coroutine.send, received
            try:
                yielded = resume(value)
            except StopIteration:
                return

    def close(self) -> None:
        """Give the message up."""
        self._coroutine.close()


def step(sending: Coroutine[Any, Any, None]) -> Suspended | None:
    """Run a ``send`` until it has to wait; return what is left of it, if anything.

    Only for a server whose ``send`` may be started in one task and end in another.
    """
    try:
        yielded = sending.send(None)
    except StopIteration:
        return None
    return Suspended(sending, yielded)


class _Entry(Entry):
    """One thing that waits its turn, with the way to send it."""

    __slots__ = ("failed", "late", "out", "suspended")

    def __init__(
        self,
        event: Event | None = None,
        size: int = 0,
        publication: Published | None = None,
        *,
        out: anyio.Event | None = None,
        late: Late | None = None,
        suspended: Suspended | None = None,
    ) -> None:
        super().__init__(event, size, publication)
        self.out = out  # set when it was sent, or never will be
        self.late = late
        self.suspended = suspended
        self.failed = False


# The late entry that the current task, or one that started it, makes. Tasks may outlive
# its making; then it is nobody's turn.
_making: Final[ContextVar[_Entry | None]] = ContextVar("making", default=None)


class Outbox(Backlog[_Entry]):
    """What waits for one client."""

    __slots__ = ("_made", "_sending")

    def __init__(self, ledger: Ledger, encode: Encode, lost: Lost) -> None:
        """Begin with nothing; see :class:`~consumers.queues.backlog.Backlog`."""
        super().__init__(ledger, encode, lost)
        self._made: _Entry | None = None  # the late one that is being made
        self._sending: _Entry | None = None  # the one whose turn it is

    def put(
        self, event: Event, size: int, publication: Published, limits: Limits
    ) -> bool:
        """Add a publication, as its policy says. Never waits.

        Returns:
            Whether the connection can go on; if not, nothing was added.
        """
        return self.add(_Entry(event, size, publication), limits)

    def put_late(
        self, late: Late, size: int, publication: Published, limits: Limits
    ) -> bool:
        """Add a publication that is made when its turn comes. As :meth:`put`."""
        return self.add(_Entry(None, size, publication, late=late), limits)

    def put_suspended(
        self, suspended: Suspended, size: int, publication: Published
    ) -> None:
        """Add a publication whose sending has begun. Never waits."""
        self._append(_Entry(None, size, publication, suspended=suspended))

    async def put_and_wait(self, event: Event | None) -> bool:
        """Add a message and wait until it is out; return whether it is.

        ``None`` waits for what is there already. Cancelling takes the message back,
        unless it is being sent.
        """
        entry = _Entry(event, out=anyio.Event())
        self._append(entry)
        try:
            await entry.out.wait()  # type: ignore[union-attr]
        except BaseException:
            if entry in self._entries and entry is not self._sending:
                self._take_out(entry)
            raise
        return not entry.failed

    def is_mine(self) -> bool:
        """Tell whether the caller makes the event whose turn it is, or helps to.

        What it sends itself can't wait for that event.
        """
        return self._made is not None and _making.get() is self._made

    async def run(self, send: EventSend) -> None:
        """Send all, in order, until nothing waits.

        Once the peer is gone, or when cancelled, it gives up what is left and wakes
        whoever waits for it: who reads will learn that the client left.

        Raises:
            Exception: From ``send``, or from a late publication's maker.
        """
        entries = self._entries
        try:
            while entries:
                entry = self._sending = next(iter(entries))
                if entry.share is not None:
                    self._leave_share(entry)
                event = entry.event
                if entry.late is not None:
                    event = await self._make(entry, entry.late)
                try:
                    if entry.suspended is not None:
                        await entry.suspended
                    elif event is not None:
                        await send(event)
                except SERVER_IS_DONE:
                    return
                # Only now: a direct send must see that something is on its way.
                self._take_out(entry)
                if entry.out is not None:
                    entry.out.set()
        finally:
            sending, self._sending = self._sending, None
            if sending is not None and sending in entries:
                self._forget(sending)
            self.give_up()

    async def _make(self, entry: _Entry, late: Late) -> Event | None:
        self._made = entry
        _making.set(entry)
        try:
            return await late()
        finally:
            self._made = None

    def give_up(self) -> None:
        """Send nothing more but what is being sent; wake whoever waits for the rest."""
        given_up = 0
        for entry in [*self._entries]:
            if entry is not self._sending:
                given_up += entry.count
                self._forget(entry)
        if given_up:
            self._lost("given_up", given_up)

    def _forget(self, entry: _Entry) -> None:
        self._take_out(entry)
        entry.failed = True
        if entry.suspended is not None:
            entry.suspended.close()
        if entry.out is not None:
            entry.out.set()


_STEPPED_SERVERS = frozenset(
    {
        "uvicorn.protocols.websockets.websockets_sansio_impl.WebSocketsSansIOProtocol",
        "uvicorn.protocols.websockets.wsproto_impl.WSProtocol",
    }
)
_stepped: dict[type, bool] = {}


def can_step(send: EventSend) -> bool:
    """Tell whether :func:`step` works with this ``send``.

    Only where it was tried: a list of servers, never a guess from behaviour. A
    middleware's wrapper around ``send`` is not on it, and gets a writer task instead.
    """
    owner = type(getattr(send, "__self__", None))
    known = _stepped.get(owner)
    if known is None:
        name = f"{owner.__module__}.{owner.__qualname__}"
        known = _stepped[owner] = name in _STEPPED_SERVERS
    return known
