"""Presence: what is declared about it, and what is told of who is there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from consumers.errors import ConfigurationError

__all__ = ["Presence", "PresenceDiff", "Present"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """Declares that a group tells who is in it. All times are in seconds.

    Raises:
        ConfigurationError: A value can't work.
    """

    lease: float = 30.0
    """How long a process that was killed leaves its members behind, at most one and a
    third times this. Renewed at each third of it, all groups of a process at once."""

    linger: float = 2.0
    """How long after leaving somebody is told to have left, unless back by then: a page
    that is reloaded neither leaves nor joins."""

    batch: float = 0.1
    """How long changes are gathered before the members are told of them."""

    def __post_init__(self) -> None:
        for name in ("lease", "linger", "batch"):
            value: object = getattr(self, name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            least = 0.0 if name != "lease" else 0.1
            if not number or not least <= value < math.inf:  # type: ignore[operator]
                raise ConfigurationError(
                    f"a presence's {name} must be at least {least} seconds, "
                    f"got {value!r}"
                )


@dataclass(frozen=True, slots=True)
class Present:
    """Somebody in a group: one user, however many connections, or one nobody."""

    key: str
    """The identity's key; of a connection without an identity its id."""
    connections: tuple[str, ...]
    """The ids of the connections, first joined first."""
    metadata: Any
    """What the latest of them gave to ``join`` or ``update_presence``; as builtins,
    since other processes tell of it too."""


@dataclass(frozen=True, slots=True)
class PresenceDiff:
    """What has changed in a group's presence since it was told last."""

    joined: tuple[Present, ...] = ()
    """Who came. Each with the connection that came."""
    updated: tuple[Present, ...] = ()
    """Who was there and has other metadata now, or was gone so shortly that it was not
    told. To those that came meanwhile they are new."""
    left: tuple[str, ...] = ()
    """The keys of those who are gone."""

    def __bool__(self) -> bool:
        return bool(self.joined or self.updated or self.left)
