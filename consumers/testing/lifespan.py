"""The application's lifespan: from before the first connection till after the last.

Source: ASGI lifespan 2.0.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from starlette.types import ASGIApp

from .calls import Call
from .transport import Event, Signal

__all__ = ["Lifespan"]


class Lifespan:
    """The lifespan call of an application."""

    def __init__(
        self, app: ASGIApp, state: dict[str, Any], prepare: Callable[[], None]
    ) -> None:
        self._to_app: deque[Event] = deque([{"type": "lifespan.startup"}])
        self._answers: deque[Event] = deque()
        self._changed = Signal()
        self._supported = True
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": state,
        }
        self.call = Call(
            app,
            scope,
            self._receive,
            self._send,
            prepare=prepare,
            on_end=self._changed.notify,
        )

    async def startup(self) -> None:
        """Wait until the application has started.

        One that raises or returns before it has answered has no lifespan, as for
        servers.

        Raises:
            RuntimeError: It reports a failure without raising what it failed by.
        """
        answer = await self._answer()
        if answer is None:
            self._supported = False
            error = self.call.take_error()
            if error is not None and not isinstance(error, Exception):
                raise error
        elif answer["type"] == "lifespan.startup.failed":
            await self._fail("start", answer)

    async def shutdown(self) -> None:
        """Wait until the application has stopped.

        Raises:
            RuntimeError: It reports a failure without raising what it failed by.
        """
        if not self._supported:
            return
        self._to_app.append({"type": "lifespan.shutdown"})
        self._changed.notify()
        answer = await self._answer()
        if answer is not None and answer["type"] == "lifespan.shutdown.failed":
            await self._fail("stop", answer)

    async def _answer(self) -> Event | None:
        while not self._answers:
            if self.call.ended.is_set():
                return None
            await self._changed.wait()
        return self._answers.popleft()

    async def _fail(self, what: str, answer: Event) -> None:
        await self.call.ended.wait()
        raise self.call.take_error() or RuntimeError(
            f"the application failed to {what}: {answer.get('message', '')}"
        )

    async def _receive(self) -> Event:
        while not self._to_app:
            await self._changed.wait()
        return self._to_app.popleft()

    async def _send(self, event: Event) -> None:
        self._answers.append(event)
        self._changed.notify()
