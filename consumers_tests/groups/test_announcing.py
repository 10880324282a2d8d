"""Who is present: entered, renewed, told of in batches, and gone with its process."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from consumers import (
    ConfigurationError,
    Group,
    Groups,
    Identity,
    MessageNotEncodable,
    Presence,
    PresenceDiff,
    Present,
    StateError,
)
from consumers.groups import Kind, Publication
from consumers.layers import MemoryStore
from consumers.testing.settling import settle
from consumers_tests.groups.members import Recorder, join, leave
from consumers_tests.groups.running import after, passing_time, running
from consumers_tests.groups.scripted_layer import ScriptedLayer

ROOM = Group("room.{name}", presence=Presence(lease=30, linger=2, batch=0.1))
LOBBY = ROOM("lobby")


class Listener(Recorder):
    """A member that keeps the presence diffs it gets."""

    def __init__(self, key: str | None = None) -> None:
        super().__init__(user=None if key is None else Identity(key))
        self.diffs: list[PresenceDiff] = []

    def deliver(self, publication: Publication) -> None:
        if publication.kind is Kind.PRESENCE:
            self.diffs.append(publication.message)
        else:
            super().deliver(publication)

    def told(self) -> list[tuple[list[str], list[str], list[str]]]:
        """Return who joined, was updated and left, diff by diff, and forget them."""
        diffs, self.diffs = self.diffs, []
        return [
            (
                [each.key for each in diff.joined],
                [each.key for each in diff.updated],
                list(diff.left),
            )
            for diff in diffs
        ]


async def test_arrivals_are_told_in_one_batch() -> None:
    """Who comes within a tenth of a second is told of together, with metadata."""
    layer = ScriptedLayer()
    async with passing_time() as clock, running(layer, declared=[ROOM]) as [groups]:
        ana, bo = Listener("ana"), Listener("bo")
        await join(groups, LOBBY, ana, presence={"colour": "red"})
        await join(groups, LOBBY, bo, presence={"colour": "blue"})
        await after(clock, 0.11)

        joined = (
            Present("ana", (ana.id,), {"colour": "red"}),
            Present("bo", (bo.id,), {"colour": "blue"}),
        )
        assert ana.diffs == bo.diffs == [PresenceDiff(joined=joined)]


async def test_several_connections_are_one_user() -> None:
    """A second tab neither joins nor leaves; the last one that goes does."""
    layer = ScriptedLayer()
    async with passing_time() as clock, running(layer, declared=[ROOM]) as [groups]:
        ana, bo, tab = Listener("ana"), Listener("bo"), Listener("bo")
        for member in (ana, bo, tab):
            await join(groups, LOBBY, member, presence=1)
        await after(clock, 1)
        ana.told()
        assert await groups.count(LOBBY) == 3
        assert await groups.count(LOBBY, users=True) == 2
        assert await groups.presence(LOBBY) == [
            Present("ana", (ana.id,), 1),
            Present("bo", (bo.id, tab.id), 1),
        ]

        leave(groups, LOBBY, bo)
        await after(clock, 5)
        assert ana.told() == []
        leave(groups, LOBBY, tab)
        await after(clock, 5)
        assert ana.told() == [([], [], ["bo"])]


async def test_a_page_that_is_reloaded_does_not_flap() -> None:
    """Back within the linger, at whichever process, it is an update, nothing else."""
    store = MemoryStore()
    layers = [ScriptedLayer(store), ScriptedLayer(store)]
    async with passing_time() as clock, running(*layers, declared=[ROOM]) as both:
        here, there = both
        ana, bo = Listener("ana"), Listener("bo")
        await join(here, LOBBY, ana)
        await join(here, LOBBY, bo)
        await after(clock, 1)
        ana.told()

        leave(here, LOBBY, bo)
        await after(clock, 1)
        back = Listener("bo")
        await join(there, LOBBY, back)
        await after(clock, 10)

        assert ana.told() == [([], ["bo"], [])]
        assert [each.key for each in await here.presence(LOBBY)] == ["ana", "bo"]


async def test_who_comes_and_goes_within_a_batch_is_never_told() -> None:
    """Nobody has seen them."""
    presence = Presence(linger=0, batch=1)
    room = Group("brief", presence=presence)
    layer = ScriptedLayer()
    async with passing_time() as clock, running(layer, declared=[room]) as [groups]:
        ana, bo = Listener("ana"), Listener("bo")
        await join(groups, room, ana)
        await after(clock, 2)
        ana.told()
        await join(groups, room, bo)
        await after(clock, 0.2)
        leave(groups, room, bo)
        await after(clock, 3)

        assert ana.told() == []


async def test_metadata_can_be_updated() -> None:
    """The group is told, once, of the latest."""
    layer = ScriptedLayer()
    async with passing_time() as clock, running(layer, declared=[ROOM]) as [groups]:
        ana = Listener("ana")
        await join(groups, LOBBY, ana, presence="here")
        await after(clock, 1)
        ana.diffs.clear()
        for metadata in ("away", "busy"):
            await groups.enter(LOBBY, ana, metadata)
        await after(clock, 1)

        assert ana.diffs == [PresenceDiff(updated=(Present("ana", (ana.id,), "busy"),))]


async def test_a_killed_process_leaves_nobody_behind() -> None:
    """Its members are gone for all within a lease and a third, told once."""
    store = MemoryStore()
    here, killed = ScriptedLayer(store), ScriptedLayer(store)
    async with passing_time() as clock, running(here, killed, declared=[ROOM]) as both:
        ana, bo = Listener("ana"), Listener("bo")
        await join(both[0], LOBBY, ana)
        await join(both[1], LOBBY, bo)
        await after(clock, 1)
        ana.told()
        killed.failing |= {"renew", "exit", "enter"}  # it does nothing any more
        await after(clock, 40)

        assert [each.key for each in await both[0].presence(LOBBY)] == ["ana"]
        assert ana.told() == [([], [], ["bo"])]


async def test_who_is_alive_stays() -> None:
    """The control of that: leases are renewed, all groups of a process at once."""
    store = MemoryStore()
    layers = [ScriptedLayer(store), ScriptedLayer(store)]
    async with passing_time() as clock, running(*layers, declared=[ROOM]) as both:
        ana = Listener("ana")
        for number in range(20):
            await join(both[0], ROOM(str(number)), ana)
        await join(both[1], ROOM("0"), Listener("bo"))
        await after(clock, 1)
        ana.told()
        layers[0].calls.clear()
        await after(clock, 100)

        assert [each.key for each in await both[1].presence(ROOM("0"))] == ["ana", "bo"]
        assert ana.told() == []
        assert layers[0].times("renew") == 10
        assert len(layers[0].calls[0]) == 21


async def test_what_the_broker_has_lost_is_entered_again() -> None:
    """At the next renewal, or at once where the layer was cut off."""
    layer = ScriptedLayer()
    async with passing_time() as clock, running(layer, declared=[ROOM]) as [groups]:
        members = [Listener(key) for key in ("ana", "bo")]
        for member in members:
            await join(groups, LOBBY, member, presence=member.user.identity)
        layer.store.clear()
        assert await groups.presence(LOBBY) == []
        await after(clock, 10.1)
        assert [each.metadata for each in await groups.presence(LOBBY)] == ["ana", "bo"]

        layer.store.clear()
        assert layer.receiver is not None
        layer.receiver.resumed()
        await settle()
        assert [each.metadata for each in await groups.presence(LOBBY)] == ["ana", "bo"]


@pytest.mark.parametrize("pause", [0.1, 1, 1.9, 2.1])
async def test_everybody_who_leaves_is_told(pause: float) -> None:
    """Also who leaves while somebody else's departure waits to be told."""
    layer = ScriptedLayer()
    async with passing_time() as clock, running(layer, declared=[ROOM]) as [groups]:
        ana, bo, eve = (Listener(key) for key in ("ana", "bo", "eve"))
        for member in (ana, bo, eve):
            await join(groups, LOBBY, member)
        await after(clock, 1)
        ana.told()
        leave(groups, LOBBY, bo)
        await after(clock, pause)
        leave(groups, LOBBY, eve)
        await after(clock, 4)

        assert [key for _, _, left in ana.told() for key in left] == ["bo", "eve"]


async def test_departures_go_out_together() -> None:
    """A hundred clients that leave at once cost one call."""
    layer = ScriptedLayer()
    async with passing_time() as clock, running(layer, declared=[ROOM]) as [groups]:
        members = [Listener(str(number)) for number in range(100)]
        for member in members:
            await join(groups, LOBBY, member)
        layer.calls.clear()
        for member in members:
            leave(groups, LOBBY, member)
        await settle()
        assert layer.times("exit") == 1
        assert await groups.count(LOBBY) == 0
        await after(clock, 5)
        assert layer.times("renew") <= 2


async def test_a_departure_that_the_broker_missed_is_sent_again() -> None:
    """Else the renewed lease of those who stay would keep it present for ever."""
    layer = ScriptedLayer()
    async with passing_time() as clock, running(layer, declared=[ROOM]) as [groups]:
        ana, bo = Listener("ana"), Listener("bo")
        await join(groups, LOBBY, ana)
        await join(groups, LOBBY, bo)
        layer.failing.add("exit")
        leave(groups, LOBBY, bo)
        await after(clock, 1)
        layer.failing.clear()
        await after(clock, 10)

        assert [each.key for each in await groups.presence(LOBBY)] == ["ana"]


@pytest.mark.parametrize("slow", [False, True])
async def test_who_leaves_and_comes_back_at_once_is_present(slow: bool) -> None:
    """Though the departure reaches the broker after the return."""
    layer = ScriptedLayer()
    async with passing_time() as clock, running(layer, declared=[ROOM]) as [groups]:
        ana, bo = Listener("ana"), Listener("bo")
        await join(groups, LOBBY, ana)
        await join(groups, LOBBY, bo)
        if slow:
            layer.blocked["exit"] = anyio.Event()
        leave(groups, LOBBY, bo)
        if slow:
            await settle()
        await join(groups, LOBBY, bo)
        if slow:
            layer.blocked["exit"].set()
        await after(clock, 5)

        assert [each.key for each in await groups.presence(LOBBY)] == ["ana", "bo"]
        assert ana.told()[-1][2] == []


async def test_the_last_one_goes_though_an_earlier_departure_was_missed() -> None:
    """Both are sent: with nobody left no renewal would bring that up again."""
    layer = ScriptedLayer()
    async with passing_time() as clock, running(layer, declared=[ROOM]) as [groups]:
        ana, bo = Listener("ana"), Listener("bo")
        await join(groups, LOBBY, ana)
        await join(groups, LOBBY, bo)
        layer.failing.add("exit")
        leave(groups, LOBBY, bo)
        await after(clock, 1)
        layer.failing.clear()
        leave(groups, LOBBY, ana)
        await after(clock, 1)

        assert await groups.presence(LOBBY) == []


@pytest.mark.parametrize("fails", [False, True])
async def test_groups_without_members_are_forgotten(fails: bool) -> None:
    """Names come from clients: what is known of them must not pile up."""
    layer = ScriptedLayer()
    async with passing_time() as clock, running(layer, declared=[ROOM]) as [groups]:
        member = Recorder()
        if fails:
            layer.failing |= {"exit", "publish"}
        for number in range(20):
            await join(groups, ROOM(str(number)), member)
            leave(groups, ROOM(str(number)), member)
        await after(clock, 60)

        local = await groups._here()
        it = local.announcing
        known = (it._declared, it._entries, it._exits, it._leaving, it._gathered)
        assert not any(known)
        assert len(local.subscribing.of) == 1
        assert not local.hub.members
    groups = Groups()
    await join(groups, LOBBY, member)
    leave(groups, LOBBY, member)
    assert not (await groups._here()).announcing._declared


async def test_who_leaves_while_entering_is_not_left_behind() -> None:
    """The departure follows the arrival."""
    layer = ScriptedLayer()
    async with passing_time() as clock, running(layer, declared=[ROOM]) as [groups]:
        member = Listener("ana")
        gate = layer.blocked["enter"] = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(join, groups, LOBBY, member)
            await settle()
            leave(groups, LOBBY, member)
            gate.set()
        await after(clock, 1)

        assert await groups.presence(LOBBY) == []


async def test_who_leaves_while_it_is_entered_again_is_not_left_behind() -> None:
    """Nor where the departure reaches the broker first; and who is gone is told."""
    layer = ScriptedLayer()
    async with passing_time() as clock, running(layer, declared=[ROOM]) as [groups]:
        ana, bo, cleo = Listener("ana"), Listener("bo"), Listener("cleo")
        for member in (ana, bo, cleo):
            await join(groups, LOBBY, member)
        await after(clock, 1)
        ana.told()
        leave(groups, LOBBY, cleo)
        await settle()
        layer.memory._stays.clear()  # as if the lease had run out
        gate = layer.blocked["enter"] = anyio.Event()
        await after(clock, 10)
        leave(groups, LOBBY, bo)
        await settle()
        gate.set()
        await after(clock, 5)

        assert [each.key for each in await groups.presence(LOBBY)] == ["ana"]
        gone = [key for diff in ana.told() for key in diff[2]]
        assert sorted(gone) == ["bo", "cleo"]


async def test_presence_works_without_a_lifespan_in_memory() -> None:
    """Who is there is known; nobody is told of changes, for which tasks are needed."""
    groups = Groups()
    members = [Recorder(user=Identity(key)) for key in ("ana", "bo")]
    for member in members:
        await join(groups, LOBBY, member, presence=member.user.identity)
    leave(groups, LOBBY, members[0])

    assert [each.key for each in await groups.presence(LOBBY)] == ["bo"]
    with pytest.raises(StateError, match="needs the groups of memory://"):
        await groups.join([LOBBY], Recorder(), hears_presence=True)


@pytest.mark.parametrize("metadata", [object(), {1: object()}])
async def test_metadata_must_travel(metadata: Any) -> None:
    """What has no form in MessagePack is refused at once, in memory too."""
    with pytest.raises(MessageNotEncodable):
        await join(Groups(), LOBBY, Recorder(), presence=metadata)


async def test_presence_must_be_declared() -> None:
    """Otherwise nobody knows who is there."""
    groups = Groups()
    for call in (
        groups.presence("plain"),
        groups.count("plain", users=True),
        groups.enter(groups.resolve("plain"), Recorder(), 1),
    ):
        with pytest.raises(ConfigurationError, match="declared with presence=True"):
            await call
