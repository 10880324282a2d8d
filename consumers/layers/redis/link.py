"""`Link`: the two connections to one server, made again whenever they are lost."""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from time import perf_counter
from typing import Any, Final

import anyio
from anyio import create_task_group
from anyio.abc import TaskGroup
from coredis.connection import BaseConnection
from coredis.exceptions import RedisError

from consumers.clock import current_time, move_on_after, sleep

from .connections import OPENING, Ready, prepare, run
from .faults import FAILURES, Lost, contained, reason_of
from .subscriptions import Hears, Subscriptions

__all__ = ["Link"]

log: Final = logging.getLogger("consumers.layers")

_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 2.0


class Link:
    """Speaks with one server by two connections.

    One carries commands, all callers' at once, in the order of their calls and without
    waiting for the replies before. The other one only listens, and so is never behind
    anything. They live and die together: when one is lost, or has not answered for
    twice ``heartbeat`` seconds, both are made anew, all is subscribed again, and only
    then commands are taken again.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[], BaseConnection],
        hears: Hears,
        *,
        heartbeat: float,
        sharded: bool = False,
    ) -> None:
        """Make one that does nothing yet.

        Args:
            name: The server's address, without the password.
            make: Makes a connection to it that is still to be run.
            hears: Who gets the publications.
            heartbeat: Seconds between two looks at the connections.
            sharded: Whether channels belong to the server that has their slot.
        """
        self.name: Final = name
        self.up = False
        """Whether commands are taken, and all is subscribed."""
        self.run = ""
        """Which run of the server it is."""
        self.failure: Exception | None = None
        """Why it is not up, if that is known."""
        self.connects = 0
        """How often it has come up."""
        self.latency = 0.0
        """Seconds that the last heartbeat took."""
        self.subscriptions: Final = Subscriptions(hears, sharded=sharded)
        """What is to be heard from this server."""
        self._make = make
        self._hears = hears
        self._heartbeat = heartbeat
        self._changed = anyio.Event()
        self._warned = False
        self._unknown = False  # whether it was said that runs can't be told apart
        # Of the connections that there are now:
        self._scope: anyio.CancelScope | None = None
        self._commands: BaseConnection | None = None

    # -- calls ----------------------------------------------------------------------

    def send(self, command: bytes, *arguments: Any) -> Awaitable[Any]:
        """Send a command, whose answer :meth:`reply` returns.

        Raises:
            Lost: The link is not up. Nothing was sent.
        """
        if self._commands is None or not self.up:
            raise Lost(reason_of(self.failure))
        try:
            return self._commands.create_request(command, *arguments)
        except FAILURES as error:
            self._lose(error)
            raise Lost(reason_of(error)) from None

    async def reply(self, request: Awaitable[Any]) -> Any:
        """Return the answer to a command. After cancelling, it may be asked for again.

        Raises:
            Lost: It can't come any more.
            RedisError: The server refuses the command.
        """
        try:
            return await request
        except FAILURES as error:
            self._lose(error)
            raise Lost(reason_of(error)) from None

    async def changed(self) -> None:
        """Wait until it comes up, or has failed to once more."""
        await self._changed.wait()

    async def ready(self) -> None:
        """Wait until it is up."""
        while not self.up:
            await self._changed.wait()

    # -- subscriptions --------------------------------------------------------------

    async def subscribe(self, channels: Mapping[bytes, str]) -> None:
        """Hear channels, ``{channel: group}``, from when this returns.

        Cancelled, it gives up those that it has begun with.
        """
        new = self.subscriptions.add(channels)
        try:
            while not await self.hear(channels):
                pass
        except BaseException:
            self.unsubscribe(new)
            raise

    async def hear(self, channels: Iterable[bytes]) -> bool:
        """Have those channels heard that are wanted, or wait for what may help.

        Returns:
            Whether they are heard.
        """
        if not self.up:
            await self._changed.wait()
        try:
            if self.up:
                await self.subscriptions.ask(channels)
        except FAILURES as error:
            self._lose(error)
        return self.up and self.subscriptions.heard(channels)

    def unsubscribe(self, channels: Iterable[bytes]) -> None:
        """Hear channels no longer."""
        try:
            self.subscriptions.remove(channels)
        except FAILURES as error:
            self._lose(error)

    # -- keeping it up --------------------------------------------------------------

    async def keep(self) -> None:
        """Connect, and again whenever that is lost; ends only by being cancelled."""
        contained.set(True)
        pauses = 0
        while True:
            started = current_time()
            await self._live()
            if current_time() - started > OPENING:
                pauses = 0
            # Full jitter: what lost its server together must not return together.
            longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**pauses)
            pauses = min(pauses + 1, 10)
            await sleep(random.uniform(0, longest))  # noqa: S311  no secret

    async def _live(self) -> None:
        """Connect, and stay so until it is lost. Contains whatever goes wrong."""
        try:
            async with create_task_group() as tasks:
                self._scope = tasks.cancel_scope
                await self._contained(self._connect, tasks)
        finally:
            self._went_down()

    async def _connect(self, tasks: TaskGroup) -> None:
        with move_on_after(OPENING) as opening:
            listener = await self._open(tasks)
            commands = await self._open(tasks)
            self.run = await prepare(commands)
        if not self.run and not self._unknown:
            self._unknown = True
            log.warning(
                "%s does not tell which run of it this is: what it loses when it is "
                "restarted can't be noticed; allow its user +info",
                self.name,
            )
        if opening.cancelled_caught:
            raise Lost(f"no answer within {OPENING:g} seconds")
        self.subscriptions.begin(listener)
        for function in (self.subscriptions.listen, self.subscriptions.refused):
            tasks.start_soon(self._contained, function, listener)
        tasks.start_soon(self._contained, self._watch, listener, commands)
        await self.subscriptions.ask_all()
        await anyio.lowlevel.checkpoint_if_cancelled()  # it may be lost already
        self._came_up(commands)

    async def _open(self, tasks: TaskGroup) -> BaseConnection:
        connection, ready = self._make(), Ready()
        tasks.start_soon(self._contained, run, connection, ready)
        await ready.event.wait()
        return connection

    async def _contained(
        self, function: Callable[..., Awaitable[None]], *arguments: Any
    ) -> None:
        """Run a part of it; what that raises is the end of these connections."""
        try:
            await function(*arguments)
        except Exception as error:
            self._lose(error)
            # It may have been raised in the place of a cancellation.
            await anyio.lowlevel.checkpoint_if_cancelled()

    def _lose(self, error: Exception) -> None:
        """Have the connections that there are taken down."""
        scope = self._scope
        self.up = False
        if scope is None or scope.cancel_called:
            return
        self.failure = error
        if not isinstance(error, (*FAILURES, RedisError)):
            log.error("the link to %s has failed", self.name, exc_info=error)
        scope.cancel()

    def _came_up(self, commands: BaseConnection) -> None:
        self._commands = commands
        self.up = True
        self.failure = None
        self.connects += 1
        if self.connects > 1:
            log.info("connected to %s again", self.name)
            self._warned = False
            try:
                self._hears.resumed()
            except Exception:
                log.exception("what was missed can't be looked for")
        self._notify()

    def _went_down(self) -> None:
        self.up = False
        self._scope = self._commands = None
        self.subscriptions.end()
        if self.connects and self.failure is not None and not self._warned:
            self._warned = True
            log.warning(
                "lost %s (%s); it is tried again until it is back",
                self.name,
                reason_of(self.failure),
            )
        self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    # -- heartbeats -----------------------------------------------------------------

    async def _watch(self, *connections: BaseConnection) -> None:
        """End the link when a connection does not answer in time."""
        while True:
            await sleep(self._heartbeat)
            started = perf_counter()
            for connection in connections:
                await self._answers(connection)
            self.latency = perf_counter() - started

    async def _answers(self, connection: BaseConnection) -> None:
        request = connection.create_request(b"PING")
        before = -1
        # What sends is not dead, but busy.
        while before != (before := connection.statistics.bytes_read):
            # In two halves: when this whole process stood still, the first one is over
            # before anything could be read.
            for _ in range(2):
                with move_on_after(self._heartbeat / 2):
                    await request
                    return
        raise Lost(f"no answer within {self._heartbeat:g} seconds")
