"""Sources that one process of all runs, the one that holds their lease."""

from __future__ import annotations

import anyio
import pytest
from anyio import CancelScope, create_task_group, fail_after

from consumers import Groups, History
from consumers.clock import VirtualClock
from consumers.errors import MessageNotEncodable
from consumers.layers import MemoryStore
from consumers.testing.settling import settle
from consumers_tests.groups.feeds import (
    Feed,
    Recorder,
    ScriptedLayer,
    after,
    fed,
    join,
    leave,
    two,
)
from consumers_tests.valkey import Valkey

LEASE = "@source.feed.a"


def steal(store: MemoryStore, clock: VirtualClock, seconds: float) -> None:
    """Have somebody else hold the lease, who does not renew it: one that was killed."""
    store.leases[LEASE] = (object(), clock.time() + seconds)


def holds(store: MemoryStore, clock: VirtualClock) -> bool:
    """Tell whether anybody holds the lease."""
    return LEASE in store.leases and store.leases[LEASE][1] > clock.time()


async def test_one_runs_for_all() -> None:
    """Members get its values in every process, for as long as it takes."""
    feed, one, two_ = Feed(), Recorder(), Recorder()
    async with fed(feed, *two(), per="cluster") as (clock, [(here, a), (there, _)]):
        await join(here, a("a"), one)
        await after(clock, 0.5)
        await join(there, "feed.a", two_)
        await after(clock, 60)

        assert feed.take() == ["begin a"]
        assert one.texts == two_.texts
        assert len(one.texts) == 60


async def test_in_memory_one_runs_too() -> None:
    """Where there is one process it is that one."""
    feed, one = Feed(), Recorder()
    async with fed(feed, per="cluster") as (clock, [(groups, group)]):
        await join(groups, group("a"), one)
        await after(clock, 60)
        assert feed.take() == ["begin a"]
        assert len(one.texts) == 60


async def test_it_is_handed_over_when_the_holders_members_leave() -> None:
    """The next process has it at once, after the first one's clean-up."""
    feed, one, other = Feed(), Recorder(), Recorder()
    layers = two()
    async with fed(feed, *layers, per="cluster", linger=2) as (
        clock,
        [(here, group), (there, _)],
    ):
        await join(here, group("a"), one)
        await after(clock, 1)
        await join(there, "feed.a", other)
        feed.clean_up = 1
        leave(here, group("a"), one)
        await after(clock, 2.9)
        assert feed.take() == ["begin a"]
        await after(clock, 0.2)
        assert feed.take() == ["end a", "begin a"]
        assert feed.most == 1

        feed.clean_up = 0
        leave(there, "feed.a", other)
        await after(clock, 2.1)
        assert feed.take() == ["end a"]
        assert not holds(layers[0].store, clock)
        assert not here._local().sources._runners
        assert not there._local().sources._runners


async def test_another_takes_over_within_the_lease() -> None:
    """Of a process that was killed nothing is heard any more."""
    feed, one, layer = Feed(), Recorder(), ScriptedLayer()
    async with fed(feed, layer, per="cluster", lease=16) as (clock, [(groups, group)]):
        steal(layer.store, clock, 12)
        await join(groups, group("a"), one)
        await after(clock, 11.9)
        assert feed.take() == []
        await after(clock, 0.2)
        assert feed.take() == ["begin a"]


@pytest.mark.parametrize("ahead", [0.0, 0.1, 2.0, 3.9])
async def test_the_takeover_is_within_what_is_declared(ahead: float) -> None:
    """Whenever the others have looked before the holder renewed for the last time."""
    feed, one, layer = Feed(), Recorder(), ScriptedLayer()
    async with fed(feed, layer, per="cluster", lease=16) as (clock, [(groups, group)]):
        steal(layer.store, clock, 100)
        await join(groups, group("a"), one)
        await after(clock, ahead)
        [source] = group.sources
        steal(layer.store, clock, source.term)  # its last renewal; it is killed
        await after(clock, 16.01)
        assert feed.take() == ["begin a"]


async def test_who_lost_the_lease_stops() -> None:
    """It notices when it renews, and goes on when it has it again."""
    feed, one, layer = Feed(), Recorder(), ScriptedLayer()
    async with fed(feed, layer, per="cluster", lease=14) as (
        clock,
        [(groups, group)],
    ):
        await join(groups, group("a"), one)
        await after(clock, 3.4)
        steal(layer.store, clock, 6)
        await after(clock, 0.2)
        assert feed.take() == ["begin a", "end a"]
        assert layer.times("publish") == 3
        await after(clock, 8)
        assert feed.take() == ["begin a"]


async def test_a_lease_that_is_lost_without_members_is_not_taken_again() -> None:
    """What lingers goes on, but does not begin anew."""
    feed, one, layer = Feed(), Recorder(), ScriptedLayer()
    async with fed(feed, layer, per="cluster", lease=8, linger=60) as (
        clock,
        [(groups, group)],
    ):
        await join(groups, group("a"), one)
        await after(clock, 1.5)
        leave(groups, group("a"), one)
        steal(layer.store, clock, 1)
        await after(clock, 30)
        assert feed.take() == ["begin a", "end a"]
        assert not groups._local().sources._runners


@pytest.mark.parametrize("fault", ["failing", "blocked"])
@pytest.mark.parametrize("seconds", [7.0, 30.0])
async def test_a_lease_that_cannot_be_renewed_lasts_to_its_end(
    fault: str, seconds: float
) -> None:
    """A broker that is away shortly costs nothing; after the lease nothing runs."""
    feed, one, layer = Feed(), Recorder(), ScriptedLayer()
    async with fed(feed, layer, per="cluster", lease=16) as (clock, [(groups, group)]):
        await join(groups, group("a"), one)
        await after(clock, 4.5)  # it was renewed at 4
        back = anyio.Event()
        if fault == "failing":
            layer.failing.add("hold")
        else:
            layer.blocked["hold"] = back
        await after(clock, seconds)
        short = seconds < 11.5
        assert feed.running == short
        layer.failing.clear()
        layer.blocked.clear()
        back.set()
        await after(clock, 20)
        assert feed.take() == ["begin a", *([] if short else ["end a", "begin a"])]
        assert feed.most == 1


async def test_nothing_is_published_after_the_lease() -> None:
    """An event loop that stood still finds its lease gone before a timer says so."""
    feed, one, layer = Feed(), Recorder(), ScriptedLayer()
    async with fed(feed, layer, per="cluster", lease=16) as (clock, [(groups, group)]):
        await join(groups, group("a"), one)
        await after(clock, 1.5)
        assert layer.times("publish") == 1
        # Only the source's own timer is heard.
        due, clock._due = clock._due, [min(clock._due)]
        clock.advance(0.5)
        clock._due = due[1:]
        clock._now += 11
        await settle()
        assert layer.times("publish") == 1
        clock.advance(0)
        await after(clock, 0)
        assert feed.take() == ["begin a", "end a"]


async def test_a_broker_that_is_away_stops_it() -> None:
    """What can't be published is not skipped: it begins anew when it can be."""
    feed, one, layer = Feed(), Recorder(), ScriptedLayer()
    async with fed(feed, layer, per="cluster", lease=16) as (clock, [(groups, group)]):
        await join(groups, group("a"), one)
        await after(clock, 2.5)
        layer.failing.update(("publish", "hold"))
        await after(clock, 1)
        assert feed.take() == ["begin a", "end a"]
        await after(clock, 60)
        assert feed.take() == []
        layer.failing.clear()
        await after(clock, 5.5)
        assert feed.take() == ["begin a"]
        assert one.texts[:3] == ["0", "1", "0"]


async def test_a_value_that_has_no_form_for_others_is_dropped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The source goes on."""

    class Odd(Feed):
        async def run(self, name: str):  # type: ignore[no-untyped-def] # noqa: ANN202
            async for value in super().run(name):
                yield object() if value == 1 else value

    feed, one = Odd(), Recorder()
    async with fed(feed, ScriptedLayer(), per="cluster") as (clock, [(groups, group)]):
        await join(groups, group("a"), one)
        await after(clock, 3)
        assert one.texts == ["0", "2"]
        assert feed.take() == ["begin a"]
    assert MessageNotEncodable.__name__ not in caplog.text
    assert "a publication to feed.a is dropped" in caplog.text


async def test_stopped_while_it_is_taken_nothing_starts() -> None:
    """A stop that comes while the layer is asked for the lease counts."""
    feed, one, layer = Feed(), Recorder(), ScriptedLayer()
    async with fed(feed, layer, per="cluster") as (clock, [(groups, group)]):
        answered = layer.blocked["hold"] = anyio.Event()
        await join(groups, group("a"), one)
        await after(clock, 0)
        await groups.stop(group("a"))
        del layer.blocked["hold"]
        answered.set()
        await after(clock, 60)
        assert feed.take() == []
        leave(groups, group("a"), one)
        await after(clock, 0)
        assert not holds(layer.store, clock)


async def test_the_end_of_the_groups_gives_it_back() -> None:
    """A process that ends in good order is followed at once."""
    feed, one, other = Feed(), Recorder(), Recorder()
    layers = two()
    async with fed(feed, layers[0], per="cluster") as (clock, [(there, a)]):
        async with fed(feed, layers[1], per="cluster") as (inner, [(here, b)]):
            await join(here, b("a"), one)
            await after(inner, 1)
            await join(there, a("a"), other)
            await after(clock, 0)
        await after(clock, 0)
        assert feed.take() == ["begin a", "end a", "begin a"]
        assert feed.most == 1


@pytest.mark.parametrize("call", ["hold", "publish", "release", "history"])
@pytest.mark.parametrize("leaves", [True, False])
async def test_cancelled_at_any_call_it_holds_nothing(call: str, leaves: bool) -> None:
    """Whichever call the end comes in, the lease is given back and nothing runs."""
    feed, one, layer = Feed(values=3), Recorder(), ScriptedLayer()
    options = {"history": History(ttl=5)} if call == "history" else {"per": "cluster"}
    async with fed(feed, layer, linger=0, **options) as (clock, [(groups, group)]):
        if call == "release":
            leave_soon = anyio.Event()
            layer.blocked[call] = leave_soon
        for seconds in (0, 0, 1, 1, 1, 3, 1, 1):
            if call != "release":
                layer.blocked[call] = anyio.Event()
            with CancelScope() as scope:
                scope.cancel()
                await join(groups, group("a"), one)
            await after(clock, seconds)
            if leaves:
                leave(groups, group("a"), one)
            else:
                await groups.stop(group("a")) if call != "publish" else None
            for event in layer.blocked.values():
                event.set()
            layer.blocked.clear()
            leave(groups, group("a"), one)
            await after(clock, 20)
            assert feed.running == 0
            assert not holds(layer.store, clock)
            assert not groups._local().sources._runners
        assert feed.most <= 1


@pytest.mark.parametrize("steps", range(0, 60, 3))
async def test_cancelled_at_any_step_it_holds_nothing(steps: int) -> None:
    """However far it got when the groups end, others find everything free."""
    feed, one, layer = Feed(), Recorder(), ScriptedLayer()
    with fail_after(10):
        async with (
            fed(feed, layer, per="cluster", linger=0) as (
                clock,
                [(groups, group)],
            ),
            create_task_group() as tasks,
        ):
            tasks.start_soon(join, groups, group("a"), one)
            for step in range(steps):
                await anyio.lowlevel.checkpoint()
                if step == 20:
                    clock.advance(1)
                if step == 40:
                    leave(groups, group("a"), one)
            tasks.cancel_scope.cancel()
    assert feed.running == 0
    assert feed.log.count("begin a") == feed.log.count("end a")
    assert LEASE not in layer.store.leases


# Over a real broker


async def test_one_runs_for_all_who_share_a_broker(valkey: Valkey) -> None:
    """Two processes' groups hand a source over, and a third's stop ends it."""
    feed, one, other = Feed(), Recorder(), Recorder()
    made = [Groups(valkey.url) for _ in range(3)]
    here, there, third = made
    group = here.source("feed.{name}", per="cluster", linger=0)(feed.quick)
    there.source("feed.{name}", per="cluster", linger=0)(feed.quick)
    third.source("feed.{name}", per="cluster", linger=0)(feed.quick)
    with fail_after(20):
        async with here, there, third:
            await join(here, group("a"), one)
            await until(lambda: len(one.texts) > 3)
            await join(there, "feed.a", other)
            await until(lambda: len(other.texts) > 3)
            assert feed.take() == ["begin a"]
            leave(here, "feed.a", one)
            await until(lambda: feed.log == ["end a", "begin a"])
            feed.take()
            await third.stop("feed.a")
            await until(lambda: feed.log == ["end a"])
            leave(there, "feed.a", other)
            await until(lambda: not there._local().sources._runners)
        assert feed.most == 1
        assert [key for key in valkey.keys() if "source" in key] == []  # noqa: SIM118


async def test_who_does_not_renew_is_followed(valkey: Valkey) -> None:
    """The broker forgets a lease by itself, and who waits takes it."""
    feed, one = Feed(), Recorder()
    groups, killed = Groups(valkey.url), Groups(valkey.url)
    group = groups.source("feed.{name}", per="cluster", lease=0.6)(feed.quick)
    with fail_after(20):
        async with groups, killed:
            assert await killed._local().layer.hold(LEASE, 0.6)
            await join(groups, group("a"), one)
            await until(lambda: bool(one.texts))


async def until(condition: object) -> None:
    """Wait for something that a broker takes part in."""
    assert callable(condition)
    while not condition():  # noqa: ASYNC110  nobody here could set an event
        await anyio.sleep(0.005)
