"""Subscriptions are counted, and survive any interleaving of joining and leaving."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio import create_task_group, fail_after

from consumers import (
    Group,
    GroupName,
    Groups,
    History,
    LayerUnavailable,
    Position,
    StateError,
)
from consumers.clock import VirtualClock, current_clock
from consumers.testing.settling import settle
from consumers_tests.groups.members import Recorder, join, leave
from consumers_tests.groups.scripted_layer import ScriptedLayer

ROOM = Group("room.{name}")
KEPT = Group("kept.{name}", history=History(size=100))


@asynccontextmanager
async def running(
    layer: ScriptedLayer,
) -> AsyncIterator[tuple[Groups, VirtualClock]]:
    """Run groups on a layer, with a clock that the test advances."""
    clock = VirtualClock()
    token = current_clock.set(clock)
    groups = Groups(layer=lambda: layer)
    try:
        with fail_after(10):
            async with groups:
                layer.calls.clear()
                yield groups, clock
    finally:
        current_clock.reset(token)


async def test_a_group_is_subscribed_once_for_all_its_members() -> None:
    """The first member subscribes, the others find it done."""
    layer = ScriptedLayer()
    async with running(layer) as (groups, _):
        for _ in range(3):
            await join(groups, ROOM("a"), Recorder())

        assert layer.calls == [("subscribe", "room.a")]


async def test_several_groups_take_one_round_trip() -> None:
    """`join` of many asks the layer once; of those with history for positions once."""
    layer = ScriptedLayer()
    async with running(layer) as (groups, _):
        names = [KEPT(str(number)) for number in range(5)]
        for name in names:
            await groups.publish(name, 0)
        layer.calls.clear()
        await groups.join(names, Recorder())

        assert [call[0] for call in layer.calls] == ["subscribe", "positions"]


async def test_who_comes_while_another_subscribes_waits_for_it() -> None:
    """Nobody is a member before the layer delivers, and nobody asks it twice."""
    layer = ScriptedLayer()
    async with running(layer) as (groups, _):
        gate = layer.blocked["subscribe"] = anyio.Event()
        joined: list[int] = []

        async def come(number: int) -> None:
            await join(groups, ROOM("a"), Recorder())
            joined.append(number)

        async with create_task_group() as tasks:
            for number in range(4):
                tasks.start_soon(come, number)
            await settle()
            assert joined == []
            gate.set()

        assert len(joined) == 4
        assert layer.times("subscribe") == 1


async def test_who_comes_late_while_another_subscribes_waits_too() -> None:
    """When it is a member, the layer delivers, and it is known from where on."""
    layer = ScriptedLayer()
    async with running(layer) as (groups, _):
        gate = layer.blocked["subscribe"] = anyio.Event()
        positions: list[Position | None] = []

        async def come() -> None:
            await join(groups, KEPT("a"), Recorder())
            past = await groups.past(groups.resolve(KEPT("a")), None, None)
            positions.append(past.recovery.position)

        async with create_task_group() as tasks:
            tasks.start_soon(come)
            await settle()
            tasks.start_soon(come)
            await settle()
            assert positions == []
            gate.set()

        first, second = positions
        assert first == second
        assert first is not None


async def test_who_waits_subscribes_for_all_that_wait() -> None:
    """A thousand clients with groups of their own cost a few round trips."""
    layer = ScriptedLayer()
    async with running(layer) as (groups, _):
        gate = layer.blocked["subscribe"] = anyio.Event()
        async with create_task_group() as tasks:
            for number in range(1000):
                tasks.start_soon(join, groups, ROOM(str(number)), Recorder())
            await settle()
            del layer.blocked["subscribe"]
            gate.set()

        assert layer.times("subscribe") <= 2
        assert len(layer.subscribed) == 1001  # and the process's own


async def test_a_group_without_members_is_unsubscribed_after_a_while() -> None:
    """Who comes back within it costs nothing; then the layer delivers no longer."""
    layer = ScriptedLayer()
    async with running(layer) as (groups, clock):
        member = Recorder()
        await join(groups, ROOM("a"), member)
        leave(groups, ROOM("a"), member)
        await settle()
        clock.advance(0.4)
        await settle()
        await join(groups, ROOM("a"), member)
        clock.advance(1)
        await settle()
        assert [call[0] for call in layer.calls] == ["subscribe"]

        leave(groups, ROOM("a"), member)
        await settle()
        clock.advance(0.6)
        await settle()
        assert layer.calls[1:] == [("unsubscribe", "room.a")]
        assert "room.a" not in layer.subscribed


@pytest.mark.parametrize("group", [ROOM("a"), KEPT("a")], ids=str)
async def test_nobody_waits_for_what_an_unsubscribed_group_says(
    group: GroupName,
) -> None:
    """What the layer has taken before that does not come back any more."""
    layer = ScriptedLayer()
    async with running(layer) as (groups, clock):
        member = Recorder()
        await join(groups, group, member)
        layer.cut_off = True
        async with create_task_group() as tasks:
            tasks.start_soon(groups.publish, group, "last words")
            await settle()
            leave(groups, group, member)
            await settle()
            clock.advance(0.6)


async def test_many_are_unsubscribed_at_once() -> None:
    """Groups that empty together take one call."""
    layer = ScriptedLayer()
    async with running(layer) as (groups, clock):
        member = Recorder()
        names = [ROOM(str(number)) for number in range(50)]
        await groups.join(names, member)
        groups.leave([name.name for name in names], member)
        await settle()
        clock.advance(1)
        await settle()

        assert layer.times("unsubscribe") == 1
        assert len(layer.subscribed) == 1


async def test_who_joins_while_it_is_unsubscribed_hears_it() -> None:
    """Joining waits for the end of the subscription and makes a new one."""
    layer = ScriptedLayer()
    async with running(layer) as (groups, clock):
        first, second = Recorder(), Recorder()
        await join(groups, ROOM("a"), first)
        leave(groups, ROOM("a"), first)
        gate = layer.blocked["unsubscribe"] = anyio.Event()
        await settle()
        clock.advance(1)
        await settle()
        assert layer.times("unsubscribe") == 1

        async with create_task_group() as tasks:
            tasks.start_soon(join, groups, ROOM("a"), second)
            await settle()
            assert layer.times("subscribe") == 1  # not while the other call is out
            gate.set()
        await groups.publish(ROOM("a"), "hello")

        assert second.texts == ['"hello"']


async def test_who_leaves_while_subscribing_leaves_nothing_behind() -> None:
    """The group is subscribed for nobody, and given up after a while."""
    layer = ScriptedLayer()
    async with running(layer) as (groups, clock):
        member = Recorder()
        gate = layer.blocked["subscribe"] = anyio.Event()
        async with create_task_group() as tasks:
            tasks.start_soon(join, groups, ROOM("a"), member)
            await settle()
            leave(groups, ROOM("a"), member)
            gate.set()
        await settle()
        clock.advance(1)
        await settle()

        assert "room.a" not in layer.subscribed


async def test_who_is_cancelled_while_subscribing_does_not_take_others_along() -> None:
    """The next in the queue subscribes for itself."""
    layer = ScriptedLayer()
    async with running(layer) as (groups, _):
        gate = layer.blocked["subscribe"] = anyio.Event()
        second = Recorder()
        async with create_task_group() as tasks:
            scope = anyio.CancelScope()
            tasks.start_soon(_cancelled_join, groups, scope)
            await settle()
            tasks.start_soon(join, groups, ROOM("a"), second)
            await settle()
            scope.cancel()
            await settle()
            gate.set()
        await groups.publish(ROOM("a"), 1)

        assert second.texts == ["1"]
        assert layer.times("subscribe") == 2


async def _cancelled_join(groups: Groups, scope: anyio.CancelScope) -> None:
    with scope:
        await join(groups, ROOM("a"), Recorder())


async def test_a_broker_that_is_away_is_told_to_who_joins() -> None:
    """Then the connection is a member of nothing that it was not before."""
    layer = ScriptedLayer()
    async with running(layer) as (groups, _):
        member = Recorder()
        await join(groups, ROOM("a"), member)
        layer.failing.add("subscribe")
        with pytest.raises(LayerUnavailable):
            await groups.join([ROOM("a"), ROOM("b")], member)
        layer.failing.clear()
        await groups.publish(ROOM("a"), 1)
        await groups.publish(ROOM("b"), 2)
        assert member.texts == ["1"]

        await join(groups, ROOM("b"), member)
        await groups.publish(ROOM("b"), 3)
        assert member.texts == ["1", "3"]


async def test_a_silent_history_is_not_forgotten_while_it_has_members() -> None:
    """Nothing was missed, so nothing may be told as a gap."""
    brief = Group("brief", history=History(size=5, ttl=60, remember=600))
    layer = ScriptedLayer()
    async with running(layer) as (groups, clock):
        member = Recorder()
        await join(groups, brief, member)
        before = await groups.publish(brief, 1)
        for _ in range(12):
            clock.advance(100)
            await settle()
        after = await groups.publish(brief, 2)

        assert before is not None
        assert after == Position(before.offset + 1, before.epoch)
        assert member.texts == ["1", "2"]
        assert groups.statistics()["lost_continuity"] == 0
        assert layer.times("history") <= 8


async def test_a_failed_subscription_is_given_up() -> None:
    """What the layer has subscribed all the same does not stay so."""
    layer = ScriptedLayer()
    async with running(layer) as (groups, clock):
        layer.failing.add("positions")
        with pytest.raises(LayerUnavailable):
            await join(groups, KEPT("a"), Recorder())
        assert "kept.a" in layer.subscribed
        await settle()
        clock.advance(1)
        await settle()

        assert "kept.a" not in layer.subscribed


async def test_leaving_after_the_end_is_safe() -> None:
    """Connections may end after the groups' lifespan."""
    layer = ScriptedLayer()
    member = Recorder()
    async with running(layer) as (groups, _):
        await join(groups, ROOM("a"), member)
        local = groups._loop.get()
        assert local is not None
    local.leave("room.a", member)


async def test_what_is_lost_silently_is_found_by_comparing_positions() -> None:
    """The last publication of a group shows no gap; within ten seconds it is there."""
    layer = ScriptedLayer()
    async with running(layer) as (groups, clock):
        member = Recorder()
        await join(groups, KEPT("a"), member)
        await groups.publish(KEPT("a"), 1)
        layer.cut_off = True
        async with create_task_group() as tasks:
            tasks.start_soon(groups.publish, KEPT("a"), 2)
            await settle()
            clock.advance(5)  # the publisher waits no longer for its echo
        assert member.texts == ["1"]
        clock.advance(5.1)
        await settle()

        assert member.texts == ["1", "2"]


async def test_after_a_cut_all_positions_are_compared_at_once() -> None:
    """What was published while the layer was away is fetched when it is back."""
    layer = ScriptedLayer()
    async with running(layer) as (groups, _):
        members = [Recorder() for _ in range(3)]
        for number, member in enumerate(members):
            await join(groups, KEPT(str(number)), member)
        layer.cut_off = True
        other = ScriptedLayer(layer.store)
        async with other.running(_Deaf()):
            for number in range(3):
                publication = groups._publication(KEPT(str(number)), "missed")
                await other.publish([publication])
        layer.cut_off = False
        assert layer.receiver is not None
        layer.receiver.resumed()
        await settle()

        assert [member.texts for member in members] == [['"missed"']] * 3


class _Deaf:
    def deliver(self, *_: object) -> None:
        """Hear nothing."""

    def resumed(self) -> None:
        """Hear nothing."""


async def test_a_remote_layer_needs_its_lifespan() -> None:
    """Its tasks have to live somewhere: the error says how."""
    groups = Groups(layer=ScriptedLayer)
    for call in (groups.publish("a", 1), join(groups, "a", Recorder())):
        with pytest.raises(StateError, match=r"pass lifespan=groups\.lifespan"):
            await call
