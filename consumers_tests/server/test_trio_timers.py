"""Timers of many connections in one task, by a clock that jumps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio
from trio.testing import MockClock

from consumers.server.trio_timers import Timer, Timers

Fired = list[tuple[str, float]]


def run(
    test: Callable[[Timers, Callable[[str], Timer], Fired], Awaitable[None]],
) -> None:
    """Run a test beside timers that note when they fire."""

    async def main() -> None:
        timers, fired = Timers(), Fired()
        begun = trio.current_time()

        def timer(name: str) -> Timer:
            return Timer(
                timers,
                lambda: fired.append((name, round(trio.current_time() - begun, 3))),
            )

        async with trio.open_nursery() as nursery:
            nursery.start_soon(timers.run)
            await test(timers, timer, fired)
            nursery.cancel_scope.cancel()

    trio.run(main, clock=MockClock(autojump_threshold=0))


def test_each_fires_once_when_it_is_due() -> None:
    """In the order of their times, whatever the order in which they were set."""

    async def test(timers: Timers, timer: Callable[[str], Timer], fired: Fired) -> None:
        timer("late").set(5)
        timer("soon").set(1)
        await trio.sleep(3)
        timer("between").set(1)
        await trio.sleep(10)

        assert fired == [("soon", 1), ("between", 4), ("late", 5)]

    run(test)


def test_it_can_be_put_off_and_forward() -> None:
    """What was set last counts, and it fires once for that."""

    async def test(timers: Timers, timer: Callable[[str], Timer], fired: Fired) -> None:
        off, forward = timer("off"), timer("forward")
        off.set(1)
        off.set(3)
        forward.set(3)
        forward.set(1)
        await trio.sleep(2)
        forward.set(5)
        await trio.sleep(20)

        assert fired == [("forward", 1), ("off", 3), ("forward", 7)]

    run(test)


def test_it_can_be_stopped_for_a_while_and_for_ever() -> None:
    """Without a time it does not fire; ended, it can't be set any more."""

    async def test(timers: Timers, timer: Callable[[str], Timer], fired: Fired) -> None:
        paused, ended = timer("paused"), timer("ended")
        paused.set(1)
        paused.set(None)
        ended.set(1)
        ended.end()
        ended.set(2)
        await trio.sleep(5)
        assert fired == []

        paused.set(1)
        await trio.sleep(5)
        assert fired == [("paused", 6)]

    run(test)


def test_one_that_is_put_off_often_stays_one() -> None:
    """A thousand changes leave next to nothing behind."""

    async def test(timers: Timers, timer: Callable[[str], Timer], fired: Fired) -> None:
        one = timer("one")
        for number in range(1000):
            one.set(5 + number % 2)
            await trio.sleep(0.01)

        assert len(timers._queue) < 5
        assert fired == []

    run(test)
