"""One event loop's part: what goes to the layer, and what comes back from it."""

from __future__ import annotations

import logging

import anyio
import msgspec
import pytest
from anyio import create_task_group, fail_after

from consumers import Group, Groups, History, LayerUnavailable, MessageNotEncodable
from consumers.codecs import CODECS
from consumers.groups import Publication
from consumers.layers import MemoryStore
from consumers.testing.settling import settle
from consumers_tests.groups.members import Recorder, join, leave
from consumers_tests.groups.running import after, passing_time, running
from consumers_tests.groups.scripted_layer import ScriptedLayer


class Said(msgspec.Struct, tag=True):
    text: str


class Left(msgspec.Struct, tag=True):
    who: str


ROOM = Group("room.{name}")
TYPED = Group("typed", sends=Said | Left)
KEPT = Group("kept.{name}", history=History(size=100))


class Keeper(Recorder):
    """A member that keeps the publications themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.publications: list[Publication] = []

    def deliver(self, publication: Publication) -> None:
        self.publications.append(publication)


def two_processes() -> list[ScriptedLayer]:
    store = MemoryStore()
    return [ScriptedLayer(store), ScriptedLayer(store)]


async def test_publications_reach_the_members_of_every_process() -> None:
    """In the order of the publisher's calls."""
    async with running(*two_processes(), declared=[ROOM]) as (here, there):
        one, two = Recorder(), Recorder()
        await join(here, ROOM("a"), one)
        await join(there, ROOM("a"), two)
        for number in range(5):
            await here.publish(ROOM("a"), number)
        await there.publish(ROOM("a"), "back")

        assert one.texts == two.texts == ["0", "1", "2", "3", "4", '"back"']


async def test_publish_returns_when_the_members_here_have_it() -> None:
    """So that a direct message which the same task sends next comes after it."""
    layer = ScriptedLayer()
    async with passing_time(), running(layer, declared=[ROOM]) as [groups]:
        member = Recorder()
        await join(groups, ROOM("a"), member)
        published = anyio.Event()
        delivering = layer.take
        waiting: list[tuple[object, ...]] = []
        layer.take = lambda *args: waiting.append(args)  # type: ignore[method-assign]

        async def publish() -> None:
            await groups.publish(ROOM("a"), 1)
            published.set()

        async with create_task_group() as tasks:
            tasks.start_soon(publish)
            await settle()
            assert not published.is_set()
            delivering(*waiting[0])  # type: ignore[arg-type]
            await published.wait()
        assert member.texts == ["1"]


async def test_a_publisher_does_not_wait_for_ever() -> None:
    """An echo that is lost is waited for some seconds, or until the layer is back."""
    layer = ScriptedLayer()
    async with passing_time() as clock, running(layer, declared=[ROOM]) as [groups]:
        await join(groups, ROOM("a"), Recorder())
        layer.cut_off = True
        with fail_after(5):
            async with create_task_group() as tasks:
                tasks.start_soon(groups.publish, ROOM("a"), 1)
                await after(clock, 5)
            async with create_task_group() as tasks:
                tasks.start_soon(groups.publish, ROOM("a"), 2)
                await settle()
                assert layer.receiver is not None
                layer.receiver.resumed()


async def test_many_go_out_in_one_call() -> None:
    """`publish_many` costs one round trip, whatever groups they go to."""
    layer = ScriptedLayer()
    async with running(layer, declared=[KEPT]) as [groups]:
        member = Recorder()
        await join(groups, ROOM("a"), member)
        layer.calls.clear()
        positions = await groups.publish_many(
            [(ROOM("a"), 1), (KEPT("b"), 2), (ROOM("a"), 3), (KEPT("b"), 4)]
        )

        assert layer.times("publish") == 1
        assert member.texts == ["1", "3"]
        assert [each and each.offset for each in positions] == [None, 1, None, 2]


async def test_an_excluded_member_is_excluded_in_its_process_alone() -> None:
    """It is named by its id, which no other process has."""
    async with running(*two_processes(), declared=[ROOM]) as (here, there):
        one, two = Recorder(), Recorder()
        await join(here, ROOM("a"), one)
        await join(there, ROOM("a"), two)
        await here.publish(ROOM("a"), 1, exclude=one)

        assert (one.texts, two.texts) == ([], ["1"])


async def test_types_are_what_the_group_sends() -> None:
    """Other processes get the declared types again; builtins where none are."""
    async with running(*two_processes(), declared=[TYPED]) as (here, there):
        typed, untyped = Keeper(), Keeper()
        await join(there, TYPED, typed)
        await join(there, ROOM("a"), untyped)
        for message in (Said("a"), Left("b")):
            await here.publish(TYPED, message)
        await here.publish(ROOM("a"), Said("c"))
        await here.publish(ROOM("a"), b"\x00")

        assert [each.message for each in typed.publications] == [Said("a"), Left("b")]
        assert [each.message for each in untyped.publications] == [
            {"type": "Said", "text": "c"},
            b"\x00",
        ]


async def test_what_does_not_travel_is_told_to_the_publisher() -> None:
    """A message without a form in MessagePack never leaves."""
    layer = ScriptedLayer()
    async with running(layer, declared=[]) as [groups]:
        await join(groups, "a", Recorder())
        with pytest.raises(MessageNotEncodable, match="must have a MessagePack form"):
            await groups.publish("a", object())
        assert groups._loop.get()._echoes == {}  # type: ignore[union-attr]


async def test_what_is_no_publication_is_counted_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Another program on the same channel, or a later release, breaks nothing."""
    layer = ScriptedLayer()
    async with running(layer, declared=[TYPED]) as [groups]:
        member = Recorder()
        await join(groups, TYPED, member)
        later = msgspec.msgpack.encode([2, 0, "x", None, {"type": "Said"}])
        wrong = msgspec.msgpack.encode([1, 0, "x", None, {"type": "Other"}])
        kind = msgspec.msgpack.encode([1, 99, "x", None, 1])
        for payload in (b"", b"garbage", later, wrong, kind):
            assert layer.receiver is not None
            layer.receiver.deliver("typed", payload, None)
        await groups.publish(TYPED, Said("fine"))

        assert member.texts == ['{"type":"Said","text":"fine"}']
        assert groups.statistics()["unreadable"] == 5
        assert caplog.text.count("is no publication") == 5


async def test_a_member_that_cannot_send_it_is_logged_where_it_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The publisher may be in another process; the other members get it."""
    async with running(*two_processes(), declared=[ROOM]) as (here, there):
        text, other = Recorder(CODECS["text"]), Recorder()
        await join(there, ROOM("a"), text)
        await join(there, ROOM("a"), other)
        await here.publish(ROOM("a"), {"not": "a text"})

        assert other.texts == ['{"not":"a text"}']
        [record] = [each for each in caplog.records if each.levelno == logging.ERROR]
        assert "a publication to room.a is dropped" in record.message


async def test_a_user_is_disconnected_everywhere() -> None:
    """Every process closes its own; the count is of this one."""
    async with running(*two_processes(), declared=[]) as (here, there):
        from consumers.groups import user_group

        one, two = Recorder(), Recorder()
        await join(here, user_group("ana"), one)
        await join(there, user_group("ana"), two)

        assert await here.disconnect(user="ana", code=4001, reason="again") == 1
        assert one.ends == two.ends == [(4001, "again")]


async def test_one_connection_is_reached_in_whichever_process_it_is() -> None:
    """By its id, and nobody else gets it."""
    async with running(*two_processes(), declared=[]) as (here, there):
        one, two = Recorder(), Recorder()
        from consumers.handshake.connection import process_id

        one.id = f"{process_id()}-one"
        there.named(one)
        await join(there, "a", one)
        await join(there, "a", two)
        await here.send(one.id, "for you")

        assert (one.texts, two.texts) == (['"for you"'], [])


async def test_a_broker_that_is_away_is_told_to_the_publisher() -> None:
    """And nothing waits for an echo any more."""
    layer = ScriptedLayer()
    async with running(layer, declared=[]) as [groups]:
        await join(groups, "a", Recorder())
        layer.failing.add("publish")
        with pytest.raises(LayerUnavailable):
            await groups.publish("a", 1)
        assert groups._loop.get()._echoes == {}  # type: ignore[union-attr]


async def test_a_repetition_does_not_come_back() -> None:
    """With a key it may have been published before; then nothing is waited for."""
    layer = ScriptedLayer()
    async with passing_time(), running(layer, declared=[KEPT]) as [groups]:
        member = Recorder()
        await join(groups, KEPT("a"), member)
        first = await groups.publish(KEPT("a"), 1, idempotency_key="x")
        again = await groups.publish(KEPT("a"), 1, idempotency_key="x")

        assert first == again
        assert member.texts == ["1"]


async def test_the_lifespan_may_be_entered_twice() -> None:
    """Two applications that share groups: the first that came keeps them running."""
    layer = ScriptedLayer()
    async with running(layer, declared=[]) as [groups]:
        async with groups.lifespan():
            pass
        member = Recorder()
        await join(groups, "a", member)
        await groups.publish("a", 1)
        assert member.texts == ["1"]


async def test_what_started_lazily_can_run_later() -> None:
    """Groups in memory that were used before their lifespan keep their members."""
    groups = Groups()
    member = Recorder()
    await join(groups, "a", member)
    async with groups:
        await groups.publish("a", 1)
        leave(groups, "a", member)
    assert member.texts == ["1"]


async def test_what_a_lifespan_raises_is_raised() -> None:
    """The groups' task group does not wrap it."""
    with pytest.raises(KeyError, match="mine"):
        async with Groups():
            raise KeyError("mine")


async def test_a_task_of_the_groups_that_fails_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It takes nothing along."""
    groups = Groups()

    async def fails() -> None:
        raise ValueError("a bug")

    async with groups:
        local = await groups._here()
        local.spawn(fails)
        await settle()
        assert local.is_running
    assert "fails of the groups failed" in caplog.text


async def test_health_is_told_and_not_raised() -> None:
    """For a readiness check: whether the layer answers, and what is wrong."""
    layer = ScriptedLayer()
    async with running(layer, declared=[]) as [groups]:
        health = await groups.health()
        assert (health.ok, health.latency, health.detail) == (True, 0.001, "")
        layer.failing.add("check")
        health = await groups.health()
        assert (health.ok, health.detail) == (False, "check can't be carried out")
    assert (await Groups().health()).ok
