"""Lines of a log that strangers can cause: of each subject at most one a second."""

from __future__ import annotations

from collections.abc import Callable
from logging import Logger
from time import monotonic
from typing import Final

__all__ = ["Seldom"]

_SECOND: Final = 1.0


class Seldom:
    """Logs warnings of one subject, at most one a second.

    What is held back is counted, and told by the next line. Whoever can cause a line
    could fill a disk otherwise.
    """

    def __init__(
        self, logger: Logger, *, time: Callable[[], float] = monotonic
    ) -> None:
        """Begin with nothing logged; ``time`` returns seconds, of any start."""
        self._logger = logger
        self._time = time
        self._next = -float("inf")
        self._held_back = 0

    def warn(self, text: str, *values: object) -> None:
        """Log ``text % values``, unless there was a line within the last second."""
        now = self._time()
        if now < self._next:
            self._held_back += 1
            return
        self._next = now + _SECOND
        if self._held_back:
            text, values = f"{text} (and %d more before)", (*values, self._held_back)
            self._held_back = 0
        self._logger.warning(text, *values)
