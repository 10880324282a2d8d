"""Who has how long for something, on one timer: in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from consumers.server.deadlines import Deadlines
from consumers_tests.server.driven import VIRTUAL


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return VIRTUAL


class Late:
    """Notes who was late, and when."""

    def __init__(self, seconds: float | None) -> None:
        self.loop = asyncio.get_running_loop()
        self.told: list[tuple[str, float]] = []
        self.deadlines = Deadlines[str](self.loop, seconds, self.note)

    def note(self, name: str) -> None:
        self.told.append((name, round(self.loop.time(), 1)))


async def test_each_has_as_long() -> None:
    """Who is not done is told of when its time is over, once; who is done is not."""
    late = Late(10.0)
    late.deadlines.begin("a")
    await anyio.sleep(4)
    late.deadlines.begin("b")
    late.deadlines.begin("c")

    del late.deadlines.waiting["b"]
    await anyio.sleep(50)

    assert late.told == [("a", 10.0), ("c", 14.0)]


async def test_it_can_be_put_off_and_not_begun_twice() -> None:
    """Its time begins anew when it is put off, and does not when it begins again."""
    late = Late(10.0)
    for name in ("off", "again"):
        late.deadlines.begin(name)
    await anyio.sleep(4)
    late.deadlines.put_off("off")
    late.deadlines.begin("again")

    await anyio.sleep(50)

    assert late.told == [("again", 10.0), ("off", 14.0)]


async def test_without_a_limit_nobody_is_late() -> None:
    """``None`` is for ever, and no timer is there."""
    late = Late(None)
    late.deadlines.begin("a")
    late.deadlines.put_off("a")

    await anyio.sleep(1000)

    assert late.told == []
    assert late.deadlines.waiting == {}


async def test_who_is_late_may_get_more_time() -> None:
    """What is called for one may begin its time anew."""
    late = Late(10.0)

    def again(name: str) -> None:
        late.note(name)
        if len(late.told) < 3:
            deadlines.begin(name)

    deadlines = Deadlines[str](late.loop, 10.0, again)
    deadlines.begin("a")

    await anyio.sleep(100)

    assert late.told == [("a", 10.0), ("a", 20.0), ("a", 30.0)]


async def test_one_timer_serves_many() -> None:
    """A thousand who are done in time have one timer, which then runs out."""
    late = Late(10.0)
    timers: Any = late.loop
    before = len(timers._scheduled)
    for n in range(1000):
        late.deadlines.begin(str(n))
        del late.deadlines.waiting[str(n)]

    assert len(timers._scheduled) == before + 1
    await anyio.sleep(11)
    assert len(timers._scheduled) == before


async def test_many_who_are_late_hold_up_nobody() -> None:
    """A thousand who are late at once are dealt with in ten turns, in no time."""
    late = Late(10.0)
    seen = set()

    def look() -> None:
        seen.add(len(late.told))
        if len(late.told) < 1000:
            late.loop.call_soon(look)

    for n in range(1000):
        late.deadlines.begin(str(n))
    late.loop.call_later(10, look)
    await anyio.sleep(11)

    assert seen == {100 * n for n in range(1, 11)}
    assert {when for _, when in late.told} == {10.0}


async def test_one_that_fails_stops_no_other() -> None:
    """An exception goes to the loop; those that are due with it are told of."""
    late = Late(10.0)
    failures: list[Any] = []
    late.loop.set_exception_handler(lambda _, what: failures.append(what))

    def fail(name: str) -> None:
        late.note(name)
        if name == "a":
            raise ZeroDivisionError

    deadlines = Deadlines[str](late.loop, 10.0, fail)
    for name in ("a", "b"):
        deadlines.begin(name)

    await anyio.sleep(20)

    assert [type(each["exception"]) for each in failures] == [ZeroDivisionError]
    assert [name for name, _ in late.told] == ["a", "b"]
