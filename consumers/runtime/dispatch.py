"""Dispatch: hands the messages of one connection to methods.

One by one in the main task where nothing else was said. What may be handled beside that
goes to tasks, by lanes. A sender may cancel what it has asked: that is never queued
behind what is worked on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
from anyio import CancelScope, create_task_group, get_cancelled_exc_class
from anyio.lowlevel import checkpoint, checkpoint_if_cancelled

from consumers.errors import ConnectionClosed, InvalidMessage, MessageError
from consumers.handlers.call import Call
from consumers.over_limit import note_misfit
from consumers.protocol.reading import Refused
from consumers.state import CLOSING

from .answering import Answering
from .lanes import Lane

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from consumers.codecs import Event
    from consumers.handlers.receivers import Receiver
    from consumers.protocol.reading import PlainReader
    from consumers.protocol.writing import Answers, Id

    from .runtime import Runtime

__all__ = ["Dispatch", "dispatch_for"]

_NOTHING: Final = object()
"""Stands for the id of no message at all; ``None`` is that of one without."""


class Dispatch(Answering):
    """The messages of one connection."""

    __slots__ = (
        "_calls",
        "_common",
        "_decode",
        "_early",
        "_freed",
        "_group",
        "_handling",
        "_interrupted",
        "_lanes",
        "_quick",
        "_ready",
        "_scope",
        "_stopped",
        "_taken",
        "_unanswered",
        "_waiting",
    )

    def __init__(
        self, runtime: Runtime, reader: PlainReader | None, answers: Answers
    ) -> None:
        """Serve a connection.

        Args:
            runtime: Whose connection.
            reader: Reads its messages; ``None``: ``on_receive`` takes what its codec
                reads.
            answers: Writes the answers.
        """
        super().__init__(runtime, reader, answers)
        consumer, concurrency = self._consumer, self._consumer.concurrency
        by = reader.decode if reader else consumer._by(consumer._plan.receive)
        self._decode = consumer._counting(by)
        # For messages without a lane of their own; None: handled in the main task.
        self._common = Lane(concurrency) if concurrency > 1 else None
        self._lanes: dict[str, Lane] = {}
        self._waiting = 0  # in all lanes
        self._freed: anyio.Event | None = None  # the main task waits for room
        self._ready: list[tuple[Lane, Call, Hashable]] = []  # to be begun; few
        self._calls: dict[Id, Call] = {}  # by what their senders call them
        # What is called in the main task with nothing but the message.
        timed = concurrency > 1 or consumer._bounds.handler_timeout is not None
        self._quick: Mapping[type, str] = {} if timed else consumer._plan.quick
        self._handling: Any = _NOTHING  # the id of what is handled in the main task
        self._unanswered: Id = None  # the same, once its sender has cancelled it
        self._interrupted = False  # whether the scope ends with it
        # Cancelled while they wait in the inbox: {id: the number of the last event
        # there}. A later one has the same id by another right.
        self._early: dict[Id, int] = {}
        self._taken = 0  # events that have waited there
        self._stopped = False
        self._scope = CancelScope()
        self._group: TaskGroup

    # -- the loop -------------------------------------------------------------------

    async def run(
        self, take: Callable[[], Awaitable[Event]], last: Callable[[], None]
    ) -> None:
        """Handle messages until the client leaves, sends nonsense, or :meth:`stop`.

        Args:
            take: Returns the next event.
            last: Is called when there are no more, and not after :meth:`stop`.
        """
        async with create_task_group() as self._group:
            try:
                over = False
                while not over and not self._stopped:
                    # One scope for many calls: it ends only with one that is cancelled.
                    self._interrupted = False
                    with CancelScope() as self._scope:
                        over = await self._take_all(take)
                    await self._say_cancelled()
            except InvalidMessage as error:
                self._runtime.note(error)
            except get_cancelled_exc_class():
                raise
            except BaseException as error:
                # Not raised: the group would wrap whatever it is.
                self._runtime.ended_by(error)
            if not self._stopped:
                last()

    async def _take_all(self, take: Callable[[], Awaitable[Event]]) -> bool:
        """Handle messages until a call is cancelled; tell whether there are no more."""
        consumer, reader, quick = self._consumer, self._reader, self._quick
        receive, take_now = consumer._asgi_receive, consumer._take_now
        inbox, at_once = consumer._inbox, consumer._direct is not None
        watchdog, untimed = inbox.watchdog, self._runtime.following() == inbox.next
        assert watchdog is not None
        if reader is not None:
            tokens, decode = consumer._metered(reader.decode)
            kind, mark = reader.kind, reader.mark
            answers = consumer._plan.answers
            encode, dump, is_text = answers.encode, answers.dump, answers.is_text
        while not (self._stopped or self._interrupted):
            message = result = answer = None  # who waits keeps nothing of what was
            if untimed and inbox.waiting is None and not inbox.closed:
                # Written out for what is common, as in `Runtime.run`.
                event: Event | None = None if take_now is None else take_now()
                if event is None:
                    inbox.since = None
                    if self._early:  # all that they could have overtaken was read
                        self._early.clear()
                    event = await receive()
                    if event["type"] != "websocket.receive" or inbox.closed:
                        inbox.took(event)  # the end
                        return True
                inbox.since = watchdog.tick
                if not inbox.listed:
                    watchdog.enlist(inbox)
            else:
                event = await take()
                self._taken += 1
                if event["type"] == "websocket.disconnect":
                    return True
            try:
                if reader is None:
                    await self.handle(event)
                    continue
                try:
                    if tokens is not None:
                        tokens.left -= 1
                        if tokens.left < 0:
                            consumer._exhausted()
                    message = decode(event)
                except InvalidMessage as error:
                    await self._misread(event, reader, error)
                    continue
                method = quick.get(type(message))
                if method is None or mark in event[kind]:
                    await self._take_plain(event, reader, message)
                    continue
                # `_answer_quickly`, written out for what has no id.
                self._handling = None
                try:
                    result = await getattr(consumer, method)(message)
                    if result is not None and not (
                        at_once and consumer._send_now(dump(result), is_text)
                    ):
                        answer = encode(result)
                except Exception as error:
                    answer = await self._instead(None, error)
                finally:
                    self._handling = _NOTHING
                if answer is not None and consumer._stage is not CLOSING:
                    await consumer._transmit(answer)
            except ConnectionClosed as error:
                # What came before the client left is handled, answered or not.
                if error.connection is not consumer:
                    raise
            except MessageError as error:  # it came too fast
                await self._send_quietly(self.answers.error(None, error))
        return self._stopped

    def stop(self) -> bool:
        """Take no more messages; tell whether one is worked on in the main task."""
        self._stopped = True
        working = self._handling is not _NOTHING
        if not working:
            self._scope.cancel()
        return working

    def gone(self) -> None:
        """End streams at once: the client left. What saves may finish."""
        for call in self._streams:
            if call.scope is None:
                self._interrupt()
            else:
                call.scope.cancel()

    # Plain functions that return coroutines: fewer frames on a message's way.

    def handle(self, event: Event) -> Awaitable[None]:
        """Handle one message, or have it handled, where no method is sought for it."""
        receiver: Any = self._consumer._plan.any_receiver
        return self.take(Call(None, self._decode(event), receiver))

    def _take_plain(
        self, event: Event, reader: PlainReader, message: Any
    ) -> Awaitable[None]:
        # Looked for before it is read: few messages have one.
        name = reader.id_of(event) if reader.mark in event[reader.kind] else None
        if (method := self._quick.get(type(message))) is not None:
            return self._answer_quickly(method, message, name)
        receiver = self._consumer._plan.receivers[type(message)]
        return self.take(Call(name, message, receiver))

    def _misread(
        self, event: Event, reader: PlainReader, error: InvalidMessage
    ) -> Awaitable[None]:
        """Answer what is no message of the class's, or cancel what it names.

        Raises:
            InvalidMessage: The connection is to end by it.
        """
        try:
            self.cancel(reader.cancelled_by(event, error))
        except Refused as refused:
            note_misfit(self._consumer, error)
            return self._send(self.answers.error(refused.id, refused.answer))
        return checkpoint()

    def urgent(self, event: Event) -> bool:
        """Deal with an event that was read ahead, if it must not wait; tell whether."""
        if self._reader is None:
            return False
        text = event.get("text")
        marked = "cancel" in text if text is not None else b"cancel" in event["bytes"]
        name = self._reader.cancels(event) if marked else None
        if name is not None:
            self.cancel(name, early=True)
        return name is not None

    # -- calls ----------------------------------------------------------------------

    async def _answer_quickly(self, method: str, message: Any, name: Id) -> None:
        """Do what :meth:`take` does, where that is calling a method and no more."""
        if name is not None and (name in self._calls or name in self._early):
            receiver = self._consumer._plan.receivers[type(message)]
            await self.take(Call(name, message, receiver))
            return
        consumer, self._handling = self._consumer, name
        try:
            result = await getattr(consumer, method)(message)
            answer = self.answers.reply(name, result)
        except Exception as error:
            answer = await self._instead(name, error)
        finally:
            self._handling = _NOTHING
        # A method that has closed answers nothing any more.
        if answer is not None and consumer._stage is not CLOSING:
            await consumer._transmit(answer)
        if name is not None:
            self._unanswered = None

    async def take(self, call: Call) -> None:
        """Handle a call, now or in its lane."""
        name = call.id
        if name is not None:
            if name in self._calls:
                # Without the id: with it, it would pass for the answer to the first.
                error = MessageError("invalid_message", f"id {name!r} is in use")
                await self._send(self.answers.error(None, error))
                return
            if self._early.pop(name, -1) >= self._taken:
                await self._send(self.answers.error(name, _CANCELLED))
                return
            self._calls[name] = call
        lane = self._lane_of(call.receiver)
        if lane is None:
            self._handling = name
            try:
                await self._answer(call)
                self._unanswered = None
            finally:
                self._handling = _NOTHING
                self._calls.pop(name, None)
            return
        key = call.receiver.key_of(call.message)
        alone = self._common is not None and not self._lanes
        most = 0 if alone else self._consumer._bounds.inbox
        while not lane.is_free(key) and self._waiting >= most:
            self._freed = anyio.Event()
            await self._freed.wait()
        before = len(lane)
        lane.put(partial(self._begin, lane, call, key), key)
        self._waiting += len(lane) - before
        await checkpoint()  # what came first begins first, and others get their turn

    def cancel(self, name: Id, *, early: bool = False) -> None:
        """Cancel what a sender has asked; nothing happens where it was answered.

        Args:
            name: Its id.
            early: Whether this overtook what may not have been read yet.
        """
        if name is not None and name == self._handling:
            self._unanswered = name
            self._interrupt()
            return
        call = self._calls.get(name)
        if call is None:
            if early:
                self._remember(name)
            return
        if call.cancelled:
            return
        call.cancelled = True
        if call.scope is not None:
            call.scope.cancel()
        else:  # it waits; when it is its turn nothing more happens
            self._calls.pop(name, None)
            self.post(self.answers.error(name, _CANCELLED))

    def _remember(self, name: Id) -> None:
        """Remember a cancelled call that may wait in the inbox."""
        for each in [each for each, last in self._early.items() if last <= self._taken]:
            del self._early[each]
        waiting = len(self._consumer._inbox)
        if len(self._early) < waiting:
            self._early[name] = self._taken + waiting

    def _interrupt(self) -> None:
        """Cancel what is handled in the main task, and nothing after it."""
        self._interrupted = True
        self._scope.cancel()

    async def _say_cancelled(self) -> None:
        name, self._unanswered = self._unanswered, None
        if name is not None:
            await self._send_quietly(self.answers.error(name, _CANCELLED))

    # -- lanes ----------------------------------------------------------------------

    def _lane_of(self, receiver: Receiver) -> Lane | None:
        limit = receiver.receiving.concurrency
        if limit is None:
            return self._common
        lane = self._lanes.get(receiver.name)
        if lane is None:
            lane = self._lanes[receiver.name] = Lane(limit)
        return lane

    def _begin(self, lane: Lane, call: Call, key: Hashable) -> None:
        # Whichever task runs first takes the first: trio starts them in any order.
        self._ready.append((lane, call, key))
        self._runtime.tasks.start("handler", self._run, group=self._group)

    async def _run(self) -> None:
        lane, call, key = self._ready.pop(0)
        try:
            # What ends the connection is also the end of a call, which begins the next.
            await checkpoint_if_cancelled()
            if call.cancelled or self._consumer._stage is CLOSING:
                return
            with CancelScope() as call.scope:
                await self._answer(call)
            if call.cancelled and not call.answered:
                await self._send(self.answers.error(call.id, _CANCELLED))
        finally:
            if self._calls.get(call.id) is call:
                del self._calls[call.id]
            before = len(lane)
            lane.done(key)
            self._waiting += len(lane) - before
            if self._freed is not None:
                self._freed.set()
                self._freed = None


def dispatch_for(runtime: Runtime) -> Dispatch | None:
    """Return what hands a connection's messages to methods, if its class needs it."""
    made, plan = runtime.dispatching, runtime.consumer._plan
    if plan.receivers:
        return made(runtime, plan.reader(runtime.consumer._shape), plan.answers)
    if runtime.consumer.concurrency > 1 and plan.any_receiver is not None:
        return made(runtime, None, plan.answers)
    return None


_CANCELLED: Final = MessageError("cancelled")
