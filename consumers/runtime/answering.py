"""Answering: calls a method with a message, and sends what comes of it.

That is a reply, a stream of items, or an error. What else a method raises ends the
connection.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
from anyio import CancelScope
from starlette.exceptions import HTTPException, WebSocketException

from consumers.clock import move_on_after
from consumers.errors import (
    ConnectionClosed,
    InvalidMessage,
    LayerUnavailable,
    MessageError,
    NotAllowed,
    StateError,
)
from consumers.over_limit import exceeded
from consumers.state import CLOSING

if TYPE_CHECKING:
    from consumers.codecs import Event
    from consumers.consumer import WebSocketConsumer
    from consumers.handlers.call import Call
    from consumers.protocol.reading import PlainReader
    from consumers.protocol.writing import Answers, Id

    from .runtime import Runtime

__all__ = ["Answering", "TookTooLong", "answer_error", "in_time"]

_OWN_ENDS: Final = (
    ConnectionClosed,
    HTTPException,
    InvalidMessage,
    LayerUnavailable,
    WebSocketException,
)
"""What a method may raise to end the connection, or because it has ended."""


class Answering:
    """The answers of one connection."""

    __slots__ = ("_consumer", "_reader", "_runtime", "_streams", "answers")

    def __init__(
        self, runtime: Runtime, reader: PlainReader | None, answers: Answers
    ) -> None:
        """Answer a connection's messages; see `Dispatch`."""
        self._runtime = runtime
        self._consumer = runtime.consumer
        self._reader = reader
        self._streams: set[Call] = set()  # that run
        self.answers = answers
        """How answers are written."""

    async def _answer(self, call: Call) -> None:
        """Call the method, and send what it answers.

        Raises:
            Exception: What the method raised, if that ends the connection.
        """
        try:
            result = await self._result(call)
            answer = self._written(call, result)
        except MessageError as error:
            answer = self._failed(call, error)
        except NotAllowed:
            answer = self._failed(call, MessageError("not_allowed"))
        except Exception as error:
            answer = await self._instead(call.id, error)
        if answer is not None and self._consumer._stage is not CLOSING:
            await self._send(answer)
        call.answered = True

    async def _instead(self, name: Id, error: Exception) -> Event:
        """Return what is sent in place of an answer.

        Raises:
            Exception: The error, if it ends the connection.
        """
        if isinstance(error, MessageError):
            return self.answers.error(name, error)
        if isinstance(error, NotAllowed):
            return self.answers.error(name, MessageError("not_allowed"))
        if name is not None and not isinstance(error, _OWN_ENDS):
            await self._say_internal(name)
        raise error

    async def _say_internal(self, name: Id) -> None:
        # The error must come out whatever becomes of this, and though it was raised by
        # the clean-up of what was cancelled.
        event = self.answers.error(name, MessageError("internal"))
        timeout = self._consumer._bounds.close_timeout
        with CancelScope(shield=True), move_on_after(timeout):
            await self._send_quietly(event)

    def end(self) -> None:
        """Take note that the connection ends."""

    def _written(self, call: Call, result: Any) -> Event | None:
        """Return what is sent of a result."""
        if call.receiver.streams:
            return self.answers.done(call.id)
        if self._reader is None:  # on_receive sends by itself
            return None
        return self.answers.reply(call.id, result)

    def _failed(self, call: Call, error: MessageError) -> Event:
        """Return what is sent of an error."""
        return self.answers.error(call.id, error)

    async def _result(self, call: Call) -> Any:
        receiver = call.receiver
        method: Callable[..., Any] = getattr(self._consumer, receiver.name)
        if receiver.is_plain and self._consumer._bounds.handler_timeout is None:
            return await method(call.message)
        given: tuple[Any, ...] = (call.message,)
        if receiver.fields is not None:
            fields = {name: getattr(call.message, name) for name in receiver.fields}
            method, given = partial(method, **fields), ()
        if receiver.streams:
            method = partial(self._stream, call, method)
            if call.scope is None:
                self._runtime.read_ahead()
        elif receiver.receiving.thread:
            method = partial(_in_thread, method)
        work = self._runtime.hooks.call(receiver.signature, method, {}, *given)
        timeout = receiver.receiving.timeout
        if timeout is None and not receiver.streams:
            timeout = self._consumer._bounds.handler_timeout
            if self._reader is None and self._consumer.protocol is None and timeout:
                return await in_time(self._consumer, timeout, lambda: work)
        if timeout is None:
            return await work
        with move_on_after(timeout):
            return await work
        _note_late(self._consumer, timeout)
        raise MessageError("timeout")

    async def _stream(
        self,
        call: Call,
        method: Callable[..., AsyncIterator[Any]],
        *given: Any,
        **named: Any,
    ) -> None:
        self._streams.add(call)
        try:
            async with aclosing(method(*given, **named)) as items:  # type: ignore[type-var]
                async for item in items:
                    event = self.answers.item(call.id, item)
                    if event is not None:
                        await self._send(event)
        finally:
            self._streams.discard(call)

    # -- sending --------------------------------------------------------------------

    async def _send(self, event: Event) -> None:
        await self._consumer._transmit(event)

    def post(self, event: Event) -> None:
        """Send an event without waiting for it."""
        self._runtime.spawn(partial(self._send_quietly, event))

    async def _send_quietly(self, event: Event) -> None:
        with suppress(ConnectionClosed, StateError):
            await self._send(event)


async def _in_thread(method: Callable[..., Any], *given: Any, **named: Any) -> Any:
    return await anyio.to_thread.run_sync(partial(method, *given, **named))


class TookTooLong(WebSocketException):
    """Ends the connection of a message that was not handled in time."""

    def __init__(self) -> None:
        super().__init__(1013, "a message took too long")


async def in_time(
    consumer: WebSocketConsumer,
    seconds: float,
    handle: Callable[..., Awaitable[Any]],
    *given: Any,
) -> Any:
    """Return what a hook does, or close the connection where it takes too long.

    Raises:
        TookTooLong: It did.
    """
    with move_on_after(seconds):
        return await handle(*given)
    _note_late(consumer, seconds)
    raise TookTooLong


def _note_late(consumer: WebSocketConsumer, seconds: float) -> None:
    text = "did not handle a message within %g s"
    exceeded("handler_timeout", text, seconds, by=consumer)


async def answer_error(
    consumer: WebSocketConsumer, error: MessageError | NotAllowed
) -> None:
    """Send what ``on_receive`` has raised to who sent the message."""
    if isinstance(error, NotAllowed):
        error = MessageError("not_allowed")
    with suppress(ConnectionClosed):
        await consumer._transmit(consumer._plan.answers.error(None, error))
