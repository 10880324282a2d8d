"""Coalescing in front of the members: by time and by key."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio
import pytest
from anyio import create_task_group, fail_after
from anyio.abc import TaskGroup

from consumers.clock import VirtualClock, current_clock
from consumers.errors import StateError
from consumers.groups import Group, Publication
from consumers.groups.batch import Batch
from consumers.groups.coalescing import Coalescing
from consumers.groups.counters import Counters
from consumers.groups.publication import Kind
from consumers.handlers.messages import Internal
from consumers.queues.policies import Coalesce, Policy
from consumers.testing.settling import settle

EVERY = Coalesce("key", every=1.0)
BATCHES = Coalesce("key", every=1.0, batch=True)


class Hidden(Internal):
    key = "a"


class Members:
    """Coalescing by a virtual clock, and what has come through."""

    def __init__(self, group: TaskGroup, clock: VirtualClock) -> None:
        self.clock = clock
        self.got: list[Any] = []
        self.tasks = 0
        self.counters = Counters()
        self.group = group
        self.coalescing = Coalescing(self.deliver, self.spawn, self.counters)

    def spawn(self, function: Callable[[], Awaitable[Any]]) -> None:
        self.group.start_soon(self.run, function)

    async def run(self, function: Callable[[], Awaitable[Any]]) -> None:
        self.tasks += 1
        try:
            await function()
        finally:
            self.tasks -= 1

    def deliver(self, publication: Publication) -> None:
        if publication.message == "bad":
            raise ValueError("bad")
        self.got.append(publication.message)

    def publish(self, *messages: Any, group: str = "g", policy: Policy = EVERY) -> None:
        declared = Group(group, outbox=policy)
        for message in messages:
            self.coalescing.deliver(Publication(group, message, declared=declared))

    async def advance(self, seconds: float) -> None:
        await settle()
        self.clock.advance(seconds)
        await settle()

    def take(self) -> list[Any]:
        got, self.got = self.got, []
        return got


@contextmanager
def virtual_time() -> Iterator[VirtualClock]:
    clock = VirtualClock()
    token = current_clock.set(clock)
    try:
        yield clock
    finally:
        current_clock.reset(token)


@asynccontextmanager
async def coalescing() -> AsyncIterator[Members]:
    with virtual_time() as clock, fail_after(5):
        async with create_task_group() as group:
            yield Members(group, clock)
            group.cancel_scope.cancel()


def keyed(*pairs: str) -> list[dict[str, str]]:
    return [{"key": pair[0], "value": pair[1:]} for pair in pairs]


async def test_the_first_goes_out_at_once_and_then_the_latest_per_key() -> None:
    """At most once in so many seconds, in the order of the last change."""
    async with coalescing() as members:
        members.publish(*keyed("a1", "a2", "b1", "a3", "c1", "b2"))
        assert members.take() == keyed("a1")
        await members.advance(0.9)
        assert members.take() == []
        await members.advance(0.1)
        assert members.take() == keyed("a3", "c1", "b2")
        assert members.counters.coalesced == 2

        members.publish(*keyed("a4"))
        await members.advance(0.9)
        assert members.take() == []
        await members.advance(0.2)
        assert members.take() == keyed("a4")


async def test_after_a_pause_the_next_goes_out_at_once_again() -> None:
    """The task lasts while something may be held back, and no longer."""
    async with coalescing() as members:
        members.publish(*keyed("a1"))
        await settle()
        assert members.tasks == 1
        await members.advance(1)
        assert members.tasks == 0
        members.publish(*keyed("a2", "a3"))

        assert members.take() == keyed("a1", "a2")


async def test_a_group_with_a_shorter_interval_does_not_wait_for_others() -> None:
    """One task serves all groups, each in its own time."""
    async with coalescing() as members:
        members.publish(*keyed("a1", "a2"), policy=Coalesce("key", every=60))
        await settle()
        members.publish(*keyed("b1", "b2"), group="quick", policy=EVERY)
        assert members.take() == keyed("a1", "b1")
        await members.advance(1)
        assert members.take() == keyed("b2")
        await members.advance(59)

        assert members.take() == keyed("a2")
        assert members.tasks == 1


async def test_a_message_without_a_key_flushes_what_waits() -> None:
    """It goes out itself behind it, so that the order is kept."""
    async with coalescing() as members:
        members.publish(*keyed("a1", "a2"), {"clear": True}, *keyed("a3"))
        assert members.take() == [*keyed("a1", "a2"), {"clear": True}]
        await members.advance(1)

        assert members.take() == keyed("a3")


async def test_presence_does_not_overtake() -> None:
    """What is no message is never held back, and comes behind what waits."""
    async with coalescing() as members:
        members.publish(*keyed("a1", "a2"))
        members.coalescing.deliver(Publication("g", "diff", kind=Kind.PRESENCE))

        assert members.take() == [*keyed("a1", "a2"), "diff"]


async def test_other_policies_hold_nothing_back() -> None:
    """Without an interval all goes through, and there is no task."""
    async with coalescing() as members:
        members.publish(*keyed("a1", "a2"), policy=Coalesce("key"))
        await settle()

        assert members.take() == keyed("a1", "a2")
        assert members.tasks == 0


async def test_batches_hold_the_latest() -> None:
    """Each delivery is one, the first one too."""
    async with coalescing() as members:
        members.publish(*keyed("a1", "b1", "b2", "c1"), policy=BATCHES)
        await members.advance(1)

        assert members.take() == [keyed("a1"), keyed("b2", "c1")]


async def test_internal_messages_are_in_no_batch() -> None:
    """They are for the members' methods, and are delivered by themselves."""
    async with coalescing() as members:
        hidden = Hidden()
        members.publish(*keyed("a1", "b1"), hidden, policy=BATCHES)

        assert members.take() == [keyed("a1"), keyed("b1"), hidden]


async def test_too_many_keys_go_out_early() -> None:
    """What waits is bounded, and nothing is lost."""
    async with coalescing() as members:
        keys = [{"key": number} for number in range(8)]
        members.publish(*keys, policy=Coalesce("key", every=1.0, messages=3))
        assert members.take() == keys[:7]
        await members.advance(1)

        assert members.take() == keys[7:]


async def test_what_cannot_be_delivered_later_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """At once it is told to the publisher; later there is none, and it goes on."""
    async with coalescing() as members:
        policy = Coalesce(every=1.0)
        with pytest.raises(ValueError, match="bad"):
            members.publish("bad", policy=policy)
        members.publish("bad", policy=policy)
        with caplog.at_level(logging.ERROR, "consumers"):
            await members.advance(1)
        members.publish("good", policy=policy)
        await members.advance(1)

        assert members.take() == ["good"]
        assert caplog.text.count("publications to g are dropped") == 1


async def test_when_the_task_is_cancelled_what_waits_goes_out() -> None:
    """And what comes afterwards starts another one."""
    with virtual_time() as clock, fail_after(5):
        async with create_task_group() as outer:
            async with create_task_group() as group:
                members = Members(group, clock)
                members.publish(*keyed("a1", "a2"))
                await settle()
                group.cancel_scope.cancel()
            assert members.take() == keyed("a1", "a2")
            members.group = outer
            members.publish(*keyed("a3", "a4"))
            assert members.take() == keyed("a3")
            await members.advance(1)
            assert members.take() == keyed("a4")
            await members.advance(1)


async def test_without_a_task_nothing_is_held_back() -> None:
    """Where none can be started the publisher is told, each time."""

    def spawn(function: object) -> None:
        raise StateError("not running")

    got: list[Publication] = []
    held = Coalescing(got.append, spawn, Counters())
    publication = Publication("g", {"key": 1}, declared=Group("g", outbox=EVERY))
    for _ in range(2):
        with pytest.raises(StateError):
            held.deliver(publication)

    assert got == []


async def test_a_cursor_board_costs_little() -> None:
    """30 members, 30 updates a second each: 30 deliveries a second, and no backlog."""
    delivered: list[Publication] = []
    with virtual_time() as clock, fail_after(5):
        async with create_task_group() as group:
            members = Members(group, clock)
            counters = members.counters
            held = Coalescing(delivered.append, members.spawn, counters)
            policy = Coalesce("user", every=1 / 30, batch=True)
            board = Group("board", outbox=policy)
            for tick in range(60):
                for user in range(30):
                    message = {"user": user, "x": tick}
                    held.deliver(Publication("board", message, declared=board))
                await settle()
                clock.advance(1 / 60)
            await settle()
            clock.advance(1)
            await settle()
            clock.advance(1)
            await anyio.lowlevel.checkpoint()

    assert 29 <= len(delivered) <= 33
    assert isinstance(delivered[-1], Batch)
    assert delivered[-1].message == [{"user": user, "x": 59} for user in range(30)]
    items = sum(len(each.items or ()) for each in delivered)
    assert items + counters.coalesced == 60 * 30
