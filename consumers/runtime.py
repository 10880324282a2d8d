"""The runtime: drives one connection through its lifecycle.

::

    first event → parameters → authenticate → on_handshake → accept → on_connect
        → on_receive … → (groups left, tasks ended) → close frame → on_disconnect

All work of a connection lives in one task group. Nothing in it raises: what fails is
recorded, the rest is cancelled, and the failure goes to the server when all has ended.
Cancellation alone passes through.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
from anyio import CancelScope, TaskHandle, create_task_group, get_cancelled_exc_class
from starlette.websockets import WebSocketDisconnect

from .answering import answer_error
from .application import APP_KEY, Application, groups_of, identify
from .clock import current_clock, move_on_after
from .close import CloseEvent
from .consumer import WebSocketConsumer
from .dispatch import Dispatch, dispatch_for
from .errors import ConnectionClosed, MessageError, NotAllowed, StateError
from .farewell import Farewell
from .groups import user_group
from .hooks import Hooks
from .limits import DEFAULT_LIMITS
from .session import Session, no_session
from .state import State
from .tasks import MAIN, Task, Tasks
from .verdict import Verdict
from .watchdog import current_watchdog

if TYPE_CHECKING:
    from .codecs import Event
    from .groups import GroupName
    from .identity import Authenticate

__all__ = ["Runtime", "serve"]


def serve(consumer: WebSocketConsumer) -> Coroutine[Any, Any, None]:
    """Serve one connection, from its first event to its end.

    Raises:
        Exception: What a hook raised, when all has ended; a group if several did.

    Cancelling ends the connection with 1012; ``on_disconnect`` runs to its end first.
    """
    consumer.prepare()
    runtime = Runtime(consumer)
    if consumer._plan.holds_providers:
        return runtime.run_with_providers()
    return runtime.run()


class Runtime:
    """One connection's life."""

    __slots__ = (
        "_app",
        "_clock",
        "_closer",
        "_connecting",
        "_dispatch",
        "_entered",
        "_farewell",
        "_finishing",
        "_pull",
        "_raises",
        "_scope",
        "_timed",
        "_verdict",
        "consumer",
        "hooks",
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
        self._farewell = Farewell(consumer)
        self._timed = False  # whether handshake_timeout runs
        self._closer: Task | None = None  # which task called close(), if one did
        self.tasks = Tasks(self)
        """The connection's."""
        self._verdict = Verdict(consumer)
        self._scope = CancelScope()  # around the main task's work
        self._dispatch: Dispatch | None = None  # where on_receive is not all
        self.hooks = Hooks(consumer, app, self._judge)
        """Calls the hooks."""
        self._raises = True  # at its end; not where providers end after it
        consumer._runtime = self
        consumer._groups = groups_of(consumer.scope)
        consumer._memberships = self.memberships
        consumer._bounds = consumer.limits or (
            DEFAULT_LIMITS if app is None else app.limits
        )
        consumer._inbox.bound(consumer._bounds)

    async def run(self) -> None:
        """Serve the connection.

        Messages are handled one by one right here: each of them wakes the whole chain
        of callers, whose frames are seldom in the processor's cache by then.
        """
        async with self._life():
            if not await self._begin():
                return
            consumer, dispatch = self.consumer, self._dispatch
            if dispatch is not None:
                await dispatch.run(self._take, self._finish_soon)
                return
            if (handle := self._handler()) is None:
                if (await self._take())["type"] == "websocket.receive":
                    self._verdict.closing = (1003, "this endpoint only sends")
                return
            inbox, following = consumer._inbox, self.following()
            receive, took, watchdog = consumer._asgi_receive, inbox.took, inbox.watchdog
            decode, untimed = consumer._plan.receive.decode, following == inbox.next
            assert watchdog is not None
            while True:
                if untimed and inbox.waiting is None and not inbox.closed:
                    # `Inbox.next` and `Inbox.took`, written out for what is common.
                    watchdog.busy.pop(inbox, None)
                    event: Event = await receive()
                    if event["type"] == "websocket.receive" and not inbox.closed:
                        watchdog.busy[inbox] = watchdog.tick
                        if not watchdog.awake:
                            watchdog.wake()
                    else:
                        event = took(event)
                else:
                    event = took(await following())
                if event["type"] == "websocket.disconnect":
                    return
                try:
                    await handle(decode(event))
                except ConnectionClosed as error:
                    # What came before the client left is handled, answered or not.
                    if error.connection is not consumer:
                        raise
                except (MessageError, NotAllowed) as error:
                    await answer_error(consumer, error)

    @asynccontextmanager
    async def _life(self) -> AsyncIterator[None]:
        """Surround the main task's work: what it raises ends the connection."""
        consumer, inbox = self.consumer, self.consumer._inbox
        watchdog = current_watchdog()
        watchdog.watch(inbox, self)
        token = self.tasks.enter()
        try:
            async with create_task_group() as self.tasks.group:
                try:
                    with self._scope:
                        yield
                    if consumer._stage is State.CLOSING:
                        closer = self.tasks.work.get(self._closer)
                        called = self._closer is not None
                        await self._farewell.let_out(closer, all_out=called)
                except BaseException as error:
                    if isinstance(error, get_cancelled_exc_class()):
                        self._verdict.cancelled()
                        raise
                    self._judge(error)
                finally:
                    watchdog.forget(inbox)
                    self._wind_up()
                    self._say_farewell()
        finally:
            self.tasks.leave(token)
            consumer._stage = State.ENDED
        if self._verdict.failures and self._raises:
            self._verdict.raise_failures()

    async def run_with_providers(self) -> None:
        """Serve a connection with providers that have a teardown when it ends."""
        self._raises = False
        async with self.hooks.held():
            await self.run()
        if self._verdict.failures:
            self._verdict.raise_failures()

    # -- the main task --------------------------------------------------------------

    async def _begin(self) -> bool:
        """Go as far as ``on_connect``, or through a view; tell if messages follow."""
        consumer, plan = self.consumer, self.consumer._plan
        await consumer._read_connect()
        if consumer._stage is State.CLOSED:
            return False
        bounds = consumer._bounds
        authenticate = None if self._app is None else self._app.authenticate
        first = plan.on_connect
        asks = first is not None and not first.is_plain
        waits = plan.on_handshake or authenticate or asks or not consumer.auto_accept
        if waits and bounds.handshake_timeout is not None:
            self._timed = True
            self._clock.cancel_after(self._scope, bounds.handshake_timeout)
        values: dict[str, Any] = {}
        if plan.binder.parameters:
            values = plan.binder.bind(consumer.path_params, consumer.query_params)
        if authenticate is not None:
            self._busy()
        await identify(consumer, authenticate)
        if plan.on_handshake is not None:
            self._entered = True
            self._busy()
            await self.hooks.call(plan.on_handshake, consumer.on_handshake, values)
        async with AsyncExitStack() as stack:
            arguments: dict[str, Any] = {}
            if first is not None:
                self._busy()
                arguments = {each.name: values[each.name] for each in first.parameters}
                if asks and consumer._stage in (State.CONNECTING, State.OPEN):
                    # Before accept, so that one that refuses does it with a status.
                    arguments |= await self.hooks.fill(first, stack)
            if consumer.auto_accept and consumer._stage is State.CONNECTING:
                await consumer.accept()
            if consumer._stage not in (State.CONNECTING, State.OPEN):
                return False
            self._entered = True
            if self._pull:
                self._connecting = False
                await self._view(arguments, stack.pop_all())
                return False
            if first is not None:
                await consumer.on_connect(**arguments)
        self._connecting = False
        return consumer._stage is not State.CONNECTING  # else it is refused with 403

    async def _view(self, arguments: dict[str, Any], providers: AsyncExitStack) -> None:
        # Torn down before the close: a commit that fails must not be told as 1000.
        consumer = self.consumer
        assert consumer._view is not None
        if not consumer.auto_accept:
            async with providers:
                await consumer._view(consumer, **arguments)
            return
        async with consumer, providers:
            try:
                await consumer._view(consumer, **arguments)
            except WebSocketDisconnect as error:
                if not consumer._silences(error):  # else the providers see no failure
                    raise

    def _handler(self) -> Callable[[Any], Awaitable[Any]] | None:
        """Return what is called with each message; ``None``: none may come."""
        consumer, plan = self.consumer, self.consumer._plan
        if plan.on_receive is None:
            return None
        handle: Callable[[Any], Awaitable[Any]] = consumer.on_receive
        if plan.receiving.thread:
            handle = partial(anyio.to_thread.run_sync, consumer.on_receive)
        if not plan.on_receive.is_plain:
            handle = partial(self.hooks.call, plan.on_receive, handle, {})
        return handle

    async def _take(self) -> Event:
        """Return the next event."""
        return self.consumer._inbox.took(await self.following()())

    def following(self) -> Callable[[], Awaitable[Any]]:
        """Return what to call for the next event."""
        if self.consumer._bounds.idle_timeout is None:
            return self.consumer._inbox.next
        return self._next_in_time

    async def _next_in_time(self) -> Any:
        timeout = self.consumer._bounds.idle_timeout
        assert timeout is not None
        with move_on_after(timeout):
            return await self.consumer._inbox.next()
        self._set_closed(1001, "idle for too long")
        return await self.consumer._inbox.next()  # the end

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
        return self.tasks.start(self.tasks.work, function, *args, name=name)

    def spawn(self, function: Callable[[], Awaitable[Any]]) -> None:
        """Start work of the framework's own, which lasts until all else has ended."""
        if not self.tasks.over:
            self.tasks.start(self.tasks.services, function)

    def read_ahead(self) -> None:
        """Read on while a hook runs, without waiting for the watchdog to notice it."""
        if self.consumer._inbox.has_room():
            self.spawn(self.consumer._inbox.read_beside)

    def _busy(self) -> None:
        """Have the client's leaving noticed while a first hook runs."""
        watchdog = self.consumer._inbox.watchdog
        assert watchdog is not None
        watchdog.mark(self.consumer._inbox)

    def note(self, error: Exception) -> None:
        """Take over how the connection ends from what the client did wrong."""
        self._verdict.take_note(error)

    def ended_by(self, error: BaseException) -> None:
        """Take what a task has raised; cancel all if that ends the connection."""
        if self._judge(error):
            self._scope.cancel()
            self.tasks.cancel(self.tasks.work)

    # -- what happens to the connection ---------------------------------------------

    async def accepted(self) -> None:
        """The handshake was accepted."""
        if self._timed:
            self._clock.cancel_after(self._scope, math.inf)
        consumer = self.consumer
        # Before on_connect: that may ask the client, and wait for what overtakes.
        if consumer.protocol is None:
            dispatch = self._dispatch = dispatch_for(self)
        else:
            dispatch = self._dispatch = Session(self, consumer.protocol)
            await dispatch.welcome()
        if dispatch is not None:
            consumer._inbox.urgent = dispatch.urgent
        user = consumer.user
        if user.is_authenticated and user.identity:
            name = user_group(user.identity)
            self.memberships[name.name] = name
            await consumer._groups.join([name], consumer)

    def gone(self) -> None:
        """The client left."""
        self._leave_groups()
        self.tasks.cancel(self.tasks.work)
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
        self.tasks.cancel(self.tasks.work, caller)
        self.tasks.cancel(self.tasks.handlers, caller)
        if caller is not MAIN and not self._pull:
            self._stop_reading()

    @property
    def authenticate(self) -> Authenticate | None:
        """Who tells who the client is."""
        return None if self._app is None else self._app.authenticate

    def session(self, verb: str) -> Session:
        """Return the session of a client that speaks `consumers.v1`.

        Raises:
            StateError: It does not, and what ``verb`` says can't be done.
        """
        if not isinstance(self._dispatch, Session):
            raise no_session(verb)
        return self._dispatch

    def goodbye(self, event: CloseEvent, retry: float | bool | None) -> Event | None:
        """Return what is sent before a close frame, if the client knows it."""
        if not isinstance(self._dispatch, Session):
            return None
        return self._dispatch.goodbye(event, retry)

    def closed_elsewhere(self) -> bool:
        """Tell whether it is over, and by no doing of the caller's."""
        stage, caller = self.consumer._stage, self.tasks.caller()
        if stage is State.CLOSING:
            return caller is not self._closer
        return stage is State.ENDED and caller is None

    def end(self, code: int, reason: str) -> None:
        """Begin to close from outside, without waiting."""
        if self.consumer._stage is not State.OPEN:
            return
        self._set_closed(code, reason)
        self._leave_groups()
        self.tasks.cancel(self.tasks.work)
        if self._pull:
            self._scope.cancel()
        else:
            self._stop_reading()
            self._finish_soon()

    def overflowed(self) -> None:
        """The client reads too slowly: it is better served by coming back."""
        self.end(1013, "reading too slowly")
        self.consumer._give_up()
        self.tasks.cancel(self.tasks.services)

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
            self.consumer._groups.leave(list(self.memberships), self.consumer)
            self.memberships.clear()

    # -- how it ends ----------------------------------------------------------------

    def _judge(self, error: BaseException) -> bool:
        """Decide how the connection ends after ``error``; tell whether it ends now."""
        # A view learns of the client's leaving by this, and has to deal with it.
        in_view = self._pull and not self._connecting and self.tasks.caller() is MAIN
        silent = not in_view or self.consumer._stage is State.CLOSING
        return self._verdict.judge(error, silent=silent, over=self.tasks.over)

    def _set_closed(self, code: int, reason: str) -> None:
        """Make the end known at once; the close frame follows."""
        consumer = self.consumer
        consumer._stage = State.CLOSING
        consumer._inbox.closed = True
        consumer.close_event = CloseEvent(code, reason, None, "server")

    def _wind_up(self) -> None:
        """End everything but the farewell: groups, tasks, the chance to start more."""
        self._leave_groups()
        stage = self.consumer._stage
        if stage is State.OPEN:
            self._set_closed(*self._verdict.of_open())
        elif stage is State.CONNECTING:
            late = self._scope.cancelled_caught  # by handshake_timeout
            self._verdict.refusal = self._verdict.of_connecting(late=late)
        self.consumer._give_up()
        self.tasks.end()

    def _say_farewell(self) -> None:
        due = self._entered and self.consumer._plan.on_disconnect is not None
        tasks, hook = self.tasks, self._on_disconnect if due else None
        work = tasks.work.values()
        self._farewell.begin(tasks.group, self._verdict.refusal, hook, work)

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


WebSocketConsumer._serve = serve
