"""`Client`: messages, requests, streams and subscriptions over one URL."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from types import TracebackType, UnionType
from typing import Any, Final, Self, TypeVar, overload

from anyio import CancelScope, EndOfStream, create_task_group
from anyio.abc import TaskGroup

from consumers.clock import move_on_after
from consumers.close import check_code, check_reason
from consumers.errors import StateError
from consumers.history import Position
from consumers.protocol.frames import Message, Request

from .connections import QUIET, Connections
from .errors import Closed, UnexpectedMessage
from .outgoing import Call
from .parts import Parts
from .reconnecting import Reconnect
from .state import State
from .stream import Stream
from .subscription import Subscription
from .transport import Dial

__all__ = ["Client"]

T = TypeVar("T")

_LEAVING: Final = 1.0
"""Seconds for the goodbye of a client whose program has failed, or is cancelled."""
_LONGEST_KEY: Final = 128


class Client:
    """A connection to one URL that is made again whenever it is lost.

    From ``async with connect(url) as client``, which begins at once, without waiting
    for the server: what is sent meanwhile waits, up to a bound. Everything that the
    client does ends with the context.
    """

    def __init__(
        self,
        url: str,
        parts: Parts,
        dial: Dial,
        *,
        messages: Any,
        headers: Mapping[str, str],
        reconnect: Reconnect | None,
    ) -> None:
        """Prepare one; see :func:`consumers.client.connect`."""
        self.url: Final = url
        """Where it connects to."""
        self._parts = parts
        self._messages = messages
        self._connections = Connections(parts, dial, url, headers, reconnect)
        self._id = secrets.token_hex(16)
        self._entered = False
        self._tasks: TaskGroup

    async def __aenter__(self) -> Self:
        if self._entered:
            raise StateError("a client can be entered once; connect() makes another")
        self._entered = True
        self._tasks = await create_task_group().__aenter__()
        self._tasks.start_soon(self._connections.serve)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                await self.close()
            else:
                with CancelScope(shield=True), move_on_after(_LEAVING):
                    await self._connections.leave(1000, "")
        finally:
            self._connections.finish(Closed(1000))
            self._tasks.cancel_scope.cancel()
            # Without the error, which the task group would wrap into a group.
            await self._tasks.__aexit__(None, None, None)

    # How it stands.

    @property
    def state(self) -> State:
        """How it stands with the server."""
        return self._connections.states.current

    @property
    def connection(self) -> str | None:
        """The server's id of the connection that is live; ``None``: none is."""
        return self._connections.id

    def states(self) -> AsyncIterator[State]:
        """Yield the state now, and each that follows; end after ``"closed"``."""
        return self._connections.states.follow()

    async def ready(self) -> None:
        """Wait until a connection is live. Cancelling is safe.

        Raises:
            Closed: The client is closed for good.
        """
        async for state in self.states():
            if state.name == "live":
                return
        raise self._connections.why_closed

    # What is sent.

    async def send(self, message: Any) -> None:
        """Send a message that nobody answers; without a connection it waits for one.

        It is sent at most once: one that is on its way when a connection breaks may be
        lost. What must arrive is a :meth:`request`. Cancelling is safe: it is then not
        sent.

        Raises:
            MessageNotEncodable: The codec can't send this value.
            OfflineFull: There is no connection, and too many messages wait for one.
            Closed: The client is closed for good.
        """
        await self._parts.outgoing.send(Message(self._parts.wire.pack(message)))

    @overload
    async def request(
        self,
        message: Any,
        *,
        returns: type[T],
        key: str | None = None,
        deadline: float | None = None,
    ) -> T: ...
    @overload
    async def request(
        self,
        message: Any,
        *,
        returns: UnionType | Any = Any,
        key: str | None = None,
        deadline: float | None = None,
    ) -> Any: ...
    async def request(
        self,
        message: Any,
        *,
        returns: Any = Any,
        key: str | None = None,
        deadline: float | None = None,
    ) -> Any:
        """Send a message and return the reply.

        It is sent again after a reconnect until it is answered, always with the same
        key. By it the process that has answered gives the same answer, for up to 5
        minutes, and what the method publishes with ``self.publish`` is published once,
        by whichever process. The method itself may run again: in another process, after
        a restart, or where it was cancelled. Its other effects are to be made once by
        the application, which knows the key as ``self.idempotency_key``.

        Cancelling tells the server to stop; whether it has done it is then open.

        Args:
            message: What is asked.
            returns: The type of the reply.
            key: What tells a repetition, also by another client of the same user;
                chosen at random if left out. 1-128 characters that nobody else can
                guess.
            deadline: Seconds that the reply may take, connecting included;
                ``math.inf``: any time; ``None``: the client's.

        Raises:
            MessageError: The server has answered with an error.
            TimeoutError: It has not answered in time, and was told to stop.
            UnexpectedMessage: The reply is not of the expected type.
            MessageNotEncodable: The codec can't send the message.
            OfflineFull: There is no connection, and too many messages wait for one.
            Closed: The client is closed for good.
        """
        outgoing, wire = self._parts.outgoing, self._parts.wire
        seconds = self._parts.deadline if deadline is None else deadline
        number = outgoing.number()
        call = Call(number, Request(number, wire.pack(message), self._key(key)))
        outgoing.call(call)
        try:
            with move_on_after(seconds) as scope:
                raw = await call.inbox.get()
        except EndOfStream:
            raise UnexpectedMessage(
                returns, "got an empty stream; use client.stream()"
            ) from None
        finally:
            outgoing.give_up(call)
        if scope.cancelled_caught:
            raise TimeoutError(f"no reply came within {seconds:g} seconds")
        return wire.convert(raw, returns)

    @overload
    def stream(self, message: Any, *, returns: type[T]) -> Stream[T]: ...
    @overload
    def stream(
        self, message: Any, *, returns: UnionType | Any = Any
    ) -> Stream[Any]: ...
    def stream(self, message: Any, *, returns: Any = Any) -> Stream[Any]:
        """Return a context that sends a message and yields the items of the answer.

        Streams are not asked for again after a reconnect: they raise `ConnectionLost`.

        Args:
            message: What is asked.
            returns: The type of the items.

        Raises:
            MessageNotEncodable: The codec can't send the message.
        """
        return Stream(self._parts, self._parts.wire.pack(message), returns)

    # What comes.

    @overload
    async def receive(self, kind: type[T]) -> T: ...
    @overload
    async def receive(self, kind: UnionType | Any = None) -> Any: ...
    async def receive(self, kind: Any = None) -> Any:
        """Wait for the next message that the server pushes.

        That includes what is published to groups that the application has put this
        client into by itself, with ``self.join``.

        Cancelling is safe: no message is lost.

        Args:
            kind: Its type; ``None``: what ``connect(messages=…)`` says.

        Raises:
            UnexpectedMessage: It is not of that type.
            Overflow: Messages before it are lost: they were not read fast enough.
            Closed: The client is closed for good.
        """
        try:
            raw = await self._parts.messages.get()
        except EndOfStream:
            raise self._connections.why_closed from None
        kind = self._messages if kind is None else kind
        return self._parts.wire.convert(raw, kind)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        """As :meth:`receive`; iterations end when either side closes with 1000."""
        try:
            return await self.receive()
        except Closed as closed:
            if closed.code in QUIET:
                raise StopAsyncIteration from None
            raise

    @overload
    def subscribe(
        self,
        group: object,
        *,
        type: type[T],
        since: Position | str | None = None,
        snapshot: Any = Any,
    ) -> Subscription[T]: ...
    @overload
    def subscribe(
        self,
        group: object,
        *,
        type: UnionType | Any = Any,
        since: Position | str | None = None,
        snapshot: Any = Any,
    ) -> Subscription[Any]: ...
    def subscribe(
        self,
        group: object,
        *,
        type: Any = Any,  # noqa: A002  as in `match`: the word that says it
        since: Position | str | None = None,
        snapshot: Any = Any,
    ) -> Subscription[Any]:
        """Return a context that yields a group's publications, over reconnects too.

        Args:
            group: The group, or its name.
            type: The type of what is published.
            since: Where it goes on, as a `Subscription` of before had it.
            snapshot: The type of the snapshot.

        Raises:
            ValueError: ``since`` is no position.
        """
        since = Position.parse(since) if isinstance(since, str) else since
        return Subscription(self._parts, str(group), since, type, snapshot)

    def answer(self, kind: Any, function: Callable[[Any], Awaitable[Any]]) -> None:
        """Have a function answer the server's requests of a type.

        Each question has a task of its own, which is cancelled when the server gives
        it up or the connection is lost. A ``MessageError`` goes to the server; any
        other exception is logged, and the server gets ``internal``.

        Args:
            kind: A tagged ``msgspec.Struct``, or a union of some.
            function: Takes the question and returns the answer.

        Raises:
            ConfigurationError: The type is none that questions can be told apart by.
        """
        self._parts.answering.add(kind, function)

    # The end.

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close for good. Does nothing if that is done already.

        Messages that wait are sent first, within the client's deadline. Cancelling
        leaves the client closed, without a goodbye.

        Raises:
            ValueError: The code may not be sent, or the reason is too long.
        """
        check_code(code)
        check_reason(reason)
        if self.state.name == "closed":
            return
        try:
            with move_on_after(self._parts.deadline):
                await self._parts.outgoing.drained()
            await self._connections.leave(code, reason)
        finally:
            self._connections.finish(Closed(code, reason))

    def _key(self, key: str | None) -> str:
        if key is None:
            return f"{self._id}-{self._parts.outgoing.number()}"
        if not 0 < len(key) <= _LONGEST_KEY:
            raise ValueError(
                f"a key must have 1-{_LONGEST_KEY} characters, got {len(key)}; "
                "leave it out for one at random"
            )
        return key
