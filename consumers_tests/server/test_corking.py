"""What is gathered is written at the loop's next turn."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from consumers.server.corking import Cork
from consumers_tests.server.driven import VIRTUAL


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return VIRTUAL


class Corked:
    """A connection that counts how often it is flushed."""

    def __init__(self, fails: bool = False) -> None:
        self.flushed = 0
        self.fails = fails

    def flush(self) -> None:
        self.flushed += 1
        if self.fails:
            raise ZeroDivisionError


async def test_each_one_is_flushed_at_the_next_turn() -> None:
    """All that are held are flushed once, and not before the turn."""
    cork = Cork(asyncio.get_running_loop())
    one, two = Corked(), Corked()
    cork.hold(one)
    cork.hold(two)
    assert (one.flushed, two.flushed) == (0, 0)

    await anyio.lowlevel.checkpoint()
    assert (one.flushed, two.flushed) == (1, 1)

    await anyio.lowlevel.checkpoint()
    assert (one.flushed, two.flushed) == (1, 1)


async def test_who_is_held_by_a_flush_has_the_turn_after() -> None:
    """A flush that makes somebody gather again does not go on for ever."""
    cork = Cork(asyncio.get_running_loop())

    class Again(Corked):
        def flush(self) -> None:
            super().flush()
            if self.flushed < 3:
                cork.hold(self)

    again = Again()
    cork.hold(again)

    for count in (1, 2, 3, 3):
        await anyio.lowlevel.checkpoint()
        assert again.flushed == count


async def test_one_that_fails_keeps_no_other_from_its_turn() -> None:
    """An exception goes to the loop, and the others are flushed all the same."""
    told: list[Any] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, what: told.append(what["exception"]))
    cork = Cork(loop)
    others = Corked(), Corked()
    for each in (others[0], Corked(fails=True), others[1]):
        cork.hold(each)

    await anyio.lowlevel.checkpoint()
    await anyio.lowlevel.checkpoint()

    assert [each.flushed for each in others] == [1, 1]
    assert [type(each) for each in told] == [ZeroDivisionError]
