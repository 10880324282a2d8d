"""Observed connections: those that somebody is told of.

Decided once, when a connection begins. All others run without an instruction of this.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar

from consumers.close import CloseEvent
from consumers.consumer import WebSocketConsumer
from consumers.observing import Observers, observers_everywhere

from .application import APP_KEY
from .dispatch import Dispatch
from .runtime import Runtime
from .session import Session
from .traffic import count_traffic

if TYPE_CHECKING:
    from consumers.handlers.call import Call

    from .application import Application
    from .verdict import Verdict

__all__ = ["ObservedRuntime", "serve"]


def serve(consumer: WebSocketConsumer) -> Coroutine[Any, Any, None]:
    """Serve one connection, from its first event to its end.

    Raises:
        Exception: What a hook raised, when all has ended; a group if several did.

    Cancelling ends the connection with 1012; ``on_disconnect`` runs to its end first.
    """
    if "_plan" not in vars(type(consumer)):  # the class can be read only now
        consumer.prepare()
    app: Application | None = consumer.scope.get(APP_KEY)
    observers = None if app is None else app.observers
    if everywhere := observers_everywhere():
        observers = Observers([*everywhere, *(observers.all if observers else ())])
    if observers is None:
        runtime = Runtime(consumer)
    elif observers.wants("handling", "handled"):
        runtime = WatchedRuntime(consumer, observers)
    else:
        runtime = ObservedRuntime(consumer, observers)
    consumer._runtime = runtime
    if consumer._plan.holds_providers:
        return runtime.run_with_providers()
    return runtime.run()


class ObservedRuntime(Runtime):
    """Tells of a connection's beginning and end."""

    __slots__ = ("_began", "_observers", "_opened")

    def __init__(self, consumer: WebSocketConsumer, observers: Observers) -> None:
        """Prepare to serve ``consumer``, and to tell ``observers`` of it."""
        super().__init__(consumer)
        self._observers = observers
        self._began = perf_counter()
        self._opened: float | None = None
        if observers.counts_traffic:
            count_traffic(consumer)

    async def _begin(self) -> bool:
        self._observers.tell("opening", self.consumer)
        return await super()._begin()

    async def accepted(self) -> None:
        """The handshake was accepted."""
        self._opened = perf_counter()
        self._observers.tell("opened", self.consumer, self._opened - self._began)
        await super().accepted()

    def _end(self) -> Verdict | None:
        consumer, tell = self.consumer, self._observers.tell
        verdict = super()._end()
        for failure in () if verdict is None else verdict.failures:
            tell("failed", consumer, failure)
        event = consumer.close_event or CloseEvent(1006, "", False, "network")
        if self._opened is None:
            tell("refused", consumer, event.status, perf_counter() - self._began)
        else:
            tell("closed", consumer, event, perf_counter() - self._opened)
        return verdict


class _Watched(Dispatch):
    """Tells of each message that it handles: all of them by way of calls."""

    __slots__ = ()

    def __init__(self, runtime: Runtime, *given: Any) -> None:
        super().__init__(runtime, *given)
        self._quick = {}

    async def _result(self, call: Call) -> Any:
        runtime = self._runtime
        assert isinstance(runtime, WatchedRuntime)
        return await runtime.watch(call.receiver.name, super()._result, call)


class _WatchedSession(_Watched, Session):
    __slots__ = ()


class WatchedRuntime(ObservedRuntime):
    """Tells of each message too."""

    __slots__ = ()

    dispatching: ClassVar[type[Dispatch]] = _Watched
    speaking: ClassVar[type[Session]] = _WatchedSession

    async def watch(
        self, name: str, handle: Callable[..., Awaitable[Any]], *given: Any
    ) -> Any:
        """Call what handles a message, and tell before and after."""
        consumer, tell = self.consumer, self._observers.tell
        error: BaseException | None = None
        tell("handling", consumer, name)
        began = perf_counter()
        try:
            return await handle(*given)
        except BaseException as raised:
            error = raised
            raise
        finally:
            tell("handled", consumer, name, perf_counter() - began, error)
            error = None  # else it would refer to itself, by this frame

    def _handler(self) -> Callable[[Any], Awaitable[Any]] | None:
        handle = super()._handler()
        return None if handle is None else partial(self.watch, "on_receive", handle)


WebSocketConsumer._serve = serve
