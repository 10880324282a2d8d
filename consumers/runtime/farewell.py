"""The end of one connection: its close frame goes out, and ``on_disconnect`` runs.

In tasks of their own: a shield in the task that the server started stops a scope's
cancellation, but not a native ``Task.cancel()``. They do not wait for what serves the
connection: some servers' ``send`` can't be cancelled.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, Final

import anyio
from anyio import CancelScope, TaskHandle
from anyio.abc import TaskGroup

from consumers.clock import current_clock, move_on_after
from consumers.close import CloseEvent
from consumers.consumer import WebSocketConsumer
from consumers.errors import ConnectionClosed, Rejected
from consumers.handshake.refusal import Denial
from consumers.over_limit import exceeded
from consumers.state import State

__all__ = ["Farewell"]

log: Final = logging.getLogger("consumers")


class Farewell:
    """What has to go out, and to run, at the end of one connection."""

    __slots__ = ("_consumer", "_said", "_until")

    def __init__(self, consumer: WebSocketConsumer) -> None:
        """Serve the end of ``consumer``."""
        self._consumer = consumer
        self._said: anyio.Event | None = None  # there while a goodbye is said
        self._until: float | None = None  # when what has to go out is given up

    async def let_out(self, closer: TaskHandle[Any] | None, *, all_out: bool) -> None:
        """Let the task that closed finish, and let out what was published before.

        Args:
            closer: That task, if a task of the connection has called ``close``.
            all_out: Whether it has waited for the publications by that.
        """
        consumer = self._consumer
        if closer is not None:
            with move_on_after(consumer.finish_timeout):
                await closer.wait()
        if consumer._outbox is not None and not all_out:
            with self._in_time():
                await consumer._outbox.put_and_wait(None)

    def begin(
        self,
        group: TaskGroup,
        denial: Denial | None,
        on_disconnect: Callable[[int], Awaitable[None]] | None,
        work: Iterable[TaskHandle[Any]],
    ) -> None:
        """Start what is due: the goodbye, and ``on_disconnect`` after ``work``."""
        stage, sent = self._consumer._stage, self._consumer._close_sent
        if stage is State.CONNECTING or (stage is State.CLOSING and not sent):
            self._said = anyio.Event()
            group.start_soon(self._say_goodbye, self._said, denial)
        if on_disconnect is not None:
            group.start_soon(self._end, on_disconnect, [*work])

    def _in_time(self) -> AbstractContextManager[CancelScope]:
        """Bound what has to go out: all of it together, not each part of it."""
        now = current_clock.get().time()
        if self._until is None:
            self._until = now + self._consumer._bounds.close_timeout
        return move_on_after(self._until - now)

    async def _say_goodbye(self, said: anyio.Event, denial: Denial | None) -> None:
        """Refuse with ``denial``, or send the close frame; raise nothing."""
        consumer = self._consumer
        with CancelScope(shield=True), self._in_time():
            try:
                if consumer._stage is State.CONNECTING:
                    assert denial is not None
                    await consumer._refuse(*denial)
                else:
                    await consumer._send_close()
            except (ConnectionClosed, Rejected):
                pass
            except Exception:
                log.exception("connection %s: can't be closed properly", consumer.id)
            finally:
                said.set()

    async def _end(
        self,
        on_disconnect: Callable[[int], Awaitable[None]],
        work: Iterable[TaskHandle[Any]],
    ) -> None:
        """Wait for ``work`` and the goodbye, and call ``on_disconnect``, shielded.

        It must not raise; it is cancelled after ``limits.disconnect_timeout``.
        """
        consumer, clock = self._consumer, current_clock.get()
        timeout = consumer._bounds.disconnect_timeout
        with CancelScope(shield=True) as scope:
            for handle in work:
                await handle.wait()
            if self._said is not None:
                with self._in_time():
                    await self._said.wait()
            if consumer.close_event is None:
                consumer.close_event = CloseEvent(1006, "", False, "network")
            consumer._stage = State.ENDED
            clock.cancel_after(scope, timeout)
            try:
                await on_disconnect(consumer.close_event.code)
            finally:
                clock.cancel_after(scope, math.inf)
        if scope.cancelled_caught:
            text = "has its on_disconnect cancelled, after %g s"
            exceeded("disconnect_timeout", text, timeout, by=consumer)
