"""The life of one connection: its tasks, what happens to it, and how it ends.

All work of a connection lives in one task group. Nothing in it raises: what fails is
recorded, the rest is cancelled, and the failure goes to the server when all has ended.
Cancellation alone passes through.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from anyio import CancelScope, TaskHandle, get_cancelled_exc_class

from consumers.clock import current_clock
from consumers.close import CloseEvent
from consumers.consumer import WebSocketConsumer
from consumers.errors import StateError
from consumers.limits import DEFAULT_LIMITS
from consumers.state import CLOSED, CLOSING, CONNECTING, ENDED, OPEN

from .application import APP_KEY, Application, begins_idle, groups_of
from .expiry import Expiry
from .farewell import Farewell
from .hooks import Hooks
from .registry import Registry, current_registry
from .tasks import MAIN, Task, Tasks
from .verdict import Verdict
from .watchdog import current_watchdog

if TYPE_CHECKING:
    from consumers.groups import GroupName

    from .dispatch import Dispatch

__all__ = ["Life"]


class Life:
    """One connection's life, as an asynchronous context around its main task's work.

    What most connections do not need is made when it is needed: there are many of them,
    and most are idle.
    """

    __slots__ = (
        "_app",
        "_clock",
        "_closer",
        "_connecting",
        "_dispatch",
        "_entered",
        "_expiry",
        "_farewell",
        "_finishing",
        "_hooks",
        "_idle",
        "_outside",
        "_pull",
        "_raises",
        "_registry",
        "_scope",
        "_timed",
        "_verdict_or_none",
        "consumer",
        "memberships",
        "tasks",
    )

    def __init__(self, consumer: WebSocketConsumer) -> None:
        """Prepare to serve ``consumer``."""
        app: Application | None = consumer.scope.get(APP_KEY)
        self.consumer = consumer
        self.memberships: dict[str, GroupName] = {}
        """The groups that it is a member of, in the order of joining."""
        self._app = app
        self._clock = current_clock.get()
        self._pull = consumer._view is not None
        self._connecting = True  # until on_connect has returned
        self._entered = False  # whether a hook was, so that on_disconnect is due
        self._finishing = False  # whether its end has a deadline
        self._timed = False  # whether handshake_timeout runs
        self._closer: Task | None = None  # which task called close(), if one did
        self.tasks = Tasks(self)
        """The connection's."""
        self._scope: CancelScope  # around the main task's work, once that is open
        self._idle = begins_idle(consumer, app)  # nothing of the application's ran
        self._dispatch: Dispatch | None = None  # where on_receive is not all
        self._outside: object = None  # what the main task was before
        self._raises = True  # at its end; not where providers end after it
        self._registry: Registry  # which has it while it lives
        # Most connections need none of these, or only at their end.
        self._verdict_or_none: Verdict | None = None
        self._farewell: Farewell | None = None
        self._expiry: Expiry | None = None
        self._hooks: Hooks | None = None
        consumer._groups = groups_of(consumer.scope)
        consumer._memberships = self.memberships
        consumer._bounds = consumer.limits or (
            DEFAULT_LIMITS if app is None else app.limits
        )
        consumer._inbox.bound(consumer._bounds)

    # -- around the main task's work ------------------------------------------------
    # Not a generator: it would have a frame, for as long as the connection lives.

    async def __aenter__(self) -> None:
        """Begin: what is raised from now on ends the connection, and no more."""
        self._registry = current_registry()
        self._registry.lives.add(self)
        if not self._idle:
            await self._open()

    async def _open(self) -> None:
        """Get ready for the application's work: for tasks, and for what takes long.

        For the first message at the latest. Until then nobody has had the connection in
        hand: it can't have tasks, and there is nobody to end it. Later there could be
        scopes of a hook's, which the task group has to be outside of.
        """
        self._idle = False
        current_watchdog().watch(self.consumer._inbox, self)
        self._outside = self.tasks.enter()
        await self.tasks.open()
        self._scope = CancelScope()
        self._scope.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """End: with what the main task has raised, if anything."""
        tasks = self.tasks
        try:
            try:
                if error is not None or not self._left_idle():
                    await self._leave(kind, error, traceback)
            except BaseException as cancelled:
                if tasks.group is None or not await tasks.group.__aexit__(
                    type(cancelled), cancelled, None
                ):
                    raise
            else:
                if tasks.group is not None:
                    await tasks.group.__aexit__(None, None, None)
        finally:
            if not self._idle:
                tasks.leave(self._outside)
            self.consumer._stage = ENDED
            self._registry.lives.discard(self)
            if (place := self.consumer._place) is not None:
                place.give_up()
            failures = self._end() if self._raises else None
        if failures is not None:
            failures.raise_failures()
        return True

    def _left_idle(self) -> bool:
        """Tell whether the client left before there was anything that has to end."""
        if not self._idle or self.consumer._stage is not CLOSED:
            return False
        return not self.memberships and self.consumer._plan.on_disconnect is None

    async def _leave(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Begin what is done at the end; raise the cancellation, if that is the end."""
        consumer = self.consumer
        try:
            caught = not self._idle and self._scope.__exit__(kind, error, traceback)
            if error is not None and not caught:
                raise error
            if consumer._stage is CLOSING:
                closer = self.tasks.of("work").get(self._closer)
                called = self._closer is not None
                await self._leaving().let_out(closer, all_out=called)
        except BaseException as raised:
            if isinstance(raised, get_cancelled_exc_class()):
                self._verdict.cancelled()
                raise
            self._judge(raised)
        finally:
            if (watchdog := consumer._inbox.watchdog) is not None:
                watchdog.forget(consumer._inbox)
            if self._dispatch is not None:
                self._dispatch.end()
            if self._expiry is not None:
                self._expiry.set(None)
            self._wind_up()
            await self._say_farewell()

    def _end(self) -> Verdict | None:
        """Take apart what refers to each other; return the verdict if it has failures.

        Each connection would be garbage to be collected otherwise, and to look for that
        costs as much as all the rest of a short life.
        """
        consumer, verdict = self.consumer, self._verdict_or_none
        consumer._inbox.end()
        del consumer._runtime
        del self.tasks
        self._hooks = self._dispatch = consumer._meter = None
        return verdict if verdict is not None and verdict.failures else None

    # -- tasks ----------------------------------------------------------------------

    def start(
        self, function: Callable[..., Awaitable[Any]], *args: Any, name: object = None
    ) -> TaskHandle[Any]:
        """Start the application's work: see ``WebSocketConsumer.start_soon``."""
        if self.tasks.over:
            raise StateError(
                "can't start_soon: the connection is ending; "
                "what should outlive it goes to app.start_soon"
            )
        return self.tasks.start("work", function, *args, name=name)

    def spawn(self, function: Callable[[], Awaitable[Any]]) -> None:
        """Start work of the framework's own, which lasts until all else has ended."""
        if not self.tasks.over:
            self.tasks.start("service", function)

    def read_ahead(self) -> None:
        """Read on while a hook runs, without waiting for the watchdog to notice it."""
        if self.consumer._inbox.has_room():
            self.spawn(self.consumer._inbox.read_beside)

    def note(self, error: Exception) -> None:
        """Take over how the connection ends from what the client did wrong."""
        self._verdict.take_note(error)

    def ended_by(self, error: BaseException) -> None:
        """Take what a task has raised; cancel all if that ends the connection."""
        if self._judge(error):
            self._scope.cancel()
            self.tasks.cancel("work")

    # -- what happens to the connection ---------------------------------------------

    def gone(self) -> None:
        """The client left."""
        self._leave_groups()
        self.tasks.cancel("work")
        if self._dispatch is not None:
            self._dispatch.gone()
        consumer = self.consumer
        view = self._pull and not self._connecting
        if view or consumer._inbox.is_idle():
            return  # the main task learns it from what it awaits
        if self._connecting and len(consumer._inbox) <= 1:  # the disconnect itself
            self._scope.cancel()
        else:
            self._finish_soon()

    def closing(self) -> None:
        """Our close has begun, by a call of ``close``."""
        caller = self.tasks.caller()
        if caller is MAIN and self.consumer._inbox.is_idle() and not self._pull:
            caller = None  # a task that a hook has left behind somewhere else
        self._closer = caller
        self._leave_groups()
        self.tasks.cancel("work", caller)
        self.tasks.cancel("handler", caller)
        if caller is not MAIN and not self.learns_by_receiving():
            self._stop_reading()

    def closed_elsewhere(self) -> bool:
        """Tell whether it is over, and by no doing of the caller's."""
        stage, caller = self.consumer._stage, self.tasks.caller()
        if stage is CLOSING:
            return caller is not self._closer
        return stage is ENDED and caller is None

    def is_busy(self) -> bool:
        """Tell whether a message is handled; of a view nobody knows."""
        if self._pull:
            return False
        return not self.consumer._inbox.is_idle() or bool(self.tasks.of("handler"))

    def learns_by_receiving(self) -> bool:
        """Tell whether the main task waits for what :meth:`end` could not wake."""
        return self._pull or self._idle

    def end(self, code: int, reason: str, retry: float | bool | None = None) -> None:
        """Begin to close from outside, without waiting."""
        if self.consumer._stage is not OPEN:
            return
        self.consumer._retry = retry
        self._set_closed(code, reason)
        self._leave_groups()
        self.tasks.cancel("work")
        if self._pull:
            self._scope.cancel()
        else:
            self._stop_reading()
            self._finish_soon()

    def overflowed(self) -> None:
        """The client reads too slowly: it is better served by coming back."""
        self.end(1013, "reading too slowly")
        self.consumer._give_up()
        self.tasks.cancel("service")

    def _stop_reading(self) -> None:
        """Take no more messages; a hook that runs may finish."""
        if self._dispatch is not None and not self._connecting:
            if self._dispatch.stop():
                self._finish_soon()
        elif self.consumer._inbox.is_idle():
            self._scope.cancel()
        else:
            self._finish_soon()

    def _finish_soon(self) -> None:
        if not self._finishing:
            self._finishing = True
            self._clock.cancel_after(self._scope, self.consumer.finish_timeout)

    def _leave_groups(self) -> None:
        if self.memberships:
            self.consumer._straighten()
            self.consumer._groups.leave(list(self.memberships), self.consumer)
            self.memberships.clear()

    # -- how it ends ----------------------------------------------------------------

    @property
    def hooks(self) -> Hooks:
        """Calls the hooks."""
        if self._hooks is None:
            self._hooks = Hooks(self.consumer, self._app, self._judge)
        return self._hooks

    @property
    def _verdict(self) -> Verdict:
        if self._verdict_or_none is None:
            self._verdict_or_none = Verdict(self.consumer)
        return self._verdict_or_none

    def _leaving(self) -> Farewell:
        if self._farewell is None:
            self._farewell = Farewell(self.consumer)
        return self._farewell

    def _judge(self, error: BaseException) -> bool:
        """Decide how the connection ends after ``error``; tell whether it ends now."""
        # A view learns of the client's leaving by this, and has to deal with it.
        in_view = self._pull and not self._connecting and self.tasks.caller() is MAIN
        silent = not in_view or self.consumer._stage is CLOSING
        return self._verdict.judge(error, silent=silent, over=self.tasks.over)

    def _set_closed(self, code: int, reason: str) -> None:
        """Make the end known at once; the close frame follows."""
        consumer = self.consumer
        consumer._stage = CLOSING
        consumer._inbox.closed = True
        consumer.close_event = CloseEvent(code, reason, None, "server")

    def _wind_up(self) -> None:
        """End everything but the farewell: groups, tasks, the chance to start more."""
        self._leave_groups()
        stage = self.consumer._stage
        if stage is OPEN:
            self._set_closed(*self._verdict.of_open())
        elif stage is CONNECTING:
            # By handshake_timeout.
            late = not self._idle and self._scope.cancelled_caught
            self._verdict.refusal = self._verdict.of_connecting(late=late)
        self.consumer._give_up()
        self.tasks.end()

    async def _say_farewell(self) -> None:
        consumer, tasks = self.consumer, self.tasks
        due = self._entered and consumer._plan.on_disconnect is not None
        if not due and consumer._stage not in (CONNECTING, CLOSING):
            return  # the client left, and nobody wants to know
        hook = self._on_disconnect if due else None
        work = tasks.of("work").values()
        if tasks.group is None:
            await tasks.open()
        assert tasks.group is not None
        self._leaving().begin(tasks.group, self._verdict.refusal, hook, work)

    async def _on_disconnect(self, code: int) -> None:
        hook = self.consumer._plan.on_disconnect
        assert hook is not None
        self.tasks.enter()
        try:
            await self.hooks.call(hook, self.consumer.on_disconnect, {}, code)
        except get_cancelled_exc_class():
            raise
        except BaseException as error:
            self._judge(error)
