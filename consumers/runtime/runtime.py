"""The runtime: drives one connection through its lifecycle.

::

    first event → parameters → authenticate → on_handshake → accept → on_connect
        → on_receive … → (groups left, tasks ended) → close frame → on_disconnect

What surrounds this, and how it ends, is in ``life.py``.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

import anyio
from anyio import CancelScope
from starlette.websockets import WebSocketDisconnect

from consumers.clock import move_on_after, sleep
from consumers.close import CloseEvent, refusal_code
from consumers.errors import (
    ConnectionClosed,
    InvalidParameters,
    MessageError,
    NotAllowed,
)
from consumers.groups import groups_of_user
from consumers.handshake.refusals import count_refusal
from consumers.limits import DEFAULT_LIMITS
from consumers.metering import meter_for
from consumers.over_limit import exceeded
from consumers.state import CLOSED, CONNECTING, OPEN

from .admission import admit, admit_user, permit
from .answering import answer_error, in_time
from .application import identify
from .dispatch import Dispatch, dispatch_for
from .expiry import Expiry, seconds_left
from .life import Life
from .session import Session, no_session

if TYPE_CHECKING:
    from consumers.codecs import Event
    from consumers.handshake.identity import Authenticate
    from consumers.metering import Meter

__all__ = ["Runtime"]

_DISCONNECT: Final = "websocket.disconnect"


class Runtime(Life):
    """What the main task of one connection does."""

    __slots__ = ()

    dispatching: ClassVar[type[Dispatch]] = Dispatch
    speaking: ClassVar[type[Session]] = Session

    async def run(self) -> None:
        """Serve the connection.

        Messages are handled one by one right here: each of them wakes the whole chain
        of callers, whose frames are seldom in the processor's cache by then.
        """
        async with self:
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
            take = consumer._take_now
            tokens, decode = consumer._metered(consumer._by(consumer._plan.receive))
            untimed = following == inbox.next
            assert watchdog is not None
            while True:
                if untimed and inbox.waiting is None and not inbox.closed:
                    # `Inbox.next` and `Inbox.took`, written out for what is common.
                    event: Event | None = None if take is None else take()
                    if event is None:
                        inbox.since = None
                        event = await receive()
                        if event["type"] != "websocket.receive" or inbox.closed:
                            took(event)  # the end
                            return
                    inbox.since = watchdog.tick
                    if not inbox.listed:
                        watchdog.enlist(inbox)
                elif (event := took(await following()))["type"] == _DISCONNECT:
                    return
                try:
                    if tokens is not None:
                        tokens.left -= 1
                        if tokens.left < 0:
                            consumer._exhausted()
                    await handle(decode(event))
                except ConnectionClosed as error:
                    # What came before the client left is handled, answered or not.
                    if error.connection is not consumer:
                        raise
                except (MessageError, NotAllowed) as error:
                    await answer_error(consumer, error)

    async def run_with_providers(self) -> None:
        """Serve a connection with providers that have a teardown when it ends."""
        self._raises = False
        try:
            async with self.hooks.held():
                await self.run()
        finally:
            failures = self._end()
        if failures is not None:
            failures.raise_failures()

    # -- the beginning --------------------------------------------------------------

    def _begin(self) -> Awaitable[bool]:
        """Go as far as ``on_connect``, or through a view; tell if messages follow."""
        return self._begin_idle() if self._idle else self._begin_with_hooks()

    async def _begin_idle(self) -> bool:
        """Accept, and wait for the first message; tell if one came.

        Without what most connections would pass for nothing, as many have no more to
        them than this.
        """
        consumer, inbox = self.consumer, self.consumer._inbox
        await consumer._read_connect()
        if consumer._stage is CLOSED:
            return False
        admit(consumer, self._app)
        await consumer.accept()
        if consumer._stage is not OPEN:
            return False
        self._entered, self._connecting = True, False
        event = await self._next_in_any_case()()
        if event["type"] == _DISCONNECT:
            inbox.took(event)
            return False
        await self._open()
        self._measure()
        self._dispatch_to(dispatch_for(self))
        inbox.put_back(event)
        return True

    async def _begin_with_hooks(self) -> bool:
        consumer, plan = self.consumer, self.consumer._plan
        await consumer._read_connect()
        if consumer._stage is CLOSED:
            return False
        admit(consumer, self._app)
        bounds = consumer._bounds
        authenticate = None if self._app is None else self._app.authenticate
        first = plan.on_connect
        asks = first is not None and not first.is_plain
        waits = plan.on_handshake or authenticate or asks or not consumer.auto_accept
        if (waits or plan.allow) and bounds.handshake_timeout is not None:
            self._timed = True
            self._clock.cancel_after(self._scope, bounds.handshake_timeout)
        values: dict[str, Any] = {}
        if plan.binder.parameters:
            try:
                values = plan.binder.bind(consumer.path_params, consumer.query_params)
            except InvalidParameters:
                count_refusal("parameters")
                raise
        if authenticate is not None:
            self._busy()
        await identify(consumer, authenticate)
        if "user" in consumer.scope:
            admit_user(consumer, self._app)
        if plan.allow:
            self._busy()
            await permit(consumer, self._app)
        if plan.on_handshake is not None:
            self._entered = True
            self._busy()
            await self.hooks.call(plan.on_handshake, consumer.on_handshake, values)
        arguments: dict[str, Any] = {}
        if first is not None:
            self._busy()
            arguments = {each.name: values[each.name] for each in first.parameters}
        if not asks and not self._pull:
            return await self._connect(arguments)
        async with AsyncExitStack() as stack:
            if asks and consumer._stage in (CONNECTING, OPEN):
                assert first is not None
                # Before accept, so that one that refuses does it with a status.
                arguments |= await self.hooks.fill(first, stack)
            return await self._connect(arguments, stack)

    async def _connect(
        self, arguments: dict[str, Any], providers: AsyncExitStack | None = None
    ) -> bool:
        """Accept; go through ``on_connect`` or a view; tell if messages follow."""
        consumer = self.consumer
        if consumer.auto_accept and consumer._stage is CONNECTING:
            await consumer.accept()
        if consumer._stage not in (CONNECTING, OPEN):
            return False
        self._entered = True
        if self._pull:
            assert providers is not None
            self._connecting = False
            await self._view(arguments, providers.pop_all())
            return False
        if consumer._plan.on_connect is not None:
            await consumer.on_connect(**arguments)
        self._connecting = False
        return consumer._stage is not CONNECTING  # else it is refused with 403

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

    def settled(self) -> None:
        """The handshake is about to be accepted: a hook may have set the user."""
        admit_user(self.consumer, self._app)

    async def accepted(self) -> None:
        """The handshake was accepted."""
        if self._timed:
            self._clock.cancel_after(self._scope, math.inf)
        if self._idle:
            return  # what follows would be for the first message, or for a known user
        self._measure()
        consumer = self.consumer
        # Before on_connect: that may ask the client, and wait for what overtakes.
        if consumer.protocol is None:
            self._dispatch_to(dispatch_for(self))
        else:
            session = self._dispatch = self.speaking(self, consumer.protocol)
            await session.welcome()
            self._dispatch_to(session)
        await self.known()

    async def known(self) -> None:
        """Be found by who the user is, and end when its credential does."""
        consumer, user = self.consumer, self.consumer.user
        if not (user.is_authenticated and user.identity):
            return
        names = groups_of_user(user)
        found = {name.name: name for name in names}
        for name in [*self.memberships]:
            if name.startswith("@") and name not in found:  # of the session before
                consumer._groups.leave([name], consumer)
                del self.memberships[name]
        self.memberships |= found
        left = seconds_left(user)
        if left is not None or self._expiry is not None:
            self._expiry = self._expiry or Expiry(self)
            self._expiry.set(left)
        await consumer._groups.join(names, consumer)

    def _dispatch_to(self, dispatch: Dispatch | None) -> None:
        self._dispatch = dispatch
        if dispatch is not None:
            self.consumer._inbox.urgent = dispatch.urgent

    def _measure(self) -> None:
        """Bound the client's messages: what each may be, and how fast they may come."""
        consumer, bounds = self.consumer, self.consumer._bounds
        speaks = consumer.protocol is not None
        if bounds is not DEFAULT_LIMITS:
            consumer._shape = bounds.shape
        consumer._meter = meter_for(
            consumer,
            bounds,
            self._clock.time,
            code=refusal_code(429) if speaks else 1008,
            answers=not speaks and not consumer._plan.receivers,
        )

    def _busy(self) -> None:
        """Have the client's leaving noticed while a first hook runs."""
        watchdog = self.consumer._inbox.watchdog
        assert watchdog is not None
        watchdog.mark(self.consumer._inbox)

    # -- messages -------------------------------------------------------------------

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
        timeout = consumer._bounds.handler_timeout
        if timeout is None:
            return handle
        return partial(in_time, consumer, timeout, handle)

    async def _take(self) -> Event:
        """Return the next event."""
        return self.consumer._inbox.took(await self.following()())

    def following(self) -> Callable[[], Awaitable[Any]]:
        """Return what to call for the next event."""
        meter = self.consumer._meter
        if meter is not None and meter.slows:
            return partial(self._next_slowly, meter)
        return self._next_in_any_case()

    def _next_in_any_case(self) -> Callable[[], Awaitable[Any]]:
        if self.consumer._bounds.idle_timeout is None:
            return self.consumer._inbox.next
        return self._next_in_time

    async def _next_slowly(self, meter: Meter) -> Any:
        """Wait until the next message may come; the inbox is read to meanwhile."""
        if self.consumer._stage is OPEN and (seconds := meter.wait()):
            self._busy()
            with CancelScope() as meter.pause:
                await sleep(seconds)
        return await self._next_in_any_case()()

    def _go_on(self) -> None:
        meter = self.consumer._meter
        if meter is not None and meter.pause is not None:
            meter.pause.cancel()

    def gone(self) -> None:
        """The client left."""
        if not self._idle:  # else there is nothing to end
            super().gone()
            self._go_on()

    def _finish_soon(self) -> None:
        super()._finish_soon()
        self._go_on()

    async def _next_in_time(self) -> Any:
        timeout = self.consumer._bounds.idle_timeout
        assert timeout is not None
        with move_on_after(timeout):
            return await self.consumer._inbox.next()
        text = "closed with 1001: no message came for %g s"
        exceeded("idle_timeout", text, timeout, by=self.consumer)
        self._set_closed(1001, "idle for too long")
        return await self.consumer._inbox.next()  # the end

    # -- for what belongs to it -----------------------------------------------------

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
