"""The inbox: a connection's events on their way from the server to whoever reads them.

Normally nothing waits here: the reader awaits the server itself. While a hook works for
long, the watchdog has a task read ahead, so that the client's leaving is noticed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import anyio
from anyio.lowlevel import checkpoint
from starlette.types import Receive

from consumers.codecs import Event
from consumers.limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from consumers.runtime.watchdog import Watchdog

__all__ = ["Inbox"]

_END: Final[Event] = {"type": "websocket.disconnect", "code": 1000}


def _nobody(event: Event) -> None:
    """Be told that the client left."""


class Inbox:
    """The events of one connection, in the order of their coming."""

    __slots__ = (
        "_arrived",
        "_end",
        "_left",
        "_limits",
        "_receive",
        "closed",
        "listed",
        "reading_ahead",
        "since",
        "urgent",
        "waiting",
        "watchdog",
    )

    def __init__(self, receive: Receive, left: Callable[[Event], None]) -> None:
        """Take the server's ``receive``, and what to call with a disconnect."""
        self._receive = receive
        self._left = left
        self.waiting: deque[Event] | None = None
        """What was read ahead; ``None`` where all of that was taken."""
        self._arrived: anyio.Event | None = None  # somebody waits for it to fill
        self._end: Event | None = None  # the disconnect, once it was read
        self._limits = DEFAULT_LIMITS
        self.reading_ahead = False
        """Whether a task reads ahead."""
        self.urgent: Callable[[Event], bool] | None = None
        """Deals with a message that must not wait, and tells whether it was one."""
        self.closed = False
        """Whether we closed, or the end was taken: then there is no more to read."""
        self.watchdog: Watchdog | None = None
        """Who looks whether a hook takes long, if anybody does."""
        self.since: int | None = None
        """Since which of the watchdog's looks an event is worked on; ``None``: none
        is, as far as it knows."""
        self.listed = False
        """Whether the watchdog looks at this one."""

    def __len__(self) -> int:
        """Return how many events wait."""
        return len(self.waiting or ())

    def bound(self, limits: Limits) -> None:
        """Set how much may be read ahead."""
        self._limits = limits

    def end(self) -> None:
        """Tell nobody any more: the connection has ended."""
        self._left, self.urgent = _nobody, None

    def put_back(self, event: Event) -> None:
        """Have an event come again that was read and not yet given to :meth:`took`."""
        self.waiting = deque([event])

    def next(self) -> Awaitable[Event]:
        """Return what to await for the next event; give that to :meth:`took` at once.

        Two calls and no coroutine of our own, since every message passes here:
        ``event = inbox.took(await inbox.next())``. Cancelling is safe: nothing is lost.
        """
        self.since = None
        if self.waiting is None and not self.closed:
            return self._receive()
        return self._next_waiting()

    def took(self, event: Event) -> Event:
        """Take note of an event: report a disconnect to ``left``.

        From now until the next call of :meth:`next` the watchdog counts the connection
        as busy.
        """
        if event["type"] == "websocket.disconnect":
            # Servers may wait for ever when they are asked once more.
            self._end, self.closed = event, True
            self._left(event)
        elif self.closed:
            return _END  # it crossed our close
        elif (watchdog := self.watchdog) is not None:
            self.since = watchdog.tick  # `mark`, written out
            if not self.listed:
                watchdog.enlist(self)
        return event

    def is_idle(self) -> bool:
        """Tell whether somebody waits in :meth:`next`, as far as the watchdog knows."""
        return self.since is None

    def has_room(self) -> bool:
        """Tell whether a task should read ahead: none does, and there is room."""
        return not self.reading_ahead and self._end is None and not self.is_full()

    def is_full(self) -> bool:
        """Tell whether so much waits that nothing more is read."""
        return len(self) >= self._limits.inbox

    async def read_ahead(self) -> None:
        """Read until it is full, the client has left, or somebody waits in `next`.

        Cancelling is safe: no event is lost.
        """
        if self.reading_ahead or self._end is not None:
            return
        self.reading_ahead = True
        waiting = self.waiting
        if waiting is None:
            waiting = self.waiting = deque()
        try:
            while len(waiting) < self._limits.inbox:
                event: Event = await self._receive()
                if event["type"] == "websocket.disconnect":
                    waiting.append(event)
                    self._end = event
                    self._left(event)
                    break
                if self.urgent is None or not self.urgent(event):
                    waiting.append(event)
                if self._arrived is not None:
                    break
        finally:
            self.reading_ahead = False
            if self._arrived is not None:
                self._arrived.set()
                self._arrived = None

    async def read_beside(self) -> None:
        """Read ahead, as a task that was started while nobody waited in `next`.

        Somebody may wait there by its first step. Two readers would take each other's
        events, and the one in `next` might get none.
        """
        if not self.is_idle():
            await self.read_ahead()

    async def _next_waiting(self) -> Event:
        if self.closed:
            await checkpoint()
            return self._end or _END
        while self.waiting is not None:
            if self.waiting:
                event = self.waiting.popleft()
                if not self.waiting and not self.reading_ahead:
                    self.waiting = None
                return event
            if not self.reading_ahead:
                self.waiting = None
                break
            if self._arrived is None:
                self._arrived = anyio.Event()
            await self._arrived.wait()
        return await self._receive()
