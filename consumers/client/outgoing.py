"""`Outgoing`: what waits to be sent, and `Call`: what waits for an answer."""

from __future__ import annotations

from collections import deque
from itertools import count
from typing import Any, Final, TypeAlias

import anyio
from anyio.lowlevel import checkpoint
from msgspec import UNSET, Raw

from consumers.errors import MessageError
from consumers.protocol.frames import (
    AnyFrame,
    Cancel,
    Done,
    Error,
    Item,
    Message,
    Refresh,
    Reply,
    Request,
)

from .errors import Closed, ConnectionLost, OfflineFull, Overflow, UnexpectedMessage
from .inbox import Inbox

__all__ = ["Call", "Outgoing", "error_of"]

Answer: TypeAlias = Any
"""A frame that answers: Reply, Item, Done or Error."""


def error_of(frame: Error) -> MessageError:
    """Return the exception that an error frame stands for."""
    return MessageError(frame.code, None if frame.detail is UNSET else frame.detail)


class Call:
    """A request until it is answered; what answers it comes into its inbox."""

    def __init__(
        self, number: int, frame: Request[Raw] | Refresh, *, streams: int = 0
    ) -> None:
        """Make one.

        Args:
            number: Its id.
            frame: What is sent.
            streams: How many items may wait unread; 0: it asks for one reply.
        """
        self.number: Final = number
        self.frame: Final = frame
        self.streams: Final = streams > 0
        self.inbox: Inbox[Raw] = Inbox(streams or 1)

    def take(self, answer: Answer) -> bool:
        """Take an answer; return whether it was more than can be taken."""
        match answer:
            case Reply(message=message):
                self.inbox.put(message)
                self.inbox.end()
            case Item(message=message) if self.streams:
                if not self.inbox.is_over and not self.inbox.put(message):
                    self.inbox.end(Overflow("items of a stream", self.inbox.most))
                    return True
            case Item():
                self.inbox.end(
                    UnexpectedMessage("a reply", "got a stream; use client.stream()")
                )
                return True
            case Done():
                self.inbox.end()
            case Error():
                self.inbox.end(error_of(answer))
        return False


class Outgoing:
    """What waits to be sent: all of it, over any number of connections.

    While there is none, at most ``offline`` messages and requests wait for it.
    """

    def __init__(self, offline: int) -> None:
        self._most_offline = offline
        self._numbers = count(1)
        # Cancels, pongs and the like; of no use to another connection.
        self._urgent: deque[AnyFrame] = deque()
        # [(number, message)]
        self._messages: deque[tuple[int, Message[Raw]]] = deque()
        self._calls: deque[Call] = deque()
        self._sending: Message[Raw] | None = None
        # {number: a request without an answer, or None: nobody waits for it any more}
        self._unanswered: dict[int, Call | None] = {}
        self._most_unanswered = 0
        self._live = False
        self._closed: Closed | None = None
        self._changed = anyio.Event()

    def number(self) -> int:
        """Return an id that was never used before."""
        return next(self._numbers)

    @property
    def messages(self) -> int:
        """How many messages wait that nobody answers."""
        return len(self._messages)

    # What is to be sent.

    def urge(self, frame: AnyFrame) -> None:
        """Send a frame before all others, over this connection or never."""
        if self._live:
            self._urgent.append(frame)
            self._notify()

    async def send(self, message: Message[Raw]) -> None:
        """Have a message sent; wait while too many wait and a connection takes them.

        Cancelling is safe: it is then not sent.

        Raises:
            Closed: There will be no connection.
            OfflineFull: There is none, and too many wait for it.
        """
        await checkpoint()
        while self._live and len(self._messages) >= max(self._most_offline, 1):
            await self._changed.wait()
        self._check_room()
        self._messages.append((self.number(), message))
        self._notify()

    def call(self, call: Call) -> None:
        """Have a request sent.

        Raises:
            Closed: There will be no connection.
            OfflineFull: There is none, and too many wait for it.
        """
        self._check_room()
        self._calls.append(call)
        self._notify()

    def give_up(self, call: Call) -> None:
        """Nobody waits for a request's answer any more: cancel what is not over."""
        if self._unanswered.get(call.number) is call:
            # The server counts it until it has answered.
            self._unanswered[call.number] = None
            self.urge(Cancel(call.number))
        elif not call.inbox.is_over and call in self._calls:
            self._calls.remove(call)

    def answered(self, answer: Answer) -> None:
        """Take what the server answers; what nobody waits for is dropped."""
        call = self._unanswered.get(answer.id)
        if call is not None and call.take(answer):
            self.give_up(call)
        if not isinstance(answer, Item) and answer.id in self._unanswered:
            del self._unanswered[answer.id]
            self._notify()

    # The connection that takes it.

    def opened(self, most_unanswered: int) -> None:
        """Begin with a connection, which lets so many requests be unanswered."""
        self._live, self._most_unanswered = True, most_unanswered
        self._notify()

    def pause(self) -> None:
        """Send nothing more over this connection, which may still answer."""
        self._live = False
        self._notify()

    def lost(self) -> None:
        """Go on without a connection: requests are kept, streams are lost."""
        self._live = False
        self._sending = None
        self._urgent.clear()
        again = []
        for call in self._unanswered.values():
            if call is None:
                continue
            if call.streams:
                call.inbox.end(ConnectionLost())
            elif isinstance(call.frame, Request):
                again.append(call)
            else:
                call.inbox.end()
        self._unanswered.clear()
        self._calls.extendleft(reversed(again))
        self._notify()

    def close(self, closed: Closed) -> None:
        """Let everything fail that waits, and whatever comes."""
        self._closed = closed
        self.lost()
        for call in self._calls:
            call.inbox.end(closed)
        self._calls.clear()

    async def next(self) -> AnyFrame:
        """Wait for the frame that is to be sent next.

        Requests wait while too many are unanswered; messages do not wait for them.
        """
        while True:
            frame = self._take()
            if frame is not None:
                return frame
            await self._changed.wait()

    def sent(self) -> None:
        """Forget the last frame: it was handed over."""
        if self._sending is not None:
            self._sending = None
            self._notify()

    def put_back(self) -> None:
        """Take the last frame back: it was not handed over."""
        if self._sending is not None:
            self._messages.appendleft((0, self._sending))
            self._sending = None

    async def drained(self) -> None:
        """Wait until each message that nobody answers was handed over, or never is."""
        while self._closed is None and (self._messages or self._sending is not None):
            await self._changed.wait()

    def _take(self) -> AnyFrame | None:
        if not self._live:
            return None
        if self._urgent:
            return self._urgent.popleft()
        call = None
        if self._calls and len(self._unanswered) < self._most_unanswered:
            call = self._calls[0]
        if self._messages and (call is None or self._messages[0][0] < call.number):
            self._sending = self._messages.popleft()[1]
            self._notify()
            return self._sending
        if call is None:
            return None
        self._calls.popleft()
        self._unanswered[call.number] = call
        return call.frame

    def _check_room(self) -> None:
        if self._closed is not None:
            raise self._closed
        waiting = len(self._messages) + len(self._calls)
        if not self._live and waiting >= self._most_offline:
            raise OfflineFull(self._most_offline)

    def _notify(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()
