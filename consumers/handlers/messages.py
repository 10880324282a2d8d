"""Messages: how a consumer class says what it receives.

Either by methods that :func:`receives` marks, one for each type of message, or by
``on_receive`` for all of them. What their annotations say decides codec and decoder.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Final, TypeVar, overload

from consumers.codecs import Codec, codec_for, name_for_annotation
from consumers.errors import ConfigurationError

__all__ = ["Internal", "Receiving", "intercepts", "receives", "subscribes"]

HookT = TypeVar("HookT", bound=Callable[..., Any])

_OPTIONS: Final = "__consumers_receives__"
_INTERCEPTS: Final = "__consumers_intercepts__"
_SUBSCRIBES: Final = "__consumers_subscribes__"


class Internal:
    """Marks a type of publication that never goes to a client.

    Only consumers with an ``@intercepts`` method for it get to see it; it is never
    encoded. Works as a second base of a ``msgspec.Struct`` or a dataclass.
    """

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiving:
    """How a method is called with messages: what ``@receives`` has said."""

    tag: str | None = None
    """The type of message whose fields are the method's parameters; ``None``: its one
    parameter is the message, and its annotation the type."""
    concurrency: int | None = None
    """How many of its messages are handled at once, beside the others; ``None``: they
    are handled in order with the others."""
    key: str | Callable[[Any], Hashable] | None = None
    """What messages have in common that are handled one by one: a field of theirs, or
    a function of the message."""
    timeout: float | None = None
    """Seconds after which it is cancelled, and the sender answered with ``timeout``."""
    thread: bool = False
    """Whether it is a plain ``def`` that runs in a worker thread."""


@overload
def receives(hook: HookT, /) -> HookT: ...
@overload
def receives(
    tag: str | None = None,
    /,
    *,
    concurrency: int | None = ...,
    key: str | Callable[[Any], Hashable] | None = ...,
    timeout: float | None = ...,
    thread: bool = ...,
) -> Callable[[HookT], HookT]: ...
def receives(
    hook: Any = None,
    /,
    *,
    concurrency: int | None = None,
    key: str | Callable[[Any], Hashable] | None = None,
    timeout: float | None = None,
    thread: bool = False,
) -> Any:
    """Call a method with the messages of one type, or of a union of them.

    ::

        class Say(msgspec.Struct, tag="say"):
            text: str

        @receives
        async def say(self, message: Say) -> Receipt: ...      # {"type": "say", ...}

        @receives("rename")
        async def rename(self, name: str) -> None: ...         # {"type": "rename", ...}

    What it returns is the reply. An async generator's items are sent one by one, a
    stream that the client can cancel. :class:`~consumers.errors.MessageError` answers
    the sender, and so does a message that does not fit; both keep the connection.
    Further parameters of a method that takes the message are providers.

    Args:
        hook: The method, where the decorator is used without arguments; or the type of
            message whose fields are the method's parameters.
        concurrency: Handle so many of its messages at once, beside all others. Without
            it the messages of a connection are handled one by one, in order.
        key: A field of the message, or a function of it: those with the same value are
            handled one by one, in order. Needs ``concurrency``.
        timeout: Seconds that a call may take.
        thread: Call a synchronous ``def`` in a worker thread. It reaches the connection
            by ``anyio.from_thread.run(self.send, ...)``. A thread can't be cancelled:
            one that runs is waited for.

    ``on_receive`` can be marked too, for ``thread`` alone.

    Raises:
        ConfigurationError: The method is not of the kind that the arguments ask for, or
            they contradict each other.
    """
    tag = hook if isinstance(hook, str) else None
    receiving = Receiving(
        tag=tag, concurrency=concurrency, key=key, timeout=timeout, thread=thread
    )
    if hook is None or tag is not None:
        return lambda method: _marked(method, receiving)
    return _marked(hook, receiving)


def check_kind(method: Any, receiving: Receiving) -> None:
    """Check that a method is of the kind that it is called as.

    Raises:
        ConfigurationError: It is not.
    """
    name = getattr(method, "__name__", method)
    if inspect.isgeneratorfunction(method) and receiving.thread:
        raise ConfigurationError(
            "@receives(thread=True) goes on a 'def' that returns its answer, got the "
            f"generator {name!r}; write 'async def' and leave thread out to answer "
            "with a stream"
        )
    awaited = inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method)
    if awaited is receiving.thread:
        thread = receiving.thread
        wanted, got = ("def", "async def") if thread else ("async def", "def")
        way_out = "leave thread out" if thread else "pass thread=True"
        raise ConfigurationError(
            f"@receives(thread={thread}) goes on '{wanted}', got '{got} {name}'; "
            f"{way_out}"
        )


def _marked(method: Any, receiving: Receiving) -> Any:
    check_kind(method, receiving)
    name = method.__name__
    count: object = receiving.concurrency
    if count is not None and (type(count) is not int or count < 1):
        raise ConfigurationError(
            f"@receives on {name}: concurrency must be a positive whole number, "
            f"got {count!r}"
        )
    if receiving.key is not None and count is None:
        raise ConfigurationError(
            f"@receives on {name}: a key is for messages that are handled at once, got "
            f"{receiving.key!r} alone; pass concurrency=8 with it"
        )
    limit: object = receiving.timeout
    if limit is not None and (
        isinstance(limit, bool) or not isinstance(limit, int | float) or limit <= 0
    ):
        raise ConfigurationError(
            f"@receives on {name}: timeout must be a positive number of seconds, "
            f"got {limit!r}"
        )
    setattr(method, _OPTIONS, receiving)
    return method


def marked_by(method: Any) -> Receiving | None:
    """Return what ``@receives`` has said of a class attribute, if it was marked."""
    return getattr(method, _OPTIONS, None)


def intercepts(method: HookT) -> HookT:
    """Pass publications of one type through a method of each member.

    The method is ``async def`` and takes the publication alone; its annotation says
    which types, one or a union. What it returns is sent to this client in its place,
    and ``None`` sends nothing. Runs in the member's own time: a slow one delays only
    its own connection, and an exception closes only that, with 1011.
    """
    setattr(method, _INTERCEPTS, True)
    return method


def subscribes(group: Any, *, last: int | None = None) -> Callable[[HookT], HookT]:
    """Let clients subscribe to the groups of one declaration, by a method.

    ::

        @subscribes(prices)                        # Group("prices.{market}")
        async def watch(self, market: str) -> Snapshot:
            if market not in self.user.data.markets:
                raise NotAllowed(market)
            return await snapshot_of(market)

    Clients of ``consumers.v1`` then subscribe by themselves; for others ``await
    self.subscribe(prices("oslo"))`` does it. It joins, calls the method with the
    group's parameters, and sends what it returns, ``None`` for nothing: first this
    snapshot, and then every later publication. A parameter ``recovered: bool`` tells
    whether the client gets everything it missed instead, so that no snapshot need be
    made.

    Args:
        group: A `Group`.
        last: How many of the latest publications are sent after the snapshot, where
            nothing is recovered. Needs a group with history.

    Raises:
        ConfigurationError: It is none, or keeps no publications.
    """
    if not hasattr(group, "values_of"):
        raise ConfigurationError(
            f"@subscribes goes with a declared Group, got {group!r}; write "
            "prices = Group('prices.{market}') and @subscribes(prices)"
        )
    if last is not None and (type(last) is not int or last < 1 or not group.history):
        raise ConfigurationError(
            f"@subscribes(last={last!r}) must be a positive whole number, and "
            f"{group!r} a group with history; write Group(pattern, history=History())"
        )

    def mark(method: HookT) -> HookT:
        setattr(method, _SUBSCRIBES, Subscribable(group, last))
        return method

    return mark


@dataclass(frozen=True, slots=True)
class Subscribable:
    """What ``@subscribes`` has said of a method."""

    group: Any
    """The declared group, a `Group`."""
    last: int | None
    """How many of the latest publications are sent where nothing is recovered."""


def subscribed_by(method: Any) -> Subscribable | None:
    """Return what a class attribute was marked with, if it was."""
    return getattr(method, _SUBSCRIBES, None)


def is_interceptor(method: Any) -> bool:
    """Tell whether a class attribute was marked by :func:`intercepts`."""
    return getattr(method, _INTERCEPTS, False) is True


def receiving_of(method: Any, owner: str) -> Receiving:
    """Return how a hook is called.

    Raises:
        ConfigurationError: It is not ``async def`` and not marked for a thread.
    """
    marked = marked_by(method)
    if marked is not None:
        if marked != Receiving(thread=marked.thread):
            raise ConfigurationError(
                f"{owner} takes all messages, so that @receives sets nothing but "
                "'thread' on it; give each type of message a method of its own, or set "
                "the class's 'concurrency'"
            )
        return marked
    if not inspect.iscoroutinefunction(method):
        raise ConfigurationError(
            f"{owner} must be 'async def', got a plain function; write "
            f"'async def {method.__name__}(self, message)', or mark it "
            "@receives(thread=True) to run it in a worker thread"
        )
    return Receiving()


def codecs_of(
    owner: str,
    annotation: Any,
    value_type: str | None,
    receive_type: str | None,
    send_type: str | None,
) -> tuple[Codec, Codec]:
    """Return the codec to receive by and the one to send by.

    Settings come before the annotation, and ``value_type`` stands for both others.

    Raises:
        ConfigurationError: A name is unknown, or contradicts another or the annotation.
    """
    if annotation is inspect.Parameter.empty or annotation is Any:
        annotation = None
    if value_type is not None and (receive_type or send_type):
        raise ConfigurationError(
            f"{owner}: value_type sets receive_type and send_type, got all of them; "
            "set value_type alone, or the other two"
        )
    from_annotation = "text" if annotation is None else name_for_annotation(annotation)
    try:
        receive = codec_for(receive_type or value_type or from_annotation, annotation)
        send = codec_for(send_type or value_type or from_annotation)
    except ConfigurationError as error:
        raise ConfigurationError(f"{owner}: {error}") from error
    return receive, send
