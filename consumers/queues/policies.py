"""Outbox policies: what becomes of publications to a client that reads too slowly.

A policy belongs to a group, and bounds what waits of that group for each connection by
itself. Direct messages are never dropped, whatever the policy.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Literal, TypeAlias

from consumers.errors import ConfigurationError, shorten

__all__ = [
    "DEFAULT_POLICY",
    "CloseWhenFull",
    "Coalesce",
    "DropNewest",
    "DropOldest",
    "Loss",
    "Policy",
]

log: Final = logging.getLogger("consumers")

Loss: TypeAlias = Literal[
    "dropped_oldest", "dropped_newest", "superseded", "overflowed", "given_up"
]
"""What can become of a publication that waits, by the name of its counter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bounded:
    """What all policies have: bounds per connection and group."""

    lossy: ClassVar[bool] = False
    """Whether a client can miss a publication and not be told."""

    messages: int | None = None
    """How many publications of the group may wait for one connection.

    ``None``: as many as ``limits.outbox_messages`` allows for the connection as a
    whole, which always applies too."""

    bytes: int | None = None
    """How many bytes of them may wait; ``None``: ``limits.outbox_bytes``."""

    def __post_init__(self) -> None:
        for name in ("messages", "bytes"):
            value: object = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            if value is not None and not (whole and value > 0):  # type: ignore[operator]
                raise ConfigurationError(
                    f"{name} of {type(self).__name__} must be a positive whole number, "
                    f"got {value!r}; None leaves it to the connection's limits"
                )

    @property
    def is_plain(self) -> bool:
        """Whether only the connection's limits count."""
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseWhenFull(_Bounded):
    """Close a connection that reads too slowly, with 1013: it comes back and resumes.

    What every group does that declares nothing else. Who stays connected gets every
    publication.

    Raises:
        ConfigurationError: A bound is not a positive whole number.
    """

    @property
    def is_plain(self) -> bool:
        """Whether only the connection's limits count."""
        return self.messages is None and self.bytes is None


@dataclass(frozen=True, slots=True, kw_only=True)
class DropOldest(_Bounded):
    """Drop the group's oldest publication that waits, to make room for the new one.

    For what is soon out of date: prices, positions, a log's tail. Where none of the
    group waits, so that others take all the room, the new one is dropped.

    Raises:
        ConfigurationError: A bound is not a positive whole number.
    """

    lossy: ClassVar[bool] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class DropNewest(_Bounded):
    """Drop the new publication where there is no room for it.

    For what makes sense from its beginning, or not at all.

    Raises:
        ConfigurationError: A bound is not a positive whole number.
    """

    lossy: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Coalesce(_Bounded):
    """Keep only the latest publication per key: what waits is replaced by a newer one.

    ::

        Group("board.{name}", outbox=Coalesce("user", every=1 / 30, batch=True))

    A client always gets the last one of every key, in the order of their last change.
    Where too many different keys wait, the connection is closed with 1013, as with
    :class:`CloseWhenFull`.

    Raises:
        ConfigurationError: An argument can't work.
    """

    key: str | Callable[[Any], Hashable] | None = None
    """What tells messages apart that replace each other: an attribute's name, or a
    dict's key, or a function of the message. ``None``: each replaces the one before.

    A message without that attribute, or for which the function returns ``None``, is
    not replaced, and keeps its place."""

    every: float = field(default=0.0, kw_only=True)
    """Seconds between two deliveries to the group's members, in this process.

    The first publication after a pause is delivered at once, and then the latest per
    key at most so often. 0: each is delivered at once, and only what waits for slow
    clients is coalesced."""

    batch: bool = field(default=False, kw_only=True)
    """Whether what is delivered together is sent as one message, an array of the latest
    messages. By JSON and MessagePack; other types send them one by one."""

    _failed: list[object] = field(
        default_factory=list, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        # By name, since `slots=True` makes another class than the one `super()` knows.
        _Bounded.__post_init__(self)
        key: object = self.key
        if (
            key is not None
            and not callable(key)
            and (not isinstance(key, str) or not key)
        ):
            raise ConfigurationError(
                "the key of Coalesce must be an attribute's name or a function of the "
                f"message, got {key!r}; None keeps one message for the whole group"
            )
        every: object = self.every
        number = isinstance(every, int | float) and not isinstance(every, bool)
        if not number or not 0 <= every < math.inf:  # type: ignore[operator]
            raise ConfigurationError(
                "every= of Coalesce must be a number of seconds, "
                f"got {every!r}; 1 / 30 delivers thirty times a second"
            )
        if self.batch and not every:
            raise ConfigurationError(
                "Coalesce with batch=True must say how often a batch is delivered, "
                f"got every={every!r}; write every=1 / 30"
            )

    def key_of(self, message: object) -> Hashable | None:
        """Return the key of a message; ``None``: it has none and replaces nothing.

        A function that raises, or returns what can't be hashed, gives none, and is
        logged the first time.
        """
        key = self.key
        if key is None:
            return _THE_ONE
        try:
            if isinstance(key, str):
                if isinstance(message, Mapping):
                    found: Hashable | None = message.get(key)
                else:
                    found = getattr(message, key, None)
            else:
                found = key(message)
            hash(found)
        except Exception:
            if not self._failed:
                self._failed.append(message)
                log.exception("no key to coalesce by: %r of %s", key, shorten(message))
            return None
        return found


_THE_ONE: Final = ""

Policy: TypeAlias = CloseWhenFull | DropOldest | DropNewest | Coalesce
"""What a group can declare as its ``outbox``."""

DEFAULT_POLICY: Final = CloseWhenFull()
"""What applies where a group declares none."""
