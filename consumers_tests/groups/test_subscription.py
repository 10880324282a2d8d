"""Subscriptions: members that are iterated over."""

from __future__ import annotations

from functools import partial

import anyio
import pytest
from anyio import create_task_group, fail_after, move_on_after

from consumers import (
    ConfigurationError,
    Group,
    Groups,
    History,
    Position,
    PresenceDiff,
    Publication,
    PublicationsLost,
    StateError,
    Subscription,
)
from consumers.handlers.messages import Internal
from consumers.testing.settling import settle
from consumers_tests.groups.feeds import Feed, Recorder, after, fed, join, passing_time
from consumers_tests.groups.reading import bounded, take
from consumers_tests.groups.running import running
from consumers_tests.groups.scripted_layer import ScriptedLayer
from consumers_tests.valkey import Valkey

kept = History(size=100, ttl=100)


async def test_it_yields_what_is_published() -> None:
    """In order, with the group's name; and nothing once it is over."""
    groups = Groups()
    async with bounded():
        async with groups.subscribe("news") as subscription:
            assert await groups.count("news") == 1
            await groups.publish("news", "a")
            await groups.publish("other", "b")
            await groups.publish("news", "c")
            assert await take(subscription, 2) == ["a", "c"]
            await groups.publish("news", "d")
            async for publication in subscription:
                assert isinstance(publication, Publication)
                assert (publication.group, publication.message) == ("news", "d")
                assert publication.position is None
                break
            await groups.publish("news", "e")
        assert await groups.count("news") == 0
        assert [each async for each in subscription] == []
        assert subscription.position is None
        assert not subscription.recovery.recovered


async def test_it_waits_for_the_next() -> None:
    """Cancelling the wait loses nothing."""
    groups, got = Groups(), []
    async with bounded(), groups.subscribe("news") as subscription:

        async def read() -> None:
            got.extend(await take(subscription, 1))

        for n in range(3):
            with move_on_after(0):
                await anext(subscription)
            async with create_task_group() as tasks:
                tasks.start_soon(read)
                await settle()
                tasks.cancel_scope.cancel()
            async with create_task_group() as tasks:
                tasks.start_soon(read)
                await settle()
                assert len(got) == n
                await groups.publish("news", n)
    assert got == [0, 1, 2]


async def test_what_was_ready_is_not_lost_to_a_cancelled_reader() -> None:
    """Each publication is either returned or still there."""
    groups, got = Groups(), list[int]()
    async with bounded(), groups.subscribe("news") as subscription:
        for n in range(10):
            await groups.publish("news", n)
        while len(got) < 10:
            with anyio.CancelScope() as scope:
                scope.cancel()
                got.append((await anext(subscription)).message)
            got.append((await anext(subscription)).message)
    assert got == list(range(10))


async def test_two_readers_share_it() -> None:
    """Each publication goes to one of them, and both learn of the end."""
    groups, got = Groups(), []

    async def read(subscription: Subscription) -> None:
        got.extend([each.message async for each in subscription])

    async with (
        bounded(),
        create_task_group() as tasks,
        groups.subscribe("news") as subscription,
    ):
        tasks.start_soon(read, subscription)
        tasks.start_soon(read, subscription)
        await settle()
        for n in range(10):
            await groups.publish("news", n)
        await settle()
    assert sorted(got) == list(range(10))


async def test_a_bridge_is_spared_its_own() -> None:
    """It can be excluded like a connection, across processes too."""
    room, layer = Group("room"), ScriptedLayer()
    other = ScriptedLayer(layer.store)
    async with (
        bounded(),
        running(layer, other, declared=[room]) as [here, there],
        here.subscribe(room) as one,
        there.subscribe(room) as two,
    ):
        await here.publish(room, 1, exclude=one)
        await there.publish(room, 2)
        assert await take(one, 1) == [2]
        assert await take(two, 2) == [1, 2]


async def test_a_bridge_is_spared_its_own_that_had_to_be_fetched() -> None:
    """Then it comes from the history, which knows the member by its id alone."""
    room, layer = Group("room", history=kept), ScriptedLayer()
    async with (
        bounded(),
        running(layer, declared=[room]) as [groups],
        groups.subscribe(room) as one,
        groups.subscribe(room) as two,
    ):
        layer.loses = {1}
        async with create_task_group() as tasks:
            tasks.start_soon(partial(groups.publish, room, 1, exclude=one))
            await settle()
            await groups.publish(room, 2)
        assert await take(one, 1) == [2]
        assert await take(two, 2) == [1, 2]


async def test_the_past_comes_first() -> None:
    """After a position all that was missed, or the last ones; then what is new."""
    room = Group("room.{name}", history=kept)
    groups = Groups("memory://", [room])
    async with bounded():
        positions = [await groups.publish(room("a"), n) for n in range(5)]
        async with groups.subscribe(room("a"), since=positions[1]) as subscription:
            assert subscription.recovery.recovered
            assert subscription.recovery.replayed == 3
            assert subscription.position == positions[1]
            last = await groups.publish(room("a"), 5)
            assert await take(subscription, 3) == [2, 3, 4]
            assert subscription.position == positions[4]
            assert await take(subscription, 1) == [5]
            assert subscription.position == last
        async with groups.subscribe("room.a", last=2) as subscription:
            assert not subscription.recovery.recovered
            assert subscription.position is None
            assert await take(subscription, 2) == [4, 5]
        async with groups.subscribe("room.a") as subscription:
            assert subscription.position == last
        lost = Position(3, "elsewhere")
        async with groups.subscribe("room.a", since=lost) as subscription:
            assert not subscription.recovery.recovered
            assert subscription.position == last
        async with groups.subscribe("room.a", since=lost, last=1) as subscription:
            assert await take(subscription, 1) == [5]


async def test_what_comes_while_the_past_is_fetched_comes_after_it() -> None:
    """Without a gap, and without doubles."""
    room, layer = Group("room", history=kept), ScriptedLayer()
    async with bounded(), running(layer, declared=[room]) as [groups]:
        start = await groups.publish(room, 0)
        await groups.publish(room, 1)
        asked = layer.blocked["history"] = anyio.Event()
        got: list[int] = []

        async def read() -> None:
            async with groups.subscribe(room, since=start) as subscription:
                got.extend(await take(subscription, 4))

        async with create_task_group() as tasks:
            tasks.start_soon(read)
            await settle()
            await groups.publish(room, 2)
            await groups.publish(room, 3)
            asked.set()
            await settle()
            await groups.publish(room, 4)
    assert got == [1, 2, 3, 4]


async def test_a_gap_is_told_in_its_place() -> None:
    """What waits before it is read before, and then it goes on after it."""
    room, layer = Group("room", history=kept), ScriptedLayer()
    async with (
        bounded(),
        running(layer, declared=[room]) as [groups],
        groups.subscribe(room) as subscription,
    ):
        await groups.publish(room, 1)
        layer.store.clear()
        lost = await groups.publish(room, 2)
        await settle()
        await groups.publish(room, 3)
        assert await take(subscription, 1) == [1]
        with pytest.raises(PublicationsLost, match=r"publications to room") as error:
            await anext(subscription)
        assert error.value.position == lost == subscription.position
        assert subscription.recovery.position == lost
        assert not subscription.recovery.recovered
        assert await take(subscription, 1) == [3]


async def test_what_has_no_encoding_is_yielded() -> None:
    """It is not sent anywhere; what is internal comes as well."""

    class Hint(Internal):
        pass

    groups, thing, hint = Groups(), object(), Hint()
    async with bounded(), groups.subscribe("news") as subscription:
        await groups.publish("news", thing)
        await groups.publish("news", hint)
        assert await take(subscription, 2) == [thing, hint]


async def test_presence_comes_where_it_is_asked_for() -> None:
    """As publications whose message is a diff; the subscription is not present."""
    room, one = Group("room", presence=True), Recorder()
    groups = Groups("memory://", [room])
    async with (
        passing_time() as clock,
        groups,
        groups.subscribe(room, presence=True) as told,
        groups.subscribe(room) as untold,
    ):
        await join(groups, room, one, presence={"name": "Ana"})
        await after(clock, 1)
        await groups.publish(room, "hello")
        diff, hello = await take(told, 2)
        assert isinstance(diff, PresenceDiff)
        assert [each.metadata for each in diff.joined] == [{"name": "Ana"}]
        assert hello == "hello"
        assert await take(untold, 1) == ["hello"]
        assert len(await groups.presence(room)) == 1


async def test_it_is_a_member_like_others() -> None:
    """A source runs for it."""
    feed = Feed()
    async with (
        fed(feed, linger=0) as (clock, [(groups, group)]),
        groups.subscribe(group("a")) as subscription,
    ):
        await after(clock, 3)
        assert await take(subscription, 3) == [0, 1, 2]


async def test_one_that_is_ended_has_an_end() -> None:
    """What waits is read before."""
    groups = Groups()
    async with bounded(), groups.subscribe("news") as subscription:
        await groups.publish("news", 1)
        subscription.end(1008)
        await groups.publish("news", 2)
        assert [each.message async for each in subscription] == [1]


async def test_mistakes_are_told() -> None:
    """Each when it is made, and leaves no member behind."""
    groups = Groups("memory://", [Group("present", presence=True)])
    async with bounded():
        with pytest.raises(StateError, match="must be entered"):
            await anext(groups.subscribe("news"))
        subscription = groups.subscribe("news", last=10)
        with pytest.raises(ConfigurationError, match="with a history"):
            await subscription.__aenter__()
        assert await groups.count("news") == 0
        with pytest.raises(ConfigurationError, match="with presence=True"):
            await groups.subscribe("news", presence=True).__aenter__()
        with pytest.raises(StateError, match=r"lifespan=groups\.lifespan"):
            await groups.subscribe("present", presence=True).__aenter__()
        async with groups.subscribe("news") as once:
            pass
        with pytest.raises(StateError, match="entered once"):
            await once.__aenter__()


async def test_cancelled_while_it_joins_it_is_no_member() -> None:
    """At whatever call the layer is."""
    room = Group("room", history=kept)
    for call in ("subscribe", "positions", "history"):
        layer = ScriptedLayer()
        async with bounded(), running(layer, declared=[room]) as [groups]:
            layer.blocked[call] = anyio.Event()

            async def enter() -> None:
                async with groups.subscribe(room, last=1):
                    raise AssertionError

            async with create_task_group() as tasks:
                tasks.start_soon(enter)
                await settle()
                tasks.cancel_scope.cancel()
            assert groups._local().hub.members.get("room") is None
            layer.blocked.clear()


# Over a real broker


async def test_over_a_broker_it_yields_each_once(valkey: Valkey) -> None:
    """What was missed, what came meanwhile and what comes, in order."""
    room = Group("room.{name}", history=kept, presence=True)
    here, there = (
        Groups(valkey.url, [room]),
        Groups(valkey.url, [Group("room.{name}", history=kept, presence=True)]),
    )
    with fail_after(20):
        async with here, there:
            start = await there.publish("room.a", 0)
            async with create_task_group() as tasks:

                async def publish() -> None:
                    for n in range(1, 200):
                        await there.publish("room.a", n)

                tasks.start_soon(publish)
                async with here.subscribe(
                    room("a"), since=start, presence=True
                ) as subscription:
                    assert await take(subscription, 199) == list(range(1, 200))
                    position = subscription.position
                    assert position is not None
                    assert position.offset == 200
                    [membership] = await there.join([room("a")], one := Recorder())
                    assert membership.held is None
                    await there.enter(there.resolve("room.a"), one, {"name": "Ana"})
                    [diff] = await take(subscription, 1)
                    assert isinstance(diff, PresenceDiff)
                    assert diff.joined[0].metadata == {"name": "Ana"}
                    there.leave(["room.a"], one)
