"""The blocking client: what threads and forked processes say to the broker.

It needs no event loop. It speaks in the words of :mod:`.calls`, as the layer does, over
connections of its own: one for each thread that is in a call.
"""

from __future__ import annotations

import os
import random
import ssl
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias, TypeVar
from weakref import WeakSet

import redis

from consumers.errors import LayerUnavailable
from consumers.history import History, Position
from consumers.layers.contract import Count, Entry, Parcel, Replay

from .address import Address
from .blocking_servers import Server, Servers
from .calls import Call, Calls
from .names import Names

__all__ = ["BlockingClient"]

PATIENCE: Final = 10.0
"""Seconds for which what may be said twice is said again."""

_DELAYS: Final = (0.05, 1.0)
"""Seconds to wait before it is said again: at first, and at most."""

# What the broker answers when it has not done it, and another one will, or this one
# soon: a cluster that is being changed, a replica that was a primary.
_NOT_DONE: Final = (
    redis.exceptions.AskError,  # MOVED is one, too
    redis.exceptions.ClusterDownError,
    redis.exceptions.NoScriptError,
    redis.exceptions.ReadOnlyError,
    redis.exceptions.TryAgainError,
)
_REFUSED: Final = (
    redis.AuthenticationError,
    redis.exceptions.AuthorizationError,
    ssl.SSLCertVerificationError,
)
"""What does not change by itself, though a connection is what fails."""

Command: TypeAlias = tuple[Any, ...]
T = TypeVar("T")


class _Request:
    """One thing to be asked for, until there is an answer."""

    __slots__ = ("command", "error", "group", "repeats", "reply", "said")

    def __init__(
        self,
        group: str,
        command: Callable[[str, bool], Call | Command],
        *,
        repeats: bool = False,
    ) -> None:
        self.group = group
        self.command = command
        """Makes the command, of the server's run and of ``said``."""
        self.repeats = repeats
        """Whether it may be said again where it is not known whether it was done."""
        self.said = False
        """Whether it may have been done already."""
        self.reply: Any = None
        self.error: Exception | None = None

    def written(self, run: str) -> Command:
        """Return the command as it is sent."""
        command = self.command(run, self.said)
        if not isinstance(command, Call):
            return command
        if isinstance(self.error, redis.exceptions.NoScriptError):
            return ("EVAL", *command.by_text())
        return ("EVALSHA", *command.by_sha())

    def is_lost(self, *, in_cluster: bool) -> bool:
        """Tell whether its error is the end of it."""
        if isinstance(self.error, redis.ResponseError):
            elsewhere = isinstance(self.error, redis.exceptions.AskError)
            return not isinstance(self.error, _NOT_DONE) or (
                elsewhere and not in_cluster
            )
        assert self.error is not None
        causes = (self.error, self.error.__context__)
        return not self.repeats or any(isinstance(each, _REFUSED) for each in causes)


class BlockingClient:
    """Publishes and asks without an event loop; it connects when it is first used.

    Threads may share it. A forked child that has its parent's makes connections of its
    own. Each call ends within some seconds: it returns, or raises ``LayerUnavailable``.
    """

    def __init__(self, address: Address) -> None:
        """Speak to the broker at ``address``."""
        self.address = address
        self._calls = Calls(
            Names(address.prefix, address.db), "", sharded=address.cluster
        )
        self._servers = Servers(address)
        _clients.add(self)

    def close(self) -> None:
        """Close the connections that no thread is using. The next call makes new ones.

        What a forked child has of its parent's stays open in the parent.
        """
        self._servers.close()

    def forked(self) -> None:
        """Begin again in a forked child: no connections, and no lock that is held."""
        self._servers = Servers(self.address)

    # -- what can be asked ----------------------------------------------------------

    def publish(self, parcels: Sequence[Parcel]) -> list[Position | None]:
        """Carry parcels, as the layer's ``publish`` does, in one round trip.

        Those that are kept in a history, or have an idempotency key, are sent again
        while the broker can't be reached, for some seconds, and arrive once.

        Raises:
            LayerUnavailable: The broker can't be reached, or not in time.
        """
        requests = [self._publication(parcel) for parcel in parcels]
        return self._ask(requests, self._calls.position)

    def _publication(self, parcel: Parcel) -> _Request:
        def command(run: str, said: bool) -> Call:
            return self._calls.publish(parcel, run, retried=said)

        once = parcel.history is not None or parcel.idempotency_key is not None
        return _Request(parcel.group, command, repeats=once)

    def history(
        self,
        group: str,
        history: History,
        *,
        since: Position | None = None,
        limit: int | None = None,
    ) -> Replay:
        """Return a part of a group's history, as the layer's ``history`` does."""

        def command(run: str, said: bool) -> Call:
            return self._calls.history(group, history, run, since=since, limit=limit)

        def read(reply: Any) -> Replay:
            return self._calls.replay(reply, since, limit)

        return self._ask([_Request(group, command)], read)[0]

    def positions(self, groups: Sequence[str]) -> list[Position | None]:
        """Return where histories stand, as the layer's ``positions`` does."""

        def standing(group: str) -> _Request:
            command = ("HMGET", *self._calls.standing(group))
            return _Request(group, lambda run, said: command)

        return self._ask([standing(group) for group in groups], self._calls.stands)

    def present(self, group: str) -> list[Entry]:
        """Return who is present, in the order of entering."""
        request = _Request(group, lambda run, said: self._calls.present(group))
        return self._ask([request], self._calls.entries)[0]

    def count(self, group: str) -> Count:
        """Return how many are present."""
        request = _Request(group, lambda run, said: self._calls.count(group))
        return self._ask([request], self._calls.counted)[0]

    # -- how it is asked ------------------------------------------------------------

    def _ask(self, requests: list[_Request], read: Callable[[Any], T]) -> list[T]:
        deadline = time.monotonic() + PATIENCE
        delay, longest = _DELAYS
        pending = requests
        while pending:
            self._attempt(pending)
            pending = [request for request in pending if request.error is not None]
            in_cluster = self.address.cluster
            lost = [each for each in pending if each.is_lost(in_cluster=in_cluster)]
            if lost or (pending and time.monotonic() + delay > deadline):
                raise self._unavailable((lost or pending)[0].error)
            if pending:
                time.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311  no secret
                delay = min(2 * delay, longest)
        return [read(request.reply) for request in requests]

    def _unavailable(self, error: Exception | None) -> LayerUnavailable:
        reason = " ".join(str(error).split()) or type(error).__name__
        text = f"can't reach {self.address}: {reason}"
        if isinstance(error, redis.exceptions.AskError) and not self.address.cluster:
            text = (
                f"{self.address} is one server of a cluster; add '?cluster=true' to "
                "its URL"
            )
        elif isinstance(error, redis.ResponseError):
            text = f"{self.address} refuses: {reason}"
        made = LayerUnavailable(text)
        made.__cause__ = error
        return made

    def _attempt(self, requests: list[_Request]) -> None:
        """Say each request once; afterwards it has a reply, or an error."""
        servers = self._servers
        try:
            divided = servers.divide(requests, lambda request: request.group)
        except redis.RedisError as error:
            _fail(requests, error)
            return
        for server, batch in divided:
            _exchange(server, batch)
        if any(request.error is not None for request in requests):
            servers.look_again()


def _exchange(server: Server, requests: list[_Request]) -> None:
    """Say all requests to one server, and then read all answers."""
    unanswered = list(reversed(requests))
    try:
        with server.connection() as (connection, run):
            commands = [request.written(run) for request in requests]
            connection.send_packed_command(connection.pack_commands(commands))
            while unanswered:
                _read(connection, unanswered[-1])
                unanswered.pop()
    except redis.RedisError as error:
        for request in unanswered:
            request.said = True
        _fail(unanswered, error)


def _read(connection: Any, request: _Request) -> None:
    try:
        request.reply = connection.read_response()
    except redis.ResponseError as error:
        request.error = error
    else:
        request.error = None


def _fail(requests: list[_Request], error: Exception) -> None:
    for request in requests:
        request.error = error


_clients: WeakSet[BlockingClient] = WeakSet()


def _forked() -> None:
    for client in list(_clients):
        client.forked()


if hasattr(os, "register_at_fork"):  # everywhere but on Windows, which can't fork
    os.register_at_fork(after_in_child=_forked)
