"""An application's lifespan, driven the same way on both backends."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
from anyio.abc import TaskGroup

from consumers.errors import ConfigurationError

__all__ = ["ASGIApplication", "beside", "lifespan"]

ASGIApplication = Callable[..., Awaitable[Any]]
"""Any ASGI 3 application: awaited with scope, receive and send."""

logger: Final = logging.getLogger("consumers.server")


@asynccontextmanager
async def beside() -> AsyncIterator[TaskGroup]:
    """Give a task group that is cancelled when the block ends.

    An exception that came alone, from the block or from one of its tasks, is raised as
    itself and not in a group: nobody outside knows that there is a group.
    """
    try:
        async with anyio.create_task_group() as group:
            yield group
            group.cancel_scope.cancel()
    except BaseExceptionGroup as failures:
        if len(failures.exceptions) == 1:
            raise failures.exceptions[0] from None
        raise


class _Lifespan:
    """One run of the lifespan protocol.

    Not uvicorn's: that ends the process when start-up fails, which a server inside
    somebody's event loop must not do, and waits for the application's shutdown for
    ever.
    """

    def __init__(self, app: ASGIApplication) -> None:
        self.app = app
        self.state: dict[str, Any] = {}
        self.failure: str | None = None
        self.supported = True
        self.scope = anyio.CancelScope(shield=True)
        self.started = anyio.Event()
        self.stopping = anyio.Event()
        self.stopped = anyio.Event()
        self._asked_to_start = False

    async def run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        try:
            # Shielded: when the server is cancelled, connections end first, and what
            # they stand on ends after them.
            with self.scope:
                await self.app(scope, self.receive, self.send)
        except Exception as error:
            if self.started.is_set():
                logger.exception("the application's lifespan failed")
            elif self.failure is None:
                self.supported = False
                logger.info("the application has no lifespan: %r", error)
        finally:
            self.started.set()
            self.stopped.set()

    async def receive(self) -> dict[str, Any]:
        if not self._asked_to_start:
            self._asked_to_start = True
            return {"type": "lifespan.startup"}
        await self.stopping.wait()
        return {"type": "lifespan.shutdown"}

    async def send(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "lifespan.startup.complete":
            self.started.set()
        elif kind == "lifespan.startup.failed":
            self.failure = str(message.get("message", "")).strip()
            self.started.set()
        elif kind == "lifespan.shutdown.failed":
            said = message.get("message", "")
            logger.error("the application's shutdown failed: %s", said)
            self.stopped.set()
        elif kind == "lifespan.shutdown.complete":
            self.stopped.set()


@asynccontextmanager
async def lifespan(
    app: ASGIApplication, shutdown_timeout: float
) -> AsyncIterator[dict[str, Any]]:
    """Start the application, and shut it down when the block ends.

    The value is the application's state, to be copied into each connection's scope. The
    shutdown runs when the block is cancelled too, for ``shutdown_timeout`` seconds at
    most; then it is cancelled and logged. An application without a lifespan is served
    without.

    Raises:
        ConfigurationError: The application said that its start-up failed.
    """
    run = _Lifespan(app)
    async with beside() as group:
        try:
            group.start_soon(run.run)
            await run.started.wait()
            if run.failure is not None:
                raise ConfigurationError(
                    "the application's start-up failed"
                    + (f": {run.failure}" if run.failure else "")
                )
            yield run.state
        finally:
            with anyio.CancelScope(shield=True):
                if not run.started.is_set():
                    run.scope.cancel()  # it hears of no end before it has started
                run.stopping.set()
                with anyio.move_on_after(shutdown_timeout) as waiting:
                    await run.stopped.wait()
                if waiting.cancelled_caught:
                    logger.error(
                        "the application's shutdown took more than %g s and is "
                        "cancelled",
                        shutdown_timeout,
                    )
                run.scope.cancel()
