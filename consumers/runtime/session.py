"""Session: one connection whose client speaks `consumers.v1`.

Beside messages there are frames about the connection itself: subscriptions, signs of
life, a new credential, requests of the server's. Specified in
`docs/reference/protocol.md`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn

import msgspec
from anyio.lowlevel import checkpoint

from consumers.close import should_return
from consumers.codecs import CODECS
from consumers.errors import (
    InvalidMessage,
    InvalidParameters,
    MessageError,
    NotAllowed,
    StateError,
)
from consumers.groups.publication import size_of
from consumers.handlers.call import Call, current_call
from consumers.handlers.messages import Receiving
from consumers.handlers.receivers import Receiver
from consumers.handlers.signatures import NOTHING
from consumers.history import Position
from consumers.over_limit import note_misfit
from consumers.protocol.frames import (
    PROTOCOLS,
    Cancel,
    Error,
    Goodbye,
    Message,
    Ping,
    Pong,
    Refresh,
    Reply,
    Request,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Unsubscribed,
    Welcome,
)
from consumers.protocol.reading import Refused
from consumers.protocol.writing import Framed

from .answered import Answered, Entry, current_answered
from .asking import Asking
from .dispatch import Dispatch
from .expiry import seconds_left
from .vigil import Vigil

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from consumers.close import CloseEvent
    from consumers.codecs import Event
    from consumers.groups import GroupName
    from consumers.history import Recovery

    from .runtime import Runtime

__all__ = ["Session"]


def _own(name: str, receiving: Receiving) -> Receiver:
    return Receiver(name, (), None, NOTHING, receiving, None, False, "")


# Beside the messages: subscribing may take long, and so may who tells who it is. Their
# lanes have names that no method can have.
_SUBSCRIBING: Final = _own("@subscribe", Receiving(concurrency=8, key="group"))
_REFRESHING: Final = _own("@refresh", Receiving(concurrency=1))


class Session(Dispatch):
    """The frames of one connection."""

    __slots__ = (
        "_asking",
        "_frames",
        "_name",
        "_ponging",
        "_read",
        "_subscriptions",
        "_vigil",
        "protocol",
    )

    answers: Framed

    def __init__(self, runtime: Runtime, protocol: str) -> None:
        """Serve a connection that has agreed on ``protocol``."""
        self._name = PROTOCOLS[protocol]
        super().__init__(runtime, None, Framed(CODECS[self._name]))
        self.protocol = protocol
        """The subprotocol's name."""
        self._frames = self._consumer._plan.frame_reader(
            self._name, self._consumer._shape
        )
        self._read = self._consumer._counting(self._frames.read)
        self._vigil = Vigil(runtime)
        self._asking: Asking | None = None  # once something was asked
        self._ponging = False  # whether an answer to a ping is on its way
        self._subscriptions: set[str] = set()  # that the client has asked for

    # -- the connection -------------------------------------------------------------

    @property
    def asking(self) -> Asking:
        """The requests of the server's."""
        if self._asking is None:
            self._asking = Asking(self, self._name)
        return self._asking

    async def welcome(self) -> None:
        """Send the first frame, and watch over the connection from now on."""
        bounds, expires = self._consumer._bounds, seconds_left(self._consumer.user)
        frame = Welcome(
            connection=self._consumer.id,
            heartbeat=bounds.heartbeat,
            timeout=bounds.heartbeat_timeout,
            requests=bounds.inbox,
            expires=expires,
        )
        await self.send(frame)
        self._vigil.begin()

    def goodbye(
        self, event: CloseEvent, retry: float | bool | None, detail: Any = None
    ) -> Event:
        """Return the last frame before a close."""
        returns = should_return(event.code) if retry is None else retry is not False
        after = None if retry is None or isinstance(retry, bool) else retry
        said = msgspec.UNSET if detail is None else detail
        return self.answers.encode(Goodbye(event.code, returns, after, said))

    # -- frames ---------------------------------------------------------------------

    def handle(self, event: Event) -> Awaitable[None]:
        """Handle one frame, or have it handled."""
        self._vigil.hear()
        try:
            try:
                frame = self._read(event)
            except InvalidMessage as error:
                frame = self._frames.read_beyond(event, error)
        except Refused as refused:
            note_misfit(self._consumer, refused.__cause__)
            return self._send(self.answers.error(refused.id, refused.answer))
        kind = type(frame)
        if kind is Request:
            method = None if frame.key else self._quick.get(type(frame.message))
            if method is not None:
                return self._answer_quickly(method, frame.message, frame.id)
            return self._take_message(frame.message, frame.id, frame.key)
        if kind is Message:
            return self._take_message(frame.message, None, None)
        if kind is Subscribe or kind is Unsubscribe:
            return self.take(Call(frame.id, frame, _SUBSCRIBING))
        if kind is Refresh:
            return self.take(Call(frame.id, frame, _REFRESHING))
        self._control(frame)
        return checkpoint()

    def urgent(self, event: Event) -> bool:
        """Deal with a frame that was read ahead, if it must not wait; tell whether."""
        self._vigil.hear()
        frame = self._frames.control(event)
        if frame is None:
            return False
        self._control(frame, early=True)
        return True

    def _control(self, frame: Any, *, early: bool = False) -> None:
        if isinstance(frame, Cancel):
            self.cancel(frame.id, early=early)
        elif isinstance(frame, Ping):
            # One on its way answers all: else who pings and reads nothing would have
            # them pile up.
            if not self._ponging:
                self._ponging = True
                self._runtime.spawn(self._pong)
        elif isinstance(frame, Reply | Error):
            self.asking.take(frame)

    async def _pong(self) -> None:
        try:
            await self._send_quietly(self.answers.encode(Pong()))
        finally:
            self._ponging = False

    async def _take_message(
        self,
        message: Any,
        name: int | None,
        key: str | None,
    ) -> None:
        plan = self._consumer._plan
        receiver = plan.receivers.get(type(message)) or plan.any_receiver
        if receiver is None:
            error = MessageError("unknown_type", "this endpoint only sends")
            await self._send(self.answers.error(name, error))
            return
        if key is not None:
            user = self._consumer.user
            who = user.identity if user.is_authenticated else ""
            # With its length: names with a colon make no key of another user's.
            owner = f"{type(self._consumer).__qualname__}:{len(who)}:{who}"
            key = f"{owner}:{key}"
        await self.take(Call(name, message, receiver, key))

    # -- answers --------------------------------------------------------------------

    async def _answer(self, call: Call) -> None:
        if call.key is None or call.receiver.streams:
            await super()._answer(call)
            return
        answered = current_answered()
        entry = await answered.find(call.key)
        if entry is not None:
            await self._send(self._again(call, entry))
            call.answered = True
            return
        await self._answer_once(call, answered)

    async def _answer_once(self, call: Call, answered: Answered) -> None:
        assert call.key is not None
        token = current_call.set(call)
        try:
            with answered.work(call.key) as call.entry:
                await super()._answer(call)
        finally:
            current_call.reset(token)

    def _again(self, call: Call, entry: Entry) -> Event:
        if entry.error is not None:
            return self.answers.error(call.id, entry.error)
        event = self.answers.reply(call.id, entry.value)
        assert event is not None
        return event

    def _written(self, call: Call, result: Any) -> Event | None:
        if call.receiver.streams:
            return self.answers.done(call.id)
        if call.receiver is _SUBSCRIBING and isinstance(call.message, Subscribe):
            return None  # it was told before what it has missed
        event = self.answers.reply(call.id, result)
        if call.entry is not None and event is not None:
            call.entry.answer(size_of(event), result)
        return event

    def _failed(self, call: Call, error: MessageError) -> Event:
        event = self.answers.error(call.id, error)
        if call.entry is not None and error.code != "timeout":
            call.entry.answer(size_of(event), None, error)
        return event

    async def _result(self, call: Call) -> Any:
        if call.receiver is _SUBSCRIBING:
            return await self._subscribe(call.message)
        if call.receiver is _REFRESHING:
            await self._vigil.refresh(call.message.token)
            # Too late to cancel: who has the new one must be found by it.
            self._calls.pop(call.id, None)
            return await self._vigil.taken()
        return await super()._result(call)

    # -- subscriptions --------------------------------------------------------------

    async def _subscribe(self, frame: Subscribe | Unsubscribe) -> None:
        consumer = self._consumer
        try:
            name = consumer._groups.resolve(frame.group)
            if isinstance(frame, Unsubscribe):
                self._subscriptions.discard(name.name)
                await consumer.leave(name)
                return
            text = frame.position
            since = None if text is None else Position.parse(text)
        except ValueError as error:
            raise MessageError("invalid_message", str(error)) from error
        if name.group.history is None:
            since = None  # it had one when the client got its position
        try:
            await consumer._subscribe(name, since, frame.id)
        except InvalidParameters as error:  # what a source is to take from the name
            raise NotAllowed(str(error)) from error
        except BaseException:
            self._subscriptions.discard(name.name)
            raise

    async def subscribed(
        self,
        name: GroupName,
        snapshot: Any,
        recovery: Recovery,
        since: Position | None,
        asked: int,
    ) -> None:
        """Tell the client that it is a member, before what it has missed."""
        self._subscriptions.add(name.name)
        call = self._calls.pop(asked, None)
        if call is not None:  # from now on there is nothing to cancel
            call.answered = True
        position = since if recovery.recovered else recovery.position
        if recovery.replayed and not recovery.recovered:
            position = None  # each of them tells
        frame = Subscribed(
            id=asked,
            group=name.name,
            recovered=recovery.recovered,
            position=None if position is None else str(position),
            snapshot=snapshot,
        )
        await self.send(frame)

    async def unsubscribed(self, groups: Sequence[str]) -> None:
        """Tell the client which of its subscriptions the application has ended."""
        for name in groups:
            if name in self._subscriptions:
                self._subscriptions.discard(name)
                await self._send_quietly(
                    self.answers.encode(Unsubscribed(name, "left"))
                )

    # -- for what belongs to it -----------------------------------------------------

    async def send(self, frame: Any) -> None:
        """Send a frame."""
        await self._send(self.answers.encode(frame))

    def read_ahead(self) -> None:
        """Read on while a hook runs."""
        self._runtime.read_ahead()

    async def raise_gone(self) -> NoReturn:
        """Raise what says that the client is gone."""
        await self._consumer._raise_gone()

    def stop(self) -> bool:
        """Take no more messages, and no answers: who waits for one need not any more.

        Tells whether a message is worked on in the main task.
        """
        if self._asking is not None:
            self._asking.gone()
        return super().stop()

    def end(self) -> None:
        """Look after the client no more."""
        self._vigil.end()

    def gone(self) -> None:
        """End streams, and those who wait for the client: it left."""
        super().gone()
        if self._asking is not None:
            self._asking.gone()


def no_session(verb: str) -> StateError:
    """Return what says that a client speaks no `consumers.v1`."""
    return StateError(
        f"can't {verb}: the client speaks no consumers.v1, which has answers; "
        "look at self.protocol first, or send() it a message"
    )
