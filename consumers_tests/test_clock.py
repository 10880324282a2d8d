"""The clock: virtual time goes by hand, and all timers go by it."""

import math
from collections.abc import Iterator

import anyio
import anyio.lowlevel
import pytest
from anyio import wait_all_tasks_blocked
from hypothesis import given
from hypothesis import strategies as st

from consumers.clock import (
    LoopClock,
    VirtualClock,
    current_clock,
    current_time,
    sleep,
)


@pytest.fixture
def clock() -> Iterator[VirtualClock]:
    """Return a virtual clock that is the current one."""
    virtual = VirtualClock()
    token = current_clock.set(virtual)
    yield virtual
    current_clock.reset(token)


async def test_the_loops_clock_is_the_default() -> None:
    """Without a virtual clock, time is the event loop's."""
    assert isinstance(current_clock.get(), LoopClock)
    before = anyio.current_time()
    assert before <= current_time() <= anyio.current_time()
    with anyio.fail_after(5):
        await sleep(0.001)
    # Rounded, for a difference of two floats is off by what neither of them holds.
    assert round(current_time() - before, 6) >= 0.001


async def test_the_loops_clock_cancels_scopes() -> None:
    """A deadline on the loop's clock cancels its scope, and can be taken off."""
    clock = LoopClock()
    with anyio.fail_after(5), anyio.CancelScope() as late:
        clock.cancel_after(late, 0.001)
        await anyio.sleep_forever()
    kept = anyio.CancelScope()
    clock.cancel_after(kept, 60)
    clock.cancel_after(kept, math.inf)

    assert late.cancelled_caught
    assert kept.deadline == math.inf


async def test_sleepers_wake_in_order(clock: VirtualClock) -> None:
    """What is due is done in order of its time, with the clock showing the last."""
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await sleep(seconds)
        woken.append((name, current_time()))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(sleeper, "late", 20)
            group.start_soon(sleeper, "early", 10)
            await wait_all_tasks_blocked()
            assert clock.next_due() == 10
            clock.advance(9.5)
            await wait_all_tasks_blocked()
            assert woken == []
            clock.advance(0.5)
            await wait_all_tasks_blocked()
            assert woken == [("early", 10)]
            clock.advance(100)
            await wait_all_tasks_blocked()

    assert woken == [("early", 10), ("late", 110)]
    assert clock.next_due() == math.inf


@pytest.mark.parametrize("seconds", [0, -1])
async def test_no_time_is_still_a_checkpoint(
    clock: VirtualClock, seconds: float
) -> None:
    """Sleeping for no time lets others run and returns."""
    ran = []

    async def other() -> None:
        ran.append(True)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(other)
            await sleep(seconds)
            await sleep(seconds)

    assert ran == [True]


async def test_a_deadline_cancels_its_scope(clock: VirtualClock) -> None:
    """A scope is cancelled when its time has come, not before."""
    with anyio.fail_after(5), anyio.CancelScope() as scope:
        clock.cancel_after(scope, 3)
        clock.advance(2)
        await anyio.lowlevel.checkpoint()
        clock.advance(1)
        await anyio.sleep_forever()

    assert scope.cancelled_caught


async def test_a_later_deadline_replaces_an_earlier(clock: VirtualClock) -> None:
    """Only the last deadline of a scope counts, and infinity takes it off."""
    with anyio.CancelScope() as scope:
        clock.cancel_after(scope, 1)
        clock.cancel_after(scope, 5)
        clock.advance(4)
        await anyio.lowlevel.checkpoint()
        clock.cancel_after(scope, math.inf)
        clock.advance(10)
        await anyio.lowlevel.checkpoint()

    assert not scope.cancel_called


async def test_a_cancelled_sleeper_is_no_trouble(clock: VirtualClock) -> None:
    """Advancing past the time of a sleeper that was cancelled does nothing."""
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(sleep, 5)
            await wait_all_tasks_blocked()
            group.cancel_scope.cancel()
    clock.advance(10)

    assert clock.time() == 10


@pytest.mark.parametrize("seconds", [-0.1, math.nan])
def test_time_does_not_run_backwards(seconds: float) -> None:
    """Advancing by a negative number is refused."""
    with pytest.raises(ValueError, match="seconds must not be negative, got"):
        VirtualClock().advance(seconds)


@given(st.lists(st.integers(0, 1000)))
def test_time_is_the_sum_of_all_advances(steps: list[int]) -> None:
    """The clock shows the sum of all advances."""
    clock = VirtualClock()
    for step in steps:
        clock.advance(step)

    assert clock.time() == sum(steps)


async def test_timers_that_are_over_are_not_kept() -> None:
    """A clock that stands still does not grow by what was cancelled before its time."""
    clock = VirtualClock()

    for _ in range(300):
        scope = anyio.CancelScope()
        clock.cancel_after(scope, 10.0)
        clock.cancel_after(scope, math.inf)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await clock.sleep(5.0)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(clock.sleep, 5.0)
            for _ in range(3):
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()

    assert len(clock._due) < 80


async def test_those_that_are_not_over_are_kept() -> None:
    """Whatever else is forgotten, who waits is woken, and at the right time."""
    clock = VirtualClock()
    woken: list[int] = []

    async def wait(number: int) -> None:
        await clock.sleep(float(number))
        woken.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(1, 11):
            tasks.start_soon(wait, number)
        await anyio.wait_all_tasks_blocked()
        for _ in range(300):
            scope = anyio.CancelScope()
            clock.cancel_after(scope, 3.0)
            clock.cancel_after(scope, math.inf)
        for _ in range(10):
            clock.advance(1.0)
            await anyio.wait_all_tasks_blocked()

    assert woken == [*range(1, 11)]
