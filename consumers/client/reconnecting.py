"""When a client comes back, if at all."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from msgspec import UNSET

from consumers.close import should_return
from consumers.errors import ConfigurationError
from consumers.protocol.frames import Goodbye

__all__ = ["Backoff", "End", "Reconnect"]

_UNAUTHORIZED: Final = 4401
_MOST_DOUBLINGS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconnect:
    """How long a client waits before it connects again.

    A random time up to ``min`` after the first failure, and up to twice as long after
    each other one, so that the clients of a server that was restarted do not come back
    all at once. What a server asks for is waited for first.

    Raises:
        ConfigurationError: A value can't work.
    """

    min: float = 0.5
    """Seconds at most after the first failure."""

    max: float = 30.0
    """Seconds at most, however many attempts have failed."""

    def __post_init__(self) -> None:
        if not 0 < self.min <= self.max < math.inf:
            raise ConfigurationError(
                "reconnecting needs 0 < min <= max seconds, got "
                f"min={self.min!r} and max={self.max!r}"
            )


@dataclass(frozen=True, slots=True)
class End:
    """How a connection ended, or an attempt at one."""

    code: int
    """The close code."""
    reason: str = ""
    """What came with it."""
    goodbye: Goodbye | None = None
    """What the server said before."""
    after: float | None = None
    """The seconds that a refusal over HTTP told to wait."""
    lived: float | None = None
    """For how many seconds it was live; ``None``: it never was."""
    offline: bool = False
    """Whether there seems to be no network."""

    @property
    def wants_token(self) -> bool:
        """Whether another credential could help."""
        return self.code == _UNAUTHORIZED

    @property
    def returns(self) -> bool:
        """Whether the client should come back."""
        if self.goodbye is not None:
            return self.goodbye.reconnect
        return should_return(self.code)

    @property
    def detail(self) -> Any:
        """What the server said beside the code."""
        if self.goodbye is None or self.goodbye.detail is UNSET:
            return None
        return self.goodbye.detail

    @property
    def asked(self) -> float:
        """The seconds that the server wants it to wait at least."""
        after = self.after if self.goodbye is None else self.goodbye.after
        return max(after or 0.0, 0.0)


class Backoff:
    """Counts the attempts, and chooses how long to wait before the next one."""

    def __init__(
        self,
        settings: Reconnect,
        choose: Callable[[], float] = random.random,  # no secret
    ) -> None:
        self.attempt = 0
        """How many have failed since the last connection that lasted."""
        self._settings = settings
        self._choose = choose

    def pause(self, end: End) -> float:
        """Count a failure, and return the seconds to wait.

        A connection counts as a success when it has lasted longer than the pause
        before it could have been: a server that accepts and fails at once is asked
        less and less often.
        """
        if end.lived is not None and end.lived > self._longest(self.attempt):
            self.attempt = 0
        self.attempt += 1
        return end.asked + self._choose() * self._longest(self.attempt)

    def _longest(self, attempt: int) -> float:
        doubled = 2.0 ** min(max(attempt - 1, 0), _MOST_DOUBLINGS)
        return min(self._settings.min * doubled, self._settings.max)
