"""`Stream`: a request that is answered item by item."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from anyio import EndOfStream
from msgspec import Raw

from consumers.errors import StateError
from consumers.protocol.frames import Request

from .outgoing import Call
from .parts import Parts

__all__ = ["Stream"]

T = TypeVar("T")


class Stream(Generic[T]):
    """What ``client.stream`` returns: an asynchronous context and iterator.

    ::

        async with client.stream(Ask("why?"), returns=Token) as tokens:
            async for token in tokens:
                print(token.text, end="")

    The server begins when the context is entered, and is told to stop when it is left.
    """

    def __init__(self, parts: Parts, message: Raw, kind: Any) -> None:
        self._parts = parts
        self._message = message
        self._kind = kind
        self._call: Call | None = None

    async def __aenter__(self) -> Self:
        """Ask for the stream, once.

        Raises:
            Closed: The client is closed for good.
            OfflineFull: There is no connection, and too many messages wait for one.
            StateError: It was asked for before.
        """
        if self._call is not None:
            raise StateError("a stream can be entered once; ask for another one")
        number = self._parts.outgoing.number()
        self._call = Call(
            number,
            Request(number, self._message),
            streams=self._parts.unread,
        )
        self._parts.outgoing.call(self._call)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._call is not None
        self._parts.outgoing.give_up(self._call)
        self._call.inbox.end()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        """Wait for the next item. Cancelling is safe: none is lost.

        Raises:
            MessageError: The server can't go on with it.
            ConnectionLost: The connection broke; what came before was yielded.
            Overflow: The items are not read fast enough; the server is told to stop.
            UnexpectedMessage: The item is not of the expected type.
            Closed: The client is closed for good.
            StateError: The context was not entered.
        """
        if self._call is None:
            raise StateError("a stream is read inside of its context: async with")
        try:
            raw = await self._call.inbox.get()
        except EndOfStream:
            raise StopAsyncIteration from None
        item: T = self._parts.wire.convert(raw, self._kind)
        return item
