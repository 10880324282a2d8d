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

from .clock import current_clock, move_on_after
from .close import CloseEvent
from .consumer import WebSocketConsumer
from .errors import ConnectionClosed, Rejected
from .refusal import Denial
from .state import State

__all__ = ["Farewell"]

log: Final = logging.getLogger("consumers")


class Farewell:
    """What has to go out, and to run, at the end of one connection."""

    __slots__ = ("_consumer", "_said", "_until")

    def __init__(self, consumer: WebSocketConsumer) -> None:
        """Begin: from now on ``limits.close_timeout`` passes."""
        self._consumer = consumer
        self._said = anyio.Event()
        self._until = current_clock.get().time() + consumer._bounds.close_timeout

    def in_time(self) -> AbstractContextManager[CancelScope]:
        """Bound what has to go out: all of it together, not each part of it."""
        return move_on_after(self._until - current_clock.get().time())

    def has_goodbye(self) -> bool:
        """Tell whether the client is owed an answer or a close frame."""
        stage, sent = self._consumer._stage, self._consumer._close_sent
        owed = stage is State.CONNECTING or (stage is State.CLOSING and not sent)
        if not owed:
            self._said.set()
        return owed

    async def say_goodbye(self, denial: Denial | None) -> None:
        """Refuse with ``denial``, or send the close frame; raise nothing."""
        consumer = self._consumer
        with CancelScope(shield=True), self.in_time():
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
                self._said.set()

    async def end(
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
            with self.in_time():
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
            log.warning(
                "connection %s of %s: on_disconnect was cancelled after %s s",
                consumer.id,
                type(consumer).__name__,
                timeout,
            )
