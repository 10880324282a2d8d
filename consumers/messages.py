"""Messages: how a consumer class says what it receives.

``on_receive``'s annotation decides the codec and the decoder; :func:`receives` sets how
it is called.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar, overload

from .codecs import Codec, codec_for, name_for_annotation
from .errors import ConfigurationError

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


@dataclass(frozen=True, slots=True)
class Receiving:
    """How one hook is called with messages."""

    thread: bool = False
    """Whether it is a plain ``def`` that runs in a worker thread."""


@overload
def receives(hook: HookT, /) -> HookT: ...
@overload
def receives(*, thread: bool = ...) -> Callable[[HookT], HookT]: ...
def receives(hook: Any = None, /, *, thread: bool = False) -> Any:
    """Say how ``on_receive`` is called.

    Args:
        hook: The method, where the decorator is used without arguments.
        thread: Call a synchronous ``def on_receive`` in a worker thread. It reaches the
            connection by ``anyio.from_thread.run(self.send, ...)``. A thread can't be
            cancelled: one that runs is waited for.

    Raises:
        ConfigurationError: The method is not of the kind that the arguments ask for.
    """
    if hook is None:
        return lambda method: _marked(method, thread=thread)
    return _marked(hook, thread=thread)


def _marked(method: Any, *, thread: bool) -> Any:
    if inspect.iscoroutinefunction(method) is thread:
        wanted, got = ("def", "async def") if thread else ("async def", "def")
        name = getattr(method, "__name__", method)
        way_out = "leave thread out" if thread else "pass thread=True"
        raise ConfigurationError(
            f"@receives(thread={thread}) goes on '{wanted}', got '{got} {name}'; "
            f"{way_out}"
        )
    setattr(method, _OPTIONS, Receiving(thread=thread))
    return method


def intercepts(method: HookT) -> HookT:
    """Pass publications of one type through a method of each member.

    The method is ``async def`` and takes the publication; its annotation says which
    types, one or a union. What it returns is sent to this client in its place, and
    ``None`` sends nothing. Runs in the member's own time: a slow one delays only its
    own connection, and an exception closes only that, with 1011.
    """
    setattr(method, _INTERCEPTS, True)
    return method


def subscribes(group: Any) -> Callable[[HookT], HookT]:
    """Let clients subscribe to the groups of one declaration, by a method.

    ::

        @subscribes(prices)                        # Group("prices.{market}")
        async def watch(self, market: str) -> Snapshot:
            if market not in self.user.data.markets:
                raise NotAllowed(market)
            return await snapshot_of(market)

    ``await self.subscribe(prices("oslo"))`` then joins, calls it with the group's
    parameters, and sends what it returns, ``None`` for nothing: first this snapshot,
    and then every later publication. A parameter ``recovered: bool`` tells whether the
    client gets everything it missed instead, so that no snapshot need be made.

    Args:
        group: A `Group`.

    Raises:
        ConfigurationError: It is none.
    """
    if not hasattr(group, "values_of"):
        raise ConfigurationError(
            f"@subscribes goes with a declared Group, got {group!r}; write "
            "prices = Group('prices.{market}') and @subscribes(prices)"
        )

    def mark(method: HookT) -> HookT:
        setattr(method, _SUBSCRIBES, group)
        return method

    return mark


def subscribed_by(method: Any) -> Any:
    """Return the group that a class attribute was marked with, if it was."""
    return getattr(method, _SUBSCRIBES, None)


def is_interceptor(method: Any) -> bool:
    """Tell whether a class attribute was marked by :func:`intercepts`."""
    return getattr(method, _INTERCEPTS, False) is True


def receiving_of(method: Any, owner: str) -> Receiving:
    """Return how a hook is called.

    Raises:
        ConfigurationError: It is not ``async def`` and not marked for a thread.
    """
    marked: Receiving | None = getattr(method, _OPTIONS, None)
    if marked is not None:
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
