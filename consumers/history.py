"""History: what a group keeps, and where in it somebody stands.

Each publication to a group with history gets the next offset; the history as a whole
has an epoch, which changes when it was lost. Both together are a position, and whoever
returns with one gets exactly what came after it, or is told that this can't be done.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

from .errors import ConfigurationError

__all__ = ["History", "Position", "Recovery"]

_POSITION: Final = re.compile(r"(\d{1,15})\.([A-Za-z0-9_-]{1,32})")
_DAY: Final = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Declares that a group keeps its last publications.

    Raises:
        ConfigurationError: A value can't work.
    """

    size: int = 100
    """How many publications are kept at most."""

    ttl: float = 3600.0
    """Seconds after the latest publication when all of them are forgotten."""

    remember: float | None = None
    """Seconds without a publication after which the position itself is forgotten.

    Until then who missed nothing is told so, though nothing is kept any more. ``None``:
    a day, or ``ttl`` if that is longer."""

    def __post_init__(self) -> None:
        size: object = self.size
        if not isinstance(size, int) or isinstance(size, bool) or not 0 < size < 10**6:
            raise ConfigurationError(
                f"a history's size must be 1-999999 publications, got {size!r}"
            )
        for name in ("ttl", "remember"):
            value: object = getattr(self, name)
            if name == "remember" and value is None:
                continue
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not 0 < value < math.inf:  # type: ignore[operator]
                raise ConfigurationError(
                    f"a history's {name} must be a positive number of seconds, "
                    f"got {value!r}"
                )
        if self.remember is not None and self.remember < self.ttl:
            raise ConfigurationError(
                "a history must remember its position for at least its ttl, got "
                f"remember={self.remember} with ttl={self.ttl}"
            )

    @property
    def remembered(self) -> float:
        """Seconds that the position outlives the latest publication."""
        return max(self.ttl, _DAY) if self.remember is None else self.remember


class Position:
    """Where in a group's history somebody stands: after the publication ``offset``.

    As a text it is ``"17.k3jx"``: so it is sent in messages of any codec, and so it
    comes in a query parameter that is annotated with this class.
    """

    __slots__ = ("epoch", "offset")

    def __init__(self, offset: int, epoch: str) -> None:
        """Name a position."""
        self.offset: Final = offset
        """The number of the last publication that was got; 0: none."""
        self.epoch: Final = epoch
        """Which history the offset counts in."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Position):
            return NotImplemented
        return self.offset == other.offset and self.epoch == other.epoch

    def __hash__(self) -> int:
        return hash((self.offset, self.epoch))

    def __repr__(self) -> str:
        return f"Position({self.offset}, {self.epoch!r})"

    @classmethod
    def parse(cls, text: str) -> Position:
        """Return the position that a text names.

        Raises:
            ValueError: It names none: the client's fault.
        """
        match = _POSITION.fullmatch(text)
        if match is None:
            raise ValueError("expected a position such as '17.k3jx'")
        return cls(int(match[1]), match[2])

    def __str__(self) -> str:
        return f"{self.offset}.{self.epoch}"


@dataclass(frozen=True, slots=True)
class Recovery:
    """How a return to a group went."""

    recovered: bool
    """Whether the client has everything: what it missed was replayed, all of it.

    ``False``: that can't be told or can't be done; it needs a new snapshot. Always
    false where no position was given."""

    replayed: int = 0
    """How many publications were sent again."""

    position: Position | None = None
    """Where it stands now; ``None``: the group has no history."""
