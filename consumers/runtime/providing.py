"""Providers of a connection's scope: made when first asked for, kept until its end.

Where one has a teardown they are made and torn down by a task of their own: entered in
a hook's task and left in another, a cancel scope in one of them would break.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
from anyio import CancelScope, create_task_group, get_cancelled_exc_class
from anyio.abc import TaskGroup

from consumers.clock import current_clock
from consumers.handlers.providers import resolve

if TYPE_CHECKING:
    from consumers.consumer import WebSocketConsumer
    from consumers.handlers.providers import Factory, Provider, Scope

__all__ = ["Providing"]


class _Setup:
    """What passes between who asks first and the task that makes the values."""

    __slots__ = ("done", "error", "scope")

    def __init__(self) -> None:
        # Nothing from around cancels it: who asks does, and later its deadline.
        self.scope = CancelScope(shield=True)
        self.done = anyio.Event()
        self.error: BaseException | None = None


class Providing:
    """The values that last as long as one connection, or the application."""

    __slots__ = (
        "_app_wide",
        "_connection",
        "_ended",
        "_failed",
        "_group",
        "_lock",
        "_made",
        "_providers",
        "_timeout",
    )

    def __init__(
        self,
        connection: WebSocketConsumer,
        providers: tuple[Provider, ...],
        app_wide: Mapping[Factory, Any],
        *,
        timeout: float,
        failed: Callable[[BaseException], object],
    ) -> None:
        """Prepare; nothing is made yet.

        Args:
            connection: Whose values these are.
            providers: What makes them, what is needed first coming first.
            app_wide: The values of the application's scope.
            timeout: Seconds that the teardown may take.
            failed: Is told what the teardown raises.
        """
        self._connection = connection
        self._providers = providers
        self._app_wide = app_wide
        self._timeout = timeout
        self._failed = failed
        self._made: dict[Factory, Any] | None = None if providers else {}
        self._lock = anyio.Lock()
        self._ended = anyio.Event()
        self._group: TaskGroup | None = None

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Hold what is made until the block ends; for providers with a teardown.

        No cancellation reaches the teardown but its own deadline.
        """
        async with create_task_group() as self._group:
            try:
                yield
            finally:
                self._ended.set()

    async def values(self) -> Mapping[Scope, Mapping[Factory, Any]]:
        """Return the values by their scope, made now if they are not there.

        Raises:
            BaseException: What a factory raised.

        Cancelling cancels the making.
        """
        if self._made is None:
            async with self._lock:  # several handlers may ask at once
                if self._made is None:
                    await self._make()
        return {"connection": self._made or {}, "app": self._app_wide}

    async def _make(self) -> None:
        if self._group is None:
            async with AsyncExitStack() as stack:  # none of them has a teardown
                await self._resolve(stack)
            return
        setup = _Setup()
        self._group.start_soon(self._hold, setup)
        try:
            await setup.done.wait()
        except BaseException:
            # Not waited for: if it was done in the same step, it lasts until the end.
            if not setup.done.is_set():
                setup.scope.cancel()
            raise
        if setup.error is not None:
            raise setup.error

    async def _resolve(self, stack: AsyncExitStack) -> None:
        made: dict[Factory, Any] = {}
        for provider in self._providers:
            await resolve(
                provider,
                stack=stack,
                made=made,
                wider={"app": self._app_wide},
                connection=self._connection,
            )
        self._made = made

    async def _hold(self, setup: _Setup) -> None:
        """Make the values, and tear them down when all else has ended."""
        clock = current_clock.get()
        try:
            with setup.scope:
                async with AsyncExitStack() as stack:
                    await self._resolve(stack)
                    setup.done.set()
                    await self._ended.wait()
                    clock.cancel_after(setup.scope, self._timeout)
        except get_cancelled_exc_class():
            raise
        except BaseException as error:
            if setup.done.is_set():
                self._failed(error)
            else:
                setup.error = error
        finally:
            clock.cancel_after(setup.scope, math.inf)
            setup.done.set()
