"""The runtime: drives one connection through its lifecycle.

::

    first event → parameters → authenticate → on_handshake → accept → on_connect
        → on_receive … → (groups left, tasks ended) → close frame → on_disconnect

All work of a connection lives in one task group. Nothing in it raises: what fails is
recorded, the rest is cancelled, and the failure goes to the server when all has ended.
Cancellation alone passes through.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import AbstractContextManager, AsyncExitStack
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol, TypeAlias

import anyio
from anyio import CancelScope, TaskHandle, create_task_group, get_cancelled_exc_class
from anyio.abc import TaskGroup
from starlette.exceptions import HTTPException, WebSocketException
from starlette.types import Scope as ASGIScope
from starlette.websockets import WebSocketDisconnect

from .clock import current_clock, move_on_after
from .close import CloseEvent
from .consumer import WebSocketConsumer
from .errors import (
    ConnectionClosed,
    InvalidMessage,
    InvalidParameters,
    Rejected,
    StateError,
)
from .groups import STATE_KEY, Groups, user_group
from .identity import known
from .limits import DEFAULT_LIMITS, Limits
from .providing import Providing
from .refusal import Denial, end_by, leaves
from .state import State
from .watchdog import current_watchdog

if TYPE_CHECKING:
    from .identity import Authenticate
    from .providers import Factory, Scope
    from .signatures import Signature

__all__ = ["APP_KEY", "IDENTITY_KEY", "Application", "Runtime", "serve"]

log = logging.getLogger("consumers")

APP_KEY: Final = "consumers.app"
"""Where the scope has the `App` that the connection came through."""

IDENTITY_KEY: Final = "consumers.identity"
"""Where the scope has an identity that is taken as it is. Set by test clients."""


class Application(Protocol):
    """What the runtime asks of the `App` that a connection came through."""

    groups: Groups
    authenticate: Authenticate | None
    limits: Limits
    provided: Mapping[Factory, Any]


_default_groups: Final = Groups()
"""For consumers whose application says nothing of groups: one for the process."""

_Task: TypeAlias = object  # names one task of a connection
_MAIN: Final[_Task] = object()  # the one that the server started
_current: Final[ContextVar[tuple[Runtime, _Task] | None]] = ContextVar(
    "consumers.current", default=None
)
"""Whose work the current task does."""


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
        "_closes_by",
        "_closing",
        "_connecting",
        "_entered",
        "_failures",
        "_finishing",
        "_group",
        "_handlers",
        "_over",
        "_providing",
        "_pull",
        "_raises",
        "_reading",
        "_refusal",
        "_scope",
        "_services",
        "_timed",
        "_work",
        "consumer",
        "memberships",
    )

    def __init__(self, consumer: WebSocketConsumer) -> None:
        """Prepare to serve ``consumer``."""
        app: Application | None = consumer.scope.get(APP_KEY)
        self.consumer = consumer
        self.memberships: dict[str, None] = {}
        """The groups that it is a member of, in the order of joining."""
        self._app = app
        self._clock = current_clock.get()
        self._pull = consumer._view is not None
        self._connecting = True  # until on_connect has returned
        self._entered = False  # whether a hook was, so that on_disconnect is due
        self._finishing = False  # whether its end has a deadline
        self._closes_by: float | None = None  # when our close frame is given up
        self._over = False  # whether no task may start any more
        self._timed = False  # whether handshake_timeout runs
        self._failures: list[BaseException] = []
        # How it ends where no failure decides: (code, reason) after accept, and
        # (status, content, headers) before.
        self._closing: tuple[int, str] | None = None
        self._refusal: Denial | None = None
        self._closer: _Task | None = None  # which task called close(), if one did
        # {task: handle}: what ends when the client leaves, what handles messages, and
        # what serves the connection until all else has ended.
        self._work: dict[_Task, TaskHandle[Any]] = {}
        self._handlers: dict[_Task, TaskHandle[Any]] = {}
        self._services: dict[_Task, TaskHandle[Any]] = {}
        self._scope = CancelScope()  # around the main task's work
        self._reading: CancelScope | None = None  # around its reading, if that is apart
        self._group: TaskGroup
        self._providing: Providing | None = None  # once a hook has asked for something
        self._raises = True  # at its end; not where providers end after it
        consumer._runtime = self
        consumer._groups = _groups_of(consumer.scope, app)
        consumer._bounds = consumer.limits or (
            DEFAULT_LIMITS if app is None else app.limits
        )
        consumer._inbox.bound(consumer._bounds)

    async def run(self) -> None:
        """Serve the connection.

        Every message wakes the whole chain of callers, so that it is kept short: the
        loop over messages is called from here.
        """
        consumer = self.consumer
        inbox = consumer._inbox
        watchdog = current_watchdog()
        watchdog.watch(inbox, self)
        token = _current.set((self, _MAIN))
        try:
            async with create_task_group() as self._group:
                try:
                    with self._scope:
                        if await self._begin():
                            await self._messages()
                    if consumer._stage is State.CLOSING:
                        await self._let_out()
                except BaseException as error:
                    if isinstance(error, get_cancelled_exc_class()):
                        self._cancelled()
                        raise
                    self._judge(error)
                finally:
                    watchdog.forget(inbox)
                    self._wind_up()
                    self._farewell()
        finally:
            _current.reset(token)
            consumer._stage = State.ENDED
        if self._failures and self._raises:
            self._raise_failures()

    async def run_with_providers(self) -> None:
        """Serve a connection with providers that have a teardown when it ends."""
        self._providing = self._make_providing()
        self._raises = False
        async with self._providing.held():
            await self.run()
        if self._failures:
            self._raise_failures()

    def _raise_failures(self) -> NoReturn:
        if len(self._failures) == 1:
            raise self._failures[0]
        raise BaseExceptionGroup(
            "several hooks or tasks of a connection failed", self._failures
        )

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
        await self._identify(authenticate)
        if plan.on_handshake is not None:
            self._entered = True
            self._busy()
            await self._call(plan.on_handshake, consumer.on_handshake, values)
        async with AsyncExitStack() as stack:
            arguments: dict[str, Any] = {}
            if first is not None:
                self._busy()
                arguments = {each.name: values[each.name] for each in first.parameters}
                if asks and consumer._stage in (State.CONNECTING, State.OPEN):
                    # Before accept, so that one that refuses does it with a status.
                    wider = await self._provided()
                    arguments |= await first.fill(consumer, stack, wider)
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

    async def _identify(self, authenticate: Authenticate | None) -> None:
        consumer = self.consumer
        if IDENTITY_KEY in consumer.scope:
            consumer.user = consumer.scope[IDENTITY_KEY]
        elif authenticate is not None:
            self._busy()
            identity = await authenticate(consumer)
            if identity is not None:
                consumer.user = known(identity)

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

    async def _messages(self) -> None:
        consumer, plan = self.consumer, self.consumer._plan
        following, took = consumer._inbox.next, consumer._inbox.took
        if consumer._bounds.idle_timeout is not None:
            following = self._next_in_time
        if plan.on_receive is None:
            if took(await following())["type"] == "websocket.receive":
                self._closing = (1003, "this endpoint only sends")
            return
        handle: Callable[[Any], Awaitable[Any]] = consumer.on_receive
        if plan.receiving.thread:
            handle = partial(anyio.to_thread.run_sync, consumer.on_receive)
        if not plan.on_receive.is_plain:
            handle = partial(self._call_with_message, plan.on_receive, handle)
        if consumer.concurrency > 1:
            await self._handle_concurrently(following, handle)
            return
        decode = plan.receive.decode
        while True:
            event = took(await following())
            if event["type"] == "websocket.disconnect":
                return
            try:
                await handle(decode(event))
            except ConnectionClosed as error:
                # A message that came before the client left is handled all the same,
                # even if the one before it could not be answered.
                if error.connection is not consumer:
                    raise

    async def _handle_concurrently(
        self,
        following: Callable[[], Awaitable[Any]],
        handle: Callable[[Any], Awaitable[Any]],
    ) -> None:
        decode, took = self.consumer._plan.receive.decode, self.consumer._inbox.took
        free = anyio.Semaphore(self.consumer.concurrency)

        async def run(message: Any) -> None:
            try:
                await handle(message)
            finally:
                free.release()

        async with create_task_group() as group:
            try:
                while True:
                    with CancelScope() as reading:
                        self._reading = reading
                        event = took(await following())
                        if event["type"] == "websocket.disconnect":
                            break
                        message = decode(event)
                        # While all are taken the main task counts as busy, and the
                        # client's leaving is noticed by reading ahead.
                        await free.acquire()
                    if reading.cancel_called:
                        return  # it was closed
                    self._start(group, self._handlers, run, (message,))
            except InvalidMessage as error:
                self._take_note(error)
            finally:
                self._reading = None
            self._finish_soon()

    async def _next_in_time(self) -> Any:
        timeout = self.consumer._bounds.idle_timeout
        assert timeout is not None
        with move_on_after(timeout):
            return await self.consumer._inbox.next()
        self._set_closed(1001, "idle for too long")
        return await self.consumer._inbox.next()  # the end

    async def _let_out(self) -> None:
        """Let finish the task that closed, and let out what was published before."""
        consumer = self.consumer
        closer = self._work.get(self._closer)
        if closer is not None:
            with move_on_after(consumer.finish_timeout):
                await closer.wait()
        # Whoever closed by close() has waited for the rest.
        if consumer._outbox is not None and self._closer is None:
            with self._for_close_timeout():
                await consumer._outbox.put_and_wait(None)

    def _for_close_timeout(self) -> AbstractContextManager[CancelScope]:
        """Bound what has to go out at the end: all of it, not each part of it."""
        if self._closes_by is None:
            self._closes_by = self._clock.time() + self.consumer._bounds.close_timeout
        return move_on_after(self._closes_by - self._clock.time())

    # -- calling hooks --------------------------------------------------------------

    async def _call(
        self,
        signature: Signature,
        function: Callable[..., Awaitable[Any]],
        values: dict[str, Any],
        *given: Any,
    ) -> Any:
        arguments = {each.name: values[each.name] for each in signature.parameters}
        if signature.is_plain:
            return await function(*given, **arguments)
        async with AsyncExitStack() as stack:
            wider = await self._provided()
            arguments |= await signature.fill(self.consumer, stack, wider)
            return await function(*given, **arguments)

    async def _call_with_message(
        self,
        signature: Signature,
        function: Callable[..., Awaitable[Any]],
        message: Any,
    ) -> Any:
        return await self._call(signature, function, {}, message)

    def _provided(self) -> Awaitable[Mapping[Scope, Mapping[Factory, Any]]]:
        """Return the values that last longer than a call, for who awaits them."""
        if self._providing is None:
            self._providing = self._make_providing()
        return self._providing.values()

    def _make_providing(self) -> Providing:
        consumer = self.consumer
        return Providing(
            consumer,
            consumer._plan.providers_of("connection"),
            {} if self._app is None else self._app.provided,
            timeout=consumer._bounds.disconnect_timeout,
            failed=self._judge,
        )

    # -- tasks ----------------------------------------------------------------------

    def start(
        self, function: Callable[..., Awaitable[Any]], *args: Any, name: object = None
    ) -> TaskHandle[Any]:
        """Start the application's work: see ``WebSocketConsumer.start_soon``."""
        if self._over:
            raise StateError(
                "can't start_soon: the connection is ending; "
                "what should outlive it goes to app.start_soon"
            )
        return self._start(self._group, self._work, function, args, name)

    def spawn(self, function: Callable[[], Awaitable[Any]]) -> None:
        """Start work of the framework's own, which lasts until all else has ended."""
        if not self._over:
            self._start(self._group, self._services, function, ())

    def _start(
        self,
        group: TaskGroup,
        tasks: dict[_Task, TaskHandle[Any]],
        function: Callable[..., Awaitable[Any]],
        args: tuple[Any, ...],
        name: object = None,
    ) -> TaskHandle[Any]:
        task: _Task = object()

        async def run() -> Any:
            _current.set((self, task))
            try:
                return await function(*args)
            except get_cancelled_exc_class():
                raise
            except BaseException as error:
                # Not raised: SystemExit would end an asyncio loop right here, and the
                # group would wrap whatever it is.
                if self._judge(error):
                    self._give_up()
            finally:
                tasks.pop(task, None)

        handle = group.start_soon(
            run, name=name or getattr(function, "__qualname__", repr(function))
        )
        tasks[task] = handle
        return handle

    def _busy(self) -> None:
        """Have the client's leaving noticed while a first hook runs."""
        watchdog = self.consumer._inbox.watchdog
        assert watchdog is not None
        watchdog.mark(self.consumer._inbox)

    def _cancel(
        self, tasks: dict[_Task, TaskHandle[Any]], keep: _Task | None = None
    ) -> None:
        for task, handle in list(tasks.items()):
            if task is not keep:
                handle.cancel()

    def _give_up(self) -> None:
        """Cancel everything, because something has ended the connection."""
        self._scope.cancel()
        self._cancel(self._work)

    # -- what happens to the connection ---------------------------------------------

    async def accepted(self) -> None:
        """The handshake was accepted."""
        if self._timed:
            self._clock.cancel_after(self._scope, math.inf)
        consumer = self.consumer
        user = consumer.user
        if user.is_authenticated and user.identity:
            name = user_group(user.identity)
            self.memberships[name.name] = None
            await consumer._groups.add(name, consumer)

    def gone(self) -> None:
        """The client left."""
        self._leave_groups()
        self._cancel(self._work)
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
        caller = self._caller()
        if caller is _MAIN and self.consumer._inbox.is_idle() and not self._pull:
            caller = None  # a task that a hook has left behind somewhere else
        self._closer = caller
        self._leave_groups()
        self._cancel(self._work, caller)
        self._cancel(self._handlers, caller)
        if caller is not _MAIN and not self._pull:
            self._stop_reading()

    def closed_elsewhere(self) -> bool:
        """Tell whether it is over, and by no doing of the caller's."""
        stage, caller = self.consumer._stage, self._caller()
        if stage is State.CLOSING:
            return caller is not self._closer
        return stage is State.ENDED and caller is None

    def end(self, code: int, reason: str) -> None:
        """Begin to close from outside, without waiting."""
        if self.consumer._stage is not State.OPEN:
            return
        self._set_closed(code, reason)
        self._leave_groups()
        self._cancel(self._work)
        if self._pull:
            self._scope.cancel()
        else:
            self._stop_reading()
            self._finish_soon()

    def overflowed(self) -> None:
        """The client reads too slowly: it is better served by coming back."""
        if self.consumer._stage is State.OPEN:
            log.warning(
                "connection %s: closed with 1013, more than %d publications or %d "
                "bytes waited for a client that reads too slowly",
                self.consumer.id,
                self.consumer._bounds.outbox_messages,
                self.consumer._bounds.outbox_bytes,
            )
            self.end(1013, "reading too slowly")
            self._cancel(self._services)

    def _caller(self) -> _Task | None:
        """Return which of the connection's tasks calls; ``None``: somebody else."""
        current = _current.get()
        return current[1] if current is not None and current[0] is self else None

    def _stop_reading(self) -> None:
        """Take no more messages; a hook that runs may finish."""
        if self._reading is not None:
            self._reading.cancel()
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
            self.consumer._groups.leave_all(list(self.memberships), self.consumer)
            self.memberships.clear()

    # -- how it ends ----------------------------------------------------------------

    def _judge(self, error: BaseException) -> bool:
        """Decide how the connection ends after ``error``; tell whether it ends now.

        What a client did wrong, a refusal, and the client's leaving are no failures.
        """
        causes = list(leaves(error))
        known = [cause for cause in causes if self._is_known(cause)]
        if len(known) == len(causes):
            for cause in known:
                self._take_note(cause)
            silent = (ConnectionClosed, get_cancelled_exc_class())
            return not all(isinstance(cause, silent) for cause in known)
        if known and isinstance(error, BaseExceptionGroup):
            # By a function, since before 3.13 it takes no method.
            error = error.split(lambda each: each in known)[1] or error
        self._failures.append(error)
        log.error(
            "connection %s of %s: an exception %s",
            self.consumer.id,
            type(self.consumer).__name__,
            "after its end" if self._over else "ends it with 1011",
            exc_info=error,
        )
        return True

    def _is_known(self, error: BaseException) -> bool:
        stage = self.consumer._stage
        if isinstance(error, ConnectionClosed):
            # A view learns of the client's leaving by this, and has to deal with it.
            in_view = self._pull and not self._connecting and self._caller() is _MAIN
            own = error.connection is self.consumer
            return own and (stage is State.CLOSING or not in_view)
        if isinstance(error, HTTPException | WebSocketException | InvalidParameters):
            return stage is not State.ENDED
        return isinstance(error, Rejected | InvalidMessage | get_cancelled_exc_class())

    def _take_note(self, error: BaseException) -> None:
        """Take over from a known error how the connection ends: the first counts."""
        closing, refusal = end_by(error)
        self._closing = self._closing or closing
        self._refusal = self._refusal or refusal

    def _cancelled(self) -> None:
        """Say how a connection ends that is cancelled from outside: by a shutdown."""
        self._closing = self._closing or (1012, "")
        self._refusal = self._refusal or (503, None, None)

    def _set_closed(self, code: int, reason: str) -> None:
        """Make the end known at once; the close frame follows."""
        consumer = self.consumer
        consumer._stage = State.CLOSING
        consumer._inbox.closed = True
        consumer.close_event = CloseEvent(code, reason, None, "server")

    def _wind_up(self) -> None:
        """End everything but the farewell: groups, tasks, the chance to start more."""
        self._over = True
        self._leave_groups()
        consumer = self.consumer
        if consumer._stage is State.OPEN:
            code, reason = 1000, ""
            if self._failures:
                code = 1011
            elif self._closing is not None:
                code, reason = self._closing
            self._set_closed(code, reason)
        elif consumer._stage is State.CONNECTING:
            if self._failures:
                self._refusal = (500, None, None)
            elif self._refusal is None:
                late = self._scope.cancelled_caught  # by handshake_timeout
                self._refusal = (408 if late else 403, None, None)
        self._cancel(self._work)
        self._cancel(self._handlers)
        self._cancel(self._services)

    def _farewell(self) -> None:
        """Have the close frame sent, and ``on_disconnect`` run when all else has ended.

        In tasks of their own: a shield in the task that the server started stops a
        scope's cancellation, but not a native ``Task.cancel()``. They do not wait for
        what serves the connection: some servers' ``send`` can't be cancelled.
        """
        consumer = self.consumer
        stage, said = consumer._stage, anyio.Event()
        if stage is State.CONNECTING or (
            stage is State.CLOSING and not consumer._close_sent
        ):
            self._group.start_soon(self._say_goodbye, said)
        else:
            said.set()
        if self._entered and consumer._plan.on_disconnect is not None:
            self._group.start_soon(self._on_disconnect, said, [*self._work.values()])

    async def _say_goodbye(self, said: anyio.Event) -> None:
        consumer = self.consumer
        with CancelScope(shield=True), self._for_close_timeout():
            try:
                if consumer._stage is State.CONNECTING:
                    assert self._refusal is not None
                    await consumer._refuse(*self._refusal)
                else:
                    await consumer._send_close()
            except (ConnectionClosed, Rejected):
                pass
            except Exception:
                log.exception("connection %s: can't be closed properly", consumer.id)
            finally:
                said.set()

    async def _on_disconnect(
        self, said: anyio.Event, work: Iterable[TaskHandle[Any]]
    ) -> None:
        consumer = self.consumer
        signature = consumer._plan.on_disconnect
        assert signature is not None
        _current.set((self, _MAIN))
        bounds = consumer._bounds
        with CancelScope(shield=True) as scope:
            for handle in work:
                await handle.wait()
            with self._for_close_timeout():
                await said.wait()
            if consumer.close_event is None:
                consumer.close_event = CloseEvent(1006, "", False, "network")
            consumer._stage = State.ENDED
            self._clock.cancel_after(scope, bounds.disconnect_timeout)
            try:
                code = consumer.close_event.code
                await self._call(signature, consumer.on_disconnect, {}, code)
            except get_cancelled_exc_class():
                raise
            except BaseException as error:
                self._judge(error)
            self._clock.cancel_after(scope, math.inf)
        if scope.cancelled_caught:
            log.warning(
                "connection %s of %s: on_disconnect was cancelled after %s s",
                consumer.id,
                type(consumer).__name__,
                bounds.disconnect_timeout,
            )


def _groups_of(scope: ASGIScope, app: Application | None) -> Groups:
    """Return the groups of the `App`, or those in the state of the lifespan."""
    if app is not None:
        return app.groups
    groups: Groups | None = (scope.get("state") or {}).get(STATE_KEY)
    return _default_groups if groups is None else groups


WebSocketConsumer._serve = serve
