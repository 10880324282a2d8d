"""`Subscriptions`: what is to be heard from one server, and what is."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import aclosing
from typing import Any, Final, Protocol

import anyio
from coredis.connection import BaseConnection
from coredis.exceptions import RedisError

from consumers.history import Position

from .calls import read_push
from .faults import Lost

__all__ = ["Hears", "Subscriptions"]

log: Final = logging.getLogger("consumers.layers")

_BATCH: Final = 500


class Hears(Protocol):
    """Who gets what a server tells by itself."""

    def deliver(self, group: str, carried: bytes, position: Position | None) -> None:
        """Take a publication."""
        ...

    def resumed(self) -> None:
        """Take note that publications may be missing."""
        ...


class _Batch:
    """Channels whose subscription is to be confirmed."""

    __slots__ = ("confirmed", "left")

    def __init__(self, left: int) -> None:
        self.left = left
        self.confirmed = anyio.Event()


class Subscriptions:
    """What is to be heard from one server, on one connection after the other.

    The server confirms each channel, in the order in which it was told them.
    """

    def __init__(self, hears: Hears, *, sharded: bool) -> None:
        """Begin with none; ``sharded``: of channels that a cluster divides."""
        self.wanted: Final[dict[bytes, str]] = {}
        """``{channel: group}`` of what is to be heard, on every connection."""
        self.received = 0
        """How many publications have come."""
        self._hears = hears
        self._sharded = sharded
        kind = b"S" if sharded else b""
        self._subscribe = kind + b"SUBSCRIBE"
        self._unsubscribe = kind + b"UNSUBSCRIBE"
        self._message = kind.lower() + b"message"
        self._listener: BaseConnection | None = None
        # {channel: what its subscription is confirmed with}, on this connection.
        self._asked: dict[bytes, _Batch] = {}
        # What the server has yet to confirm; `None`: that a channel is given up.
        self._confirming: deque[tuple[bytes, _Batch | None]] = deque()

    # -- what is wanted -------------------------------------------------------------

    def add(self, channels: Mapping[bytes, str]) -> list[bytes]:
        """Want channels, ``{channel: group}``; return those that are new."""
        new = [channel for channel in channels if channel not in self.wanted]
        self.wanted.update(channels)
        return new

    def remove(self, channels: Iterable[bytes]) -> None:
        """Want channels no longer, and tell the server.

        Raises:
            RedisError: The connection is lost.
        """
        known = [name for name in channels if self.wanted.pop(name, None) is not None]
        asked = [name for name in known if self._asked.pop(name, None) is not None]
        if asked and self._listener is not None:
            self._command(self._unsubscribe, asked, None)

    def heard(self, channels: Iterable[bytes]) -> bool:
        """Tell whether all of these are heard that are wanted."""
        return all(
            channel in self._asked and self._asked[channel].confirmed.is_set()
            for channel in channels
            if channel in self.wanted
        )

    # -- what the server is told ----------------------------------------------------

    def begin(self, listener: BaseConnection) -> None:
        """Use a connection that has not been used for anything."""
        self._listener = listener

    def end(self) -> None:
        """Use it no longer; whoever waits for a confirmation looks again."""
        self._listener = None
        for batch in set(self._asked.values()):
            batch.confirmed.set()
        self._asked.clear()
        self._confirming.clear()

    async def ask(self, channels: Iterable[bytes]) -> None:
        """Have those of the channels heard that are wanted.

        Returns also when the connection has ended.

        Raises:
            RedisError: The connection is lost.
        """
        wanted = [channel for channel in channels if channel in self.wanted]
        missing = [channel for channel in wanted if channel not in self._asked]
        for start in range(0, len(missing), _BATCH):
            part = missing[start : start + _BATCH]
            batch = _Batch(len(part))
            self._asked.update(dict.fromkeys(part, batch))
            self._command(self._subscribe, part, batch)
        for batch in {self._asked[channel] for channel in wanted}:
            await batch.confirmed.wait()

    async def ask_all(self) -> None:
        """Have everything heard that is wanted, also what comes to it meanwhile."""
        while missing := self.wanted.keys() - self._asked.keys():
            await self.ask(missing)

    def _command(
        self, command: bytes, channels: list[bytes], batch: _Batch | None
    ) -> None:
        if self._listener is None:
            raise Lost("not connected")
        self._confirming.extend((channel, batch) for channel in channels)
        # One command must not name channels of several slots.
        for names in [[each] for each in channels] if self._sharded else [channels]:
            self._listener.send_command(command, *names)

    # -- what the server tells ------------------------------------------------------

    async def listen(self, listener: BaseConnection) -> None:
        """Deliver what comes, until the connection is lost.

        Raises:
            RedisError: It is lost.
            Lost: It is of no use any more.
        """
        wanted, deliver, message = self.wanted, self._hears.deliver, self._message
        push: Any
        async with aclosing(listener.push_messages) as pushes:
            async for push in pushes:
                kind, channel, data = push
                if kind != message:
                    self._confirmed(channel, given_up=b"unsubscribe" in kind)
                    continue
                group = wanted.get(channel)
                if group is None:
                    continue  # just given up
                self.received += 1
                try:
                    position, payload = read_push(data)
                    deliver(group, payload, position)
                except Exception:
                    log.exception("a publication to %r could not be delivered", group)

    async def refused(self, listener: BaseConnection) -> None:
        """Wait for a subscription that is refused: no confirmation comes of it.

        Raises:
            RedisError: What the server says to it, or that the connection is lost.
        """
        async with aclosing(listener.streamed_messages) as replies:
            reply = await anext(replies)
        raise reply if isinstance(reply, RedisError) else Lost("an odd answer")

    def _confirmed(self, channel: bytes, *, given_up: bool) -> None:
        """Take the confirmation of what was told first."""
        if not self._confirming or self._confirming[0][0] != channel:
            # A cluster does so when a slot moves to another server.
            raise Lost("the server has ended a subscription")
        _, batch = self._confirming.popleft()
        if given_up != (batch is None):
            raise Lost("the server has confirmed what it was not told")
        if batch is not None:
            batch.left -= 1
            if not batch.left:
                batch.confirmed.set()
