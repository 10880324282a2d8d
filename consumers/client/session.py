"""`Session`: one connection that speaks ``consumers.v1``, from welcome to its end."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import Any, Final

import anyio
from anyio import EndOfStream, create_task_group
from anyio.abc import TaskGroup
from msgspec import UNSET

from consumers.clock import current_time, move_on_after, sleep
from consumers.errors import InvalidMessage, MessageError
from consumers.protocol.frames import (
    Cancel,
    Done,
    Error,
    Goodbye,
    Item,
    Message,
    Ping,
    Pong,
    PublicationFrame,
    Refresh,
    Reply,
    Request,
    Subscribed,
    Unsubscribed,
    Welcome,
)

from .errors import Overflow, UnexpectedMessage
from .outgoing import Call, error_of
from .parts import Parts
from .reconnecting import End
from .subscription import Subscription
from .transport import Ended, Transport

__all__ = ["Session"]

log: Final = logging.getLogger("consumers.client")

_BROKEN: Final = 1006
_PROTOCOL_ERROR: Final = 1002
_PASSING: Final = frozenset({"internal", "timeout", "rate_limited"})
"""Errors for which a subscription that stood before is not given up."""
_AGAIN: Final = 8.0
"""Seconds at most until such a subscription is asked for again."""
_CLOSING: Final = 5.0
"""Seconds that the answer to a close may take."""
_LEAD: Final = 60.0
"""Seconds before its end that a token is renewed; later, if it lives for long."""
_YOUNG: Final = 0.8
"""The part of its life before which no token is renewed."""


class Session:
    """One connection: reads and writes frames until it ends."""

    def __init__(
        self, parts: Parts, transport: Transport, welcomed: Callable[[Welcome], None]
    ) -> None:
        """Begin on an open connection.

        Args:
            parts: What outlives it.
            transport: The connection.
            welcomed: Is told when the connection is live.
        """
        self._parts = parts
        self._transport = transport
        self._welcomed = welcomed
        self._welcome: Welcome | None = None
        self._live_since = 0.0
        self._heard = current_time()
        self._goodbye: Goodbye | None = None
        self._given_up: Ended | None = None
        self._over = anyio.Event()
        self._tasks: TaskGroup

    async def run(self) -> End:
        """Serve the connection until it ends, and return how it did."""
        ended = Ended(_BROKEN)
        try:
            async with create_task_group() as self._tasks:
                self._tasks.start_soon(self._await_welcome)
                try:
                    await self._read()
                except Ended as error:
                    ended = error
                except InvalidMessage as error:
                    ended = Ended(_BROKEN, str(error))
                    with move_on_after(_CLOSING):
                        await self._transport.close(error.close_code, "")
                finally:
                    self._tasks.cancel_scope.cancel()
        finally:
            self._over.set()
            self._parts.outgoing.lost()
        ended = self._given_up or ended
        return End(
            ended.code if self._goodbye is None else self._goodbye.code,
            ended.reason,
            self._goodbye,
            lived=None if self._welcome is None else current_time() - self._live_since,
        )

    async def close(self, code: int, reason: str) -> None:
        """Say goodbye, and wait for the server's answer for a short time."""
        with move_on_after(_CLOSING):
            await self._transport.close(code, reason)
            await self._over.wait()
        self._give_up(Ended(code, reason))

    def _give_up(self, ended: Ended) -> None:
        if not self._over.is_set():
            self._given_up = ended
            self._tasks.cancel_scope.cancel()

    # Reading.

    async def _read(self) -> None:
        while True:
            message = await self._transport.receive()
            self._heard = current_time()
            for frame in self._parts.wire.read(message):
                if self._welcome is None and not isinstance(frame, Welcome | Goodbye):
                    raise InvalidMessage(
                        _PROTOCOL_ERROR, "expected a welcome", f"got {frame!r}"
                    )
                self._take(frame)

    def _take(self, frame: Any) -> None:
        parts = self._parts
        match frame:
            case PublicationFrame() if parts.subscriptions.published(frame):
                pass
            case Message() | PublicationFrame():
                # The application has put this client into the group by itself: what is
                # published there is a message as others are.
                if not parts.messages.put(frame.message):
                    parts.messages.fault(Overflow("pushes", parts.unread))
            case Reply() | Item() | Done():
                parts.subscriptions.left(frame.id)
                parts.outgoing.answered(frame)
            case Error():
                self._take_error(frame)
            case Subscribed():
                parts.subscriptions.subscribed(frame)
            case Unsubscribed():
                parts.subscriptions.unsubscribed(frame)
            case Ping():
                parts.outgoing.urge(Pong())
            case Request():
                parts.answering.begin(self._tasks, frame, parts.outgoing.urge)
            case Cancel():
                parts.answering.cancel(frame.id)
            case Goodbye():
                self._goodbye = frame
                self._parts.outgoing.pause()
            case Welcome() if self._welcome is None:
                self._begin(frame)

    def _take_error(self, frame: Error) -> None:
        if frame.id is UNSET:
            self._parts.on_error(error_of(frame))
            return
        parts, error = self._parts, error_of(frame)
        subscription = parts.subscriptions.asked(frame.id)
        if subscription is None:
            parts.outgoing.answered(frame)
        elif subscription.stood and error.code in _PASSING:
            self._tasks.start_soon(self._ask_again, subscription)
        else:
            subscription.end(error)

    def _begin(self, welcome: Welcome) -> None:
        self._welcome = welcome
        self._live_since = current_time()
        self._parts.credentials.ends_in(welcome.expires)
        self._parts.outgoing.opened(welcome.requests)
        self._parts.subscriptions.opened()
        self._tasks.start_soon(self._write)
        if welcome.heartbeat is not None:
            self._tasks.start_soon(self._beat, welcome.heartbeat, welcome.timeout)
        self._tasks.start_soon(self._renew, welcome.expires)
        self._welcomed(welcome)

    # Writing, and what goes by the clock.

    async def _write(self) -> None:
        outgoing = self._parts.outgoing
        while True:
            frame = await outgoing.next()
            try:
                await self._transport.send(self._parts.wire.write(frame))
            except Ended:
                outgoing.put_back()
                return  # how it ended is told where it is read
            outgoing.sent()

    async def _ask_again(self, subscription: Subscription[Any]) -> None:
        await sleep(random.uniform(0, _AGAIN))  # noqa: S311  no secret
        self._parts.subscriptions.ask_again(subscription)

    async def _await_welcome(self) -> None:
        await sleep(self._parts.deadline)
        if self._welcome is None:
            self._give_up(Ended(_BROKEN, "the server did not say welcome in time"))

    async def _beat(self, heartbeat: float, patience: float) -> None:
        """Ask for a sign of life after a silence, and give up after a longer one.

        The server asks first, after ``heartbeat``, unless it hears something itself.
        """
        quiet, most = heartbeat + patience / 2, heartbeat + patience
        asked_after = None
        while True:
            silence = current_time() - self._heard
            if silence >= most:
                self._give_up(Ended(_BROKEN, "the server has fallen silent"))
                return
            if silence >= quiet and asked_after != self._heard:
                asked_after = self._heard
                self._parts.outgoing.urge(Ping())
            await sleep((most if silence >= quiet else quiet) - silence)

    async def _renew(self, expires: float | None) -> None:
        """Give the server another token before each ends."""
        parts = self._parts
        while expires is not None and parts.credentials.renewable:
            await sleep(max(expires - _LEAD, expires * _YOUNG))
            try:
                token = await parts.credentials.renew()
                expires = await self._refresh(token)
            except (MessageError, UnexpectedMessage, EndOfStream) as error:
                log.warning("the server did not take another token: %s", error)
                return
            except Exception:
                # The connection ends when its token does, and the next one tries again.
                log.exception("no other token could be fetched")
                return
            parts.credentials.ends_in(expires)

    async def _refresh(self, token: str) -> float | None:
        parts = self._parts
        number = parts.outgoing.number()
        call = Call(number, Refresh(number, token))
        parts.outgoing.call(call)
        try:
            answer = await call.inbox.get()
        finally:
            parts.outgoing.give_up(call)
        told: dict[str, float | None] = parts.wire.convert(
            answer, dict[str, float | None]
        )
        return told.get("expires")
