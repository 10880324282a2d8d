"""Rates: how much may come per second, and at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Bucket", "Rate"]


@dataclass(frozen=True, slots=True)
class Rate:
    """So many per second on average, and ``burst`` of them at once.

    Raises:
        ValueError: One is not a positive number (the caller's fault).
    """

    per_second: float
    """How many come back in a second."""

    burst: int
    """How many there are at first, and at most."""

    def __post_init__(self) -> None:
        for name, kind in (("per_second", int | float), ("burst", int)):
            value = getattr(self, name)
            number = isinstance(value, kind) and not isinstance(value, bool)
            if not number or not 0 < value < math.inf:
                whole = "whole " if kind is int else ""
                raise ValueError(
                    f"a rate's {name} must be a positive {whole}number, got {value!r}; "
                    "write Rate(per_second=100, burst=500)"
                )


class Bucket:
    """A bucket of tokens, which is filled when somebody looks.

    Taking is done by subtracting from ``left``, with no look at a clock; only where
    that has gone below zero is it to be filled. What has come since it was filled last
    is at most ``burst``: over any time t no more than ``2 * burst + per_second * t``
    can be taken.
    """

    __slots__ = ("_since", "left", "rate")

    def __init__(self, rate: Rate, now: float) -> None:
        """Begin with a full bucket; ``now`` is in seconds."""
        self.rate = rate
        """How it is filled."""
        self._since = now
        self.left: float = rate.burst
        """The tokens in it; below zero: what is owed."""

    def fill(self, now: float) -> bool:
        """Add what has come by now; tell whether nothing is owed."""
        came = (now - self._since) * self.rate.per_second
        self._since = now
        self.left = min(self.left + came, self.rate.burst)
        return self.left >= 0

    def reset(self) -> None:
        """Make it full, as at the time of the last filling."""
        self.left = self.rate.burst

    def wait(self, now: float) -> float:
        """Return the seconds until nothing is owed."""
        owed = -self.left - (now - self._since) * self.rate.per_second
        return max(owed, 0.0) / self.rate.per_second
