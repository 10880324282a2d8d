"""Hooks: called with what they ask for beside what is passed to them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TYPE_CHECKING, Any

from .providing import Providing

if TYPE_CHECKING:
    from consumers.consumer import WebSocketConsumer
    from consumers.handlers.providers import Factory, Scope
    from consumers.handlers.signatures import Signature

    from .application import Application

__all__ = ["Hooks"]


class Hooks:
    """Calls the hooks and methods of one connection."""

    __slots__ = ("_app", "_consumer", "_failed", "_providing")

    def __init__(
        self,
        consumer: WebSocketConsumer,
        app: Application | None,
        failed: Callable[[BaseException], object],
    ) -> None:
        """Serve a connection; ``failed`` is told what a teardown raises."""
        self._consumer = consumer
        self._app = app
        self._failed = failed
        self._providing: Providing | None = None  # once a hook has asked for something

    async def call(
        self,
        signature: Signature,
        function: Callable[..., Awaitable[Any]],
        values: dict[str, Any],
        *given: Any,
    ) -> Any:
        """Call a hook.

        Args:
            signature: What it asks for.
            function: The hook.
            values: The URL's parameters.
            given: What is passed to it in any case.
        """
        arguments = {each.name: values[each.name] for each in signature.parameters}
        if signature.is_plain:
            return await function(*given, **arguments)
        async with AsyncExitStack() as stack:
            arguments |= await self.fill(signature, stack)
            return await function(*given, **arguments)

    async def fill(self, signature: Signature, stack: AsyncExitStack) -> dict[str, Any]:
        """Return what providers make for one call; ``stack`` gets the teardown."""
        return await signature.fill(self._consumer, stack, await self._provided())

    def held(self) -> AbstractAsyncContextManager[None]:
        """Hold what lasts as long as the connection until the block ends."""
        self._providing = self._made()
        return self._providing.held()

    def _provided(self) -> Awaitable[Mapping[Scope, Mapping[Factory, Any]]]:
        """Return the values that last longer than a call, for who awaits them."""
        if self._providing is None:
            self._providing = self._made()
        return self._providing.values()

    def _made(self) -> Providing:
        consumer = self._consumer
        return Providing(
            consumer,
            consumer._plan.providers_of("connection"),
            {} if self._app is None else self._app.provided,
            timeout=consumer._bounds.disconnect_timeout,
            failed=self._failed,
        )
