"""Waiting until all is done."""

import threading
import time

import anyio
import anyio.to_thread
import pytest

from consumers.testing.settling import deadline, settle


async def test_settle_waits_for_long_chains_of_work() -> None:
    """However many steps a task takes, and tasks it wakes, all is done after it."""
    done: list[bool] = []

    async def relay(left: int) -> None:
        for _ in range(200):
            await anyio.lowlevel.checkpoint()
        if left:
            group.start_soon(relay, left - 1)
        else:
            done.append(True)

    async with anyio.create_task_group() as group:
        group.start_soon(relay, 5)
        await settle()
        assert done == [True]


async def test_settle_is_quick() -> None:
    """With a hundred tasks that wait, settling takes less than 5 ms."""
    async with anyio.create_task_group() as group:
        for _ in range(100):
            group.start_soon(anyio.sleep_forever)
        await settle()
        took = []
        for _ in range(10):
            start = time.perf_counter()
            await settle()
            took.append(time.perf_counter() - start)
        group.cancel_scope.cancel()

    assert min(took) < 0.005


async def test_settle_waits_for_threads() -> None:
    """A task whose work is done in a thread is not at rest."""
    may_end = threading.Event()
    done = []

    async def work() -> None:
        await anyio.to_thread.run_sync(may_end.wait)
        done.append(True)

    async with anyio.create_task_group() as group:
        group.start_soon(work)
        await anyio.wait_all_tasks_blocked()
        with anyio.move_on_after(0.02) as limit:
            await settle()
        assert limit.cancelled_caught
        may_end.set()
        await settle()
        assert done == [True]


async def test_two_tasks_may_settle_at_once() -> None:
    """Settling counts as waiting, for others that settle."""
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(settle)


async def test_a_deadline_leaves_other_scopes_alone() -> None:
    """A cancellation from outside is no `TimeoutError`; in time, nothing happens."""
    with deadline(5, lambda: "unused"):
        await anyio.lowlevel.checkpoint()
    with anyio.move_on_after(0.01) as outer, deadline(5, lambda: "unused"):
        await anyio.sleep_forever()
    assert outer.cancelled_caught
    with (
        pytest.raises(TimeoutError, match=r"^explained$"),
        deadline(0, lambda: "explained"),
    ):
        await anyio.sleep_forever()
