"""`groups.sync`: groups for threads, without ``await``.

Where the layer is local, what is asked is done on an event loop that has members, or,
without any, on what all event loops share. Where it is not, a blocking client does it,
and no event loop is needed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from weakref import WeakSet

import anyio
from anyio import from_thread
from anyio.lowlevel import EventLoopToken

from consumers.errors import ConfigurationError, StateError
from consumers.history import History, Position
from consumers.layers import Count, Entry, Layer, Parcel, Replay

from .announcing import no_presence, present
from .declaration import user_group
from .observed import observing
from .publication import Publication
from .recovery import Excerpt, no_history, publications_of

if TYPE_CHECKING:
    from .declaration import Target
    from .groups import Groups
    from .presence import Present

__all__ = ["SyncGroups", "run_in"]

T = TypeVar("T")


def run_in(
    loops: set[EventLoopToken],
    token: EventLoopToken,
    function: Callable[..., Coroutine[Any, Any, T]],
    *args: Any,
) -> list[T]:
    """Run a coroutine function in another event loop, from a thread.

    Returns:
        What it returns, as the only item; none where the loop has ended, which then is
        taken out of ``loops``.
    """
    try:
        return [from_thread.run(function, *args, token=token)]
    except anyio.RunFinishedError:
        loops.discard(token)
        return []


class _Client(Protocol):
    """What does without an event loop what a layer does."""

    def publish(self, parcels: Sequence[Parcel]) -> list[Position | None]: ...

    def history(
        self,
        group: str,
        history: History,
        *,
        since: Position | None = None,
        limit: int | None = None,
    ) -> Replay: ...

    def present(self, group: str) -> list[Entry]: ...

    def count(self, group: str) -> Count: ...

    def close(self) -> None: ...


class _Unheard:
    """A local layer that no event loop runs: it keeps, but has nobody to deliver to."""

    def __init__(self, layer: Layer) -> None:
        self._layer = layer

    def publish(self, parcels: Sequence[Parcel]) -> list[Position | None]:
        return _at_once(self._layer.publish(parcels))

    def history(
        self,
        group: str,
        history: History,
        *,
        since: Position | None = None,
        limit: int | None = None,
    ) -> Replay:
        return _at_once(self._layer.history(group, history, since=since, limit=limit))

    def present(self, group: str) -> list[Entry]:
        return _at_once(self._layer.present(group))

    def count(self, group: str) -> Count:
        return _at_once(self._layer.count(group))

    def close(self) -> None:
        """Do nothing: there is nothing open."""


def _at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine returns that never waits, as a local layer's don't."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise AssertionError("a local layer waited")


class SyncGroups:
    """Groups for threads: a synchronous view, a Celery task, a shell.

    The methods are those of ``Groups``. With ``memory://`` each call waits until it is
    carried out on the event loop that has the members. With other URLs it speaks to the
    layer over a socket of its own: threads may share it, a forked child gets another,
    and a call lasts for seconds at most.
    """

    def __init__(self, groups: Groups) -> None:
        """Stand for ``groups``."""
        self._groups = groups
        _made.add(self)

    def close(self) -> None:
        """Close the sockets that no thread is using. The next call opens new ones."""
        self._client.close()

    # -- publishing -----------------------------------------------------------------

    def publish(
        self, group: Target, message: Any, *, idempotency_key: str | None = None
    ) -> Position | None:
        """Send ``message`` to every member of ``group``. As ``Groups.publish``.

        Raises:
            StateError: The call comes from a coroutine, which has to await.
            LayerUnavailable: The layer can't be reached. It was tried for some seconds
                if the group has history, or with an ``idempotency_key``.
        """
        made = self._groups._publication(group, message, idempotency_key)
        return self._publish([made])[0]

    def publish_many(
        self, messages: Iterable[tuple[Target, Any]]
    ) -> list[Position | None]:
        """Send messages, each to its group. As ``Groups.publish_many``."""
        make = self._groups._publication
        return self._publish([make(group, message) for group, message in messages])

    def publish_to_user(self, key: str, message: Any) -> None:
        """Send ``message`` to one user. As ``Groups.publish_to_user``."""
        self._publish([Publication(user_group(key).name, message)])

    def send(self, connection: str, message: Any) -> None:
        """Send ``message`` to one connection. As ``Groups.send``."""
        self._publish([self._groups._direct(connection, message)])

    def disconnect(
        self,
        *,
        user: str | None = None,
        session: str | None = None,
        code: int = 1008,
        reason: str = "",
    ) -> int:
        """Close a user's connections, or a session's. As ``Groups.disconnect``."""
        goodbye = self._groups._goodbye(user, session, code, reason)
        self._check()
        count = sum(self._members(goodbye.group))
        self._publish([goodbye])
        return count

    def _publish(self, publications: Sequence[Publication]) -> list[Position | None]:
        if not self._is_local:
            with observing(self._groups.observers, publications):
                return self._ask(lambda client: client.publish(publications))
        return self._ask(
            lambda client: client.publish(publications),
            partial(self._groups._publish, publications),  # it is told of there
        )

    # -- asking ---------------------------------------------------------------------

    def history(
        self,
        group: Target,
        since: Position | None = None,
        limit: int | None = None,
    ) -> Excerpt:
        """Return what a group has kept. As ``Groups.history``."""
        name = self._groups.resolve(group)
        declared = name.group.history
        if declared is None:
            raise no_history(name)
        replay = self._ask(
            lambda client: client.history(name.name, declared, since=since, limit=limit)
        )
        publications = publications_of(replay, name, self._groups.counters)
        return Excerpt(publications, replay.position, replay.complete)

    def presence(self, group: Target) -> list[Present]:
        """Return who is in ``group``. As ``Groups.presence``."""
        name = self._groups.resolve(group)
        if name.group.presence is None:
            raise no_presence(name)
        return present(self._ask(lambda client: client.present(name.name)))

    def count(self, group: Target, *, users: bool = False) -> int:
        """Return how many connections are members. As ``Groups.count``."""
        name = self._groups.resolve(group)
        if name.group.presence is not None:
            count = self._ask(lambda client: client.count(name.name))
            return count.users if users else count.connections
        if users or not self._is_local:
            raise no_presence(name)
        self._check()
        return sum(self._members(name.name))

    def _members(self, group: str) -> Iterable[int]:
        """Yield how many members a group has on each event loop of this process."""
        groups = self._groups
        for token in list(groups.loops):
            yield from run_in(
                groups.loops, token, groups._there, groups._count_here, group
            )

    # -- ways -----------------------------------------------------------------------

    def _ask(
        self,
        ask: Callable[[_Client], T],
        on_loop: Callable[[], Coroutine[Any, Any, T]] | None = None,
    ) -> T:
        """Ask the client, or, for what concerns members, the event loop that has them.

        From one event loop, every call reaches the members on all of them.
        """
        self._check()
        if on_loop is not None and self._is_local:
            for token in list(self._groups.loops):
                for result in run_in(self._groups.loops, token, on_loop):
                    return result
        return ask(self._client)

    def _check(self) -> None:
        if _in_event_loop():
            raise StateError(
                "groups.sync is for threads, got a call from a coroutine, which would "
                "wait for itself; write await groups.publish(...)"
            )

    @property
    def _is_local(self) -> bool:
        return self._groups.url == "memory://" and not self._groups.has_own_layer

    @cached_property
    def _client(self) -> _Client:
        if self._is_local:
            return _Unheard(self._groups._make_layer())
        if self._groups.has_own_layer:
            raise ConfigurationError(
                "groups.sync must have memory:// or the URL of a Redis or Valkey, got "
                "Groups(layer=...), for which there is no blocking client; publish "
                "from an event loop"
            )
        try:
            from consumers.layers.redis.address import Address
            from consumers.layers.redis.blocking import BlockingClient
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                "groups.sync must have a client for the layer, got no module named "
                f"{error.name!r}; pip install 'anyio-consumers[redis]'"
            ) from error
        return BlockingClient(Address.parse(self._groups.url))


def _in_event_loop() -> bool:
    try:
        anyio.get_current_task()
    except RuntimeError:
        # Not only NoEventLoopError: a thread that runs in a copy of a coroutine's
        # context, as Django's views do, takes the backend that it names for its own.
        return False
    return True


_made: WeakSet[SyncGroups] = WeakSet()


def _forked() -> None:
    # The event loops of the parent don't run in its child: a call would wait for ever.
    for made in list(_made):
        made._groups.loops.clear()


if hasattr(os, "register_at_fork"):  # everywhere but on Windows, which can't fork
    os.register_at_fork(after_in_child=_forked)
