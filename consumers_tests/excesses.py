"""What a test has exceeded: how often, and what the log says of it."""

from __future__ import annotations

import logging
from typing import Final

import pytest

from consumers import over_limit
from consumers.seldom import Seldom

__all__ = ["Excesses"]

_LOG: Final = logging.getLogger("consumers")


class Excesses:
    """Counts from zero, and sees lines of which the first second never ends.

    So there is exactly one for each limit that was exceeded, however often it was.
    """

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        for limit in over_limit._seldom:
            fresh = Seldom(_LOG, time=lambda: 0.0)
            monkeypatch.setitem(over_limit._seldom, limit, fresh)
        caplog.set_level(logging.WARNING, _LOG.name)
        self._before = over_limit.over_limit.copy()
        self._caplog = caplog

    @property
    def counted(self) -> dict[str, int]:
        """How often each limit was exceeded, of those that were."""
        return dict(over_limit.over_limit - self._before)

    @property
    def lines(self) -> list[str]:
        """The warnings that were logged."""
        return [
            record.getMessage()
            for record in self._caplog.records
            if (record.name, record.levelno) == (_LOG.name, logging.WARNING)
        ]

    @property
    def line(self) -> str:
        """The warning that was logged, which has to be one."""
        (line,) = self.lines
        return line
