"""What a new member has missed, joined to what comes from then on."""

from __future__ import annotations

import anyio
import pytest
from anyio import create_task_group

from consumers import Group, Groups, History, Position
from consumers.groups import Publication
from consumers.layers import MemoryStore
from consumers.testing.settling import settle
from consumers_tests.groups.members import Recorder
from consumers_tests.groups.running import running
from consumers_tests.groups.scripted_layer import ScriptedLayer

KEPT = Group("kept", history=History(size=100))


async def come_back(groups: Groups, member: Recorder, since: Position | None) -> bool:
    """Join as a connection does that returns; return whether all was recovered."""
    name = KEPT()
    [membership] = await groups.join([name], member, hold=True)
    past = await groups.past(name, since, None)
    for publication in past.publications:
        member.deliver(publication)
    groups.release(name, membership, member, past.recovery.position)
    return past.recovery.recovered


async def test_a_replay_that_is_ahead_of_the_layer_makes_no_doubles() -> None:
    """The history may have what is still on its way to this process's members."""
    store = MemoryStore()
    layers = [ScriptedLayer(store), ScriptedLayer(store)]
    async with running(*layers, declared=[KEPT]) as (here, there):
        local, member = Recorder(), Recorder()
        await come_back(here, local, None)
        start = await there.publish(KEPT, 1)
        late: list[tuple[object, ...]] = []
        take = layers[0].take
        layers[0].take = lambda *args: late.append(args)  # type: ignore[method-assign]
        await there.publish(KEPT, 2)
        await there.publish(KEPT, 3)

        assert await come_back(here, member, start)
        assert (local.texts, member.texts) == (["1"], ["2", "3"])
        layers[0].take = take  # type: ignore[method-assign]
        for args in late:
            take(*args)  # type: ignore[arg-type]
        await there.publish(KEPT, 4)

        assert local.texts == ["1", "2", "3", "4"]
        assert member.texts == ["2", "3", "4"]


async def test_what_comes_while_the_history_is_asked_comes_once() -> None:
    """Whether the history has it already or not."""
    layer = ScriptedLayer()
    async with running(layer, declared=[KEPT]) as [groups]:
        start = await groups.publish(KEPT, 1)
        await groups.publish(KEPT, 2)
        member = Recorder()
        gate = layer.blocked["history"] = anyio.Event()
        async with create_task_group() as tasks:
            tasks.start_soon(come_back, groups, member, start)
            await settle()
            await groups.publish(KEPT, 3)
            gate.set()
        await groups.publish(KEPT, 4)

        assert member.texts == ["2", "3", "4"]


async def test_what_is_kept_and_no_publication_is_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Another program's entry, or a later release's, keeps nobody from coming back."""
    layer = ScriptedLayer()
    async with running(layer, declared=[KEPT]) as [groups]:
        start = await groups.publish(KEPT, 1)
        foreign = Publication("kept", "x", declared=KEPT)
        foreign._payload = b"garbage"
        await layer.memory.publish([foreign])
        await groups.publish(KEPT, 2)
        member = Recorder()

        assert await come_back(groups, member, start)
        assert member.texts == ["2"]
        excerpt = await groups.history(KEPT)
        assert [each.message for each in excerpt.publications] == [1, 2]
        assert groups.statistics()["unreadable"] == 2
        assert "has kept is no publication" in caplog.text


async def test_returns_are_counted() -> None:
    """Those that got everything, and those that did not."""
    layer = ScriptedLayer()
    async with running(layer, declared=[KEPT]) as [groups]:
        start = await groups.publish(KEPT, 1)
        assert await come_back(groups, Recorder(), start)
        assert not await come_back(groups, Recorder(), Position(1, "another"))
        assert not await come_back(groups, Recorder(), None)

        statistics = groups.statistics()
        assert statistics["recoveries"] == 1
        assert statistics["recoveries_failed"] == 1
