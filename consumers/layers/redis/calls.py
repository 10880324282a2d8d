"""Calls of the scripts: their arguments, and what their replies mean.

Both clients, the one on an event loop and the blocking one, speak to the broker in
these words; how a call gets there is theirs.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from operator import itemgetter
from typing import Any, Final, NamedTuple, TypeAlias

from consumers.history import History, Position
from consumers.layers.contract import Changes, Count, Entry, Kept, Parcel, Replay

from .names import Names
from .scripts import (
    COUNT,
    ENTER,
    EXIT,
    HISTORY,
    HOLD,
    PRESENT,
    PUBLISH,
    RELEASE,
    RENEW,
    Script,
)

__all__ = ["IDEMPOTENCY", "Call", "Calls", "new_epoch", "read_push"]

_PRESENCE: Final = ("nodes", "users", "leaving", "entries")

IDEMPOTENCY: Final = 300.0
"""Seconds for which an idempotency key is known."""

Argument: TypeAlias = str | bytes | int


class Call(NamedTuple):
    """A script to be run, all of whose keys are in the slot of one group."""

    script: Script
    group: str
    keys: tuple[Argument, ...]
    arguments: tuple[Argument, ...]

    def by_sha(self) -> tuple[Argument, ...]:
        """Return the arguments of EVALSHA."""
        return (self.script.sha, len(self.keys), *self.keys, *self.arguments)

    def by_text(self) -> tuple[Argument, ...]:
        """Return the arguments of EVAL, which makes the broker know the script."""
        return (self.script.text, len(self.keys), *self.keys, *self.arguments)


def new_epoch() -> str:
    """Return an epoch that no history has had."""
    return secrets.token_urlsafe(6)


class Calls:
    """Makes calls, and reads their replies, for the groups of one application."""

    def __init__(self, names: Names, node: str, *, sharded: bool = False) -> None:
        """Speak for the layer that is called ``node``.

        ``sharded``: by the channels that a cluster divides among its servers.
        """
        self.names = names
        self.node = node
        self._sharded = sharded

    # -- publications ---------------------------------------------------------------

    def publish(self, parcel: Parcel, run: str, *, retried: bool = False) -> Call:
        """Keep and carry a parcel.

        Args:
            parcel: What.
            run: Which run of the server this is.
            retried: Whether it may have been done already.
        """
        group, history, key = parcel.group, parcel.history, parcel.idempotency_key
        names = self.names
        keys: tuple[str, ...] = (names.key(group, "meta"), names.key(group, "log"))
        if key is not None:
            keys = (*keys, names.key(group, f"once:{key}"))
        return Call(
            PUBLISH,
            group,
            keys,
            (
                "SPUBLISH" if self._sharded else "PUBLISH",
                names.channel(group),
                parcel.payload(),
                parcel.id,
                new_epoch(),
                run,
                int(retried),
                *(("-", "", "") if parcel.transient else _kept_or_as_it_was(history)),
                _ms(IDEMPOTENCY),
            ),
        )

    @staticmethod
    def position(reply: Any) -> Position | None:
        """Read the reply to :meth:`publish`."""
        offset, _, epoch = reply.partition(b":")
        return Position(int(offset), epoch.decode()) if offset else None

    def subscribed(self) -> tuple[Argument, ...]:
        """Return the command that lists the channels that anybody subscribes to."""
        kind = "SHARDCHANNELS" if self._sharded else "CHANNELS"
        return (b"PUBSUB", kind, self.names.channels())

    def subscribers(self, group: str) -> tuple[Argument, ...]:
        """Return the command that counts who subscribes to a group's channel."""
        kind = "SHARDNUMSUB" if self._sharded else "NUMSUB"
        return (b"PUBSUB", kind, self.names.channel(group))

    # -- histories ------------------------------------------------------------------

    def history(
        self,
        group: str,
        history: History,
        run: str,
        *,
        since: Position | None = None,
        limit: int | None = None,
    ) -> Call:
        """Fetch a part of a group's history; see the contract."""
        names = self.names
        return Call(
            HISTORY,
            group,
            (names.key(group, "meta"), names.key(group, "log")),
            (
                new_epoch(),
                run,
                *_kept(history),
                "" if since is None else since.offset,
                "" if since is None else since.epoch,
                -1 if limit is None else limit,
            ),
        )

    @staticmethod
    def replay(reply: Any, since: Position | None, limit: int | None) -> Replay:
        """Read the reply to :meth:`history`."""
        epoch = reply[0].decode()
        position = Position(int(reply[1]), epoch)
        kept, first = [], None
        for identifier, fields in reply[2]:
            offset = int(identifier.partition(b"-")[0])
            if first is None:
                first = int(fields[5]) if len(fields) > 4 else offset - 1
            kept.append(Kept(Position(offset, epoch), fields[1]))
        complete = (
            since is not None
            and since.epoch == epoch
            # What comes first says after which one it came; without any, nobody can
            # have missed one who stands where the history does.
            and since.offset == (position.offset if first is None else first)
        )
        return Replay(tuple(kept[:limit]), position, complete)

    def standing(self, group: str) -> tuple[Argument, ...]:
        """Return the arguments of HMGET that fetch where a group's history stands."""
        return (self.names.key(group, "meta"), "epoch", "offset")

    @staticmethod
    def stands(reply: Any) -> Position | None:
        """Read the reply to that."""
        epoch, offset = reply
        return None if epoch is None else Position(int(offset), epoch.decode())

    # -- presence -------------------------------------------------------------------

    def enter(
        self, group: str, entries: Sequence[Entry], lease: float, *, retried: bool
    ) -> Call:
        """Have connections present."""
        arguments: list[Argument] = [_ms(lease), int(retried)]
        for entry in entries:
            arguments += (entry.connection, entry.user, entry.metadata)
        return self._presence(ENTER, group, *arguments)

    @staticmethod
    def changes(reply: Any, entries: Sequence[Entry]) -> tuple[bytes, Changes]:
        """Read the reply to that: the term of our presence there, and the changes."""
        term, joined, updated = reply
        return term, Changes(
            tuple(entries[index] for index in joined),
            tuple(entries[index] for index in updated),
        )

    def exit(self, group: str, connections: Sequence[str], linger: float) -> Call:
        """Have connections present no longer; the reply is how many this layer has."""
        return self._presence(EXIT, group, _ms(linger), *connections)

    def renew(self, group: str, lease: float) -> Call:
        """Renew a lease on presence."""
        return self._presence(RENEW, group, _ms(lease))

    @staticmethod
    def renewal(reply: Any) -> tuple[bytes | None, tuple[str, ...]]:
        """Read the reply to that: the term, if there is one, and who is gone."""
        term, left = reply
        return term, tuple(user.decode() for user in left)

    def present(self, group: str) -> Call:
        """Fetch who is present."""
        return self._presence(PRESENT, group)

    @staticmethod
    def entries(reply: Any) -> list[Entry]:
        """Read the reply to that."""
        found = sorted(
            (
                _entry(connection.decode(), entry)
                for connection, entry in zip(reply[::2], reply[1::2], strict=True)
            ),
            key=itemgetter(0),
        )
        return [entry for _, entry in found]

    def count(self, group: str) -> Call:
        """Fetch how many are present."""
        return self._presence(COUNT, group)

    @staticmethod
    def counted(reply: Any) -> Count:
        """Read the reply to that."""
        connections, users = reply
        return Count(connections, users)

    def _presence(self, script: Script, group: str, *arguments: Argument) -> Call:
        key = self.names.key
        stem = key(group, "node:")
        keys = [key(group, kind) for kind in _PRESENCE]
        return Call(
            script,
            group,
            (*keys, stem + self.node),
            (stem, self.node, *arguments),
        )

    # -- leases ---------------------------------------------------------------------

    def hold(self, name: str, seconds: float) -> Call:
        """Take or renew a lease; the reply is whether it is held."""
        key = self.names.key(name, "lease")
        return Call(HOLD, name, (key,), (self.node, _ms(seconds)))

    def release(self, name: str) -> Call:
        """Give a lease back."""
        return Call(RELEASE, name, (self.names.key(name, "lease"),), (self.node,))


def read_push(data: bytes) -> tuple[Position | None, bytes]:
    """Return the position and the payload of what comes by a channel.

    Raises:
        ValueError: It is nothing of ours.
    """
    offset, epoch, payload = data.split(b":", 2)
    return (Position(int(offset), epoch.decode()) if offset else None), payload


def _kept_or_as_it_was(history: History | None) -> tuple[Argument, ...]:
    return ("", "", "") if history is None else _kept(history)


def _kept(history: History) -> tuple[int, int, int]:
    return history.size, _ms(history.ttl), _ms(history.remembered)


def _ms(seconds: float) -> int:
    return max(int(seconds * 1000), 1)


def _entry(connection: str, value: bytes) -> tuple[int, Entry]:
    order, node, user, rest = value.split(b":", 3)
    start = int(node)
    end = start + int(user)
    return int(order), Entry(connection, rest[start:end].decode(), rest[end:])
