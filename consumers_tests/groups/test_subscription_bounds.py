"""Subscriptions that are not read fast enough."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from anyio import create_task_group

from consumers import (
    CloseWhenFull,
    Coalesce,
    DropNewest,
    DropOldest,
    Group,
    Groups,
    History,
    SubscriptionOverflow,
)
from consumers.testing.settling import settle
from consumers_tests.groups.reading import bounded, take
from consumers_tests.groups.running import running
from consumers_tests.groups.scripted_layer import ScriptedLayer

kept = History(size=100, ttl=100)


async def test_a_reader_that_is_too_slow_is_told() -> None:
    """It gets what waited, and where to come back; it is no member any more."""
    room = Group("room", history=kept, outbox=CloseWhenFull(messages=3))
    groups = Groups("memory://", [room])
    async with bounded(), groups.subscribe(room) as subscription:
        for n in range(6):
            await groups.publish(room, n)
        assert await groups.count(room) == 0
        assert await take(subscription, 3) == [0, 1, 2]
        for _ in range(2):
            with pytest.raises(SubscriptionOverflow, match=r"messages=3") as error:
                await anext(subscription)
        assert subscription.dropped == 1
        assert groups.counters.overflowed == 1
        async with groups.subscribe(room, since=error.value.position) as again:
            assert await take(again, 3) == [3, 4, 5]


async def test_bytes_are_bounded_too() -> None:
    """By what the messages measure, encoded; one has room whatever its size."""
    room = Group("room", outbox=CloseWhenFull(bytes=1000))
    groups = Groups("memory://", [room])
    async with bounded(), groups.subscribe(room) as subscription:
        await groups.publish(room, "x" * 2000)
        assert await groups.count(room) == 1
        await take(subscription, 1)
        for n in range(4):
            await groups.publish(room, str(n) * 300)
        assert await take(subscription, 3)
        with pytest.raises(SubscriptionOverflow):
            await anext(subscription)


async def test_too_much_while_the_past_is_fetched() -> None:
    """The past is read, and then the overflow is told."""
    room = Group("room", history=kept, outbox=CloseWhenFull(messages=2))
    layer = ScriptedLayer()
    async with bounded(), running(layer, declared=[room]) as [groups]:
        await groups.publish(room, 0)
        answered = layer.blocked["history"] = anyio.Event()
        got: list[int] = []

        async def read() -> None:
            async with groups.subscribe(room, last=1) as subscription:
                got.extend(await take(subscription, 1))
                with pytest.raises(SubscriptionOverflow):
                    await anext(subscription)
                got.append(-1)

        async with create_task_group() as tasks:
            groups._local().layer = layer
            async with groups.subscribe(room):
                tasks.start_soon(read)
                await settle()
                for n in range(1, 5):
                    await groups.publish(room, n)
                answered.set()
                await settle()
        assert got[-1] == -1


@pytest.mark.parametrize(
    ("policy", "left", "dropped"),
    [
        (DropOldest(messages=3), [7, 8, 9], 7),
        (DropNewest(messages=3), [0, 1, 2], 7),
        (Coalesce(lambda n: n % 4), [6, 7, 8, 9], 0),
    ],
)
async def test_the_groups_policy_decides(
    policy: Any, left: list[int], dropped: int
) -> None:
    """What is dropped is counted, here and in total."""
    room = Group("room", outbox=policy)
    groups = Groups("memory://", [room])
    async with bounded(), groups.subscribe(room) as subscription:
        for n in range(10):
            await groups.publish(room, n)
        assert await take(subscription, len(left)) == left
        assert subscription.dropped == dropped
        counters = groups.counters
        assert counters.dropped_oldest + counters.dropped_newest == dropped
