"""Who is pinged when, and whose answer is due: in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from consumers.server.keepalive import Keepalive
from consumers_tests.server.driven import VIRTUAL


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return VIRTUAL


class Pinged:
    """A connection that notes when it is pinged and given up."""

    def __init__(self, keepalive: Keepalive, answers: float | None = 0.0) -> None:
        self.keepalive = keepalive
        self.answers = answers
        self.pings: list[float] = []
        self.gone: float | None = None

    def ping(self) -> None:
        loop = asyncio.get_running_loop()
        self.pings.append(round(loop.time(), 1))
        if self.answers is not None:
            loop.call_later(self.answers, self.keepalive.answered, self)

    def not_answered(self) -> None:
        self.gone = round(asyncio.get_running_loop().time(), 1)


def watching(interval: float | None, timeout: float | None) -> Keepalive:
    return Keepalive(asyncio.get_running_loop(), interval, timeout)


async def test_who_answers_is_pinged_again() -> None:
    """The next ping follows the answer by the interval."""
    keepalive = watching(20.0, 20.0)
    alive = Pinged(keepalive, answers=1.0)
    keepalive.watch(alive)

    await anyio.sleep(65)

    assert alive.pings == [20.0, 41.0, 62.0]
    assert alive.gone is None


async def test_who_does_not_answer_is_given_up() -> None:
    """Its time is up when interval and timeout are over, and nothing follows."""
    keepalive = watching(20.0, 5.0)
    dead = Pinged(keepalive, answers=None)
    keepalive.watch(dead)

    await anyio.sleep(100)

    assert (dead.pings, dead.gone) == ([20.0], 25.0)


async def test_a_long_timeout_delays_no_ping() -> None:
    """Where answers have longer than the interval, pings come in time all the same."""
    keepalive = watching(1.0, 60.0)
    quick, slow = Pinged(keepalive), Pinged(keepalive, answers=None)
    keepalive.watch(slow)
    keepalive.watch(quick)

    await anyio.sleep(4.5)
    late = Pinged(keepalive)
    keepalive.watch(late)
    await anyio.sleep(2)

    assert quick.pings == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert late.pings == [5.5, 6.5]


async def test_without_a_timeout_nobody_is_given_up() -> None:
    """Without a timeout pings go out at the interval, answered or not."""
    keepalive = watching(10.0, None)
    dead = Pinged(keepalive, answers=None)
    keepalive.watch(dead)

    await anyio.sleep(35)

    assert (dead.pings, dead.gone) == ([10.0, 20.0, 30.0], None)


async def test_without_an_interval_nobody_is_pinged() -> None:
    """Without an interval there is no timer at all."""
    keepalive = watching(None, 5.0)
    quiet = Pinged(keepalive)
    keepalive.watch(quiet)

    await anyio.sleep(100)

    assert (quiet.pings, quiet.gone) == ([], None)


async def test_who_is_forgotten_is_left_alone() -> None:
    """Neither a ping nor a deadline reaches who was forgotten; others go on."""
    keepalive = watching(10.0, 5.0)
    before, after, other = (Pinged(keepalive, None) for _ in range(3))
    for each in (before, after, other):
        keepalive.watch(each)
    keepalive.forget(before)
    await anyio.sleep(11)
    keepalive.forget(after)
    keepalive.answered(after)  # too late to be of use

    await anyio.sleep(50)

    assert (before.pings, before.gone) == ([], None)
    assert (after.pings, after.gone) == ([10.0], None)
    assert (other.pings, other.gone) == ([10.0], 15.0)


async def test_it_can_begin_again() -> None:
    """After the last one was forgotten the next one is pinged as the first was."""
    keepalive = watching(10.0, 5.0)
    first, second = Pinged(keepalive), Pinged(keepalive)
    keepalive.watch(first)
    keepalive.forget(first)
    await anyio.sleep(30)

    keepalive.watch(second)
    await anyio.sleep(11)

    assert second.pings == [40.0]


async def test_one_that_fails_stops_no_other() -> None:
    """An exception goes to the loop; those that are due with it get their ping."""

    class Failing(Pinged):
        def ping(self) -> None:
            raise ZeroDivisionError

    told: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: told.append(what))
    keepalive = watching(10.0, 5.0)
    failing, other = Failing(keepalive), Pinged(keepalive)
    keepalive.watch(failing)
    keepalive.watch(other)

    await anyio.sleep(25)

    assert [type(each["exception"]) for each in told] == [ZeroDivisionError]
    assert [round(ping) for ping in other.pings] == [10, 20]
