"""What runs inside the broker, seen from outside: what is kept, lost and forgotten."""

import json
from collections.abc import Callable

import pytest

from consumers.history import History, Position
from consumers.layers.redis.calls import Calls
from consumers.layers.redis.names import Names
from consumers.layers.redis.scripts import SCRIPTS
from consumers_tests.layers.broken import KEEP, listening, restart
from consumers_tests.layers.conformance.tools import Note, entry, messages, publish
from consumers_tests.valkey import Valkey

Say = Callable[..., Position | None]


@pytest.fixture
def say(valkey: Valkey) -> Say:
    """Return what publishes a note as if in a certain run of the server."""
    calls = Calls(Names("consumers"), "tests")

    def say(
        note: Note, run: str = "first", *, retried: bool = False
    ) -> Position | None:
        call = calls.publish(note, run, retried=retried)
        return calls.position(valkey.command("EVAL", *call.by_text()))

    return say


def test_each_script_has_its_own_name_and_sum() -> None:
    """The sum is what the broker calls it by."""
    assert len({script.name for script in SCRIPTS}) == len(SCRIPTS)
    assert {len(script.sha) for script in SCRIPTS} == {40}
    assert repr(SCRIPTS[0]) == "<Script publish>"


async def test_the_sums_are_those_of_the_broker(valkey: Valkey) -> None:
    """All scripts are known by their sums once a layer is connected."""
    valkey.command("SCRIPT", "FLUSH")
    async with listening(valkey.url):
        sums = [script.sha for script in SCRIPTS]

        assert valkey.command("SCRIPT", "EXISTS", *sums) == [1] * len(SCRIPTS)


def test_what_is_said_again_is_kept_once(say: Say) -> None:
    """A parcel that may have been kept is looked for by its id, also far back.

    The control: what is not said to be said again is kept again.
    """
    note = Note("a", "once", KEEP)
    first = say(note)
    for number in range(250):
        say(Note("a", number, KEEP))

    assert say(note, retried=True) == first
    assert (new := say(note)) is not None
    assert new.offset == 252
    assert say(Note("a", "lost on its way", KEEP), retried=True) is not None


async def test_a_new_run_leaves_room_for_what_was_lost(
    valkey: Valkey, say: Say
) -> None:
    """Offsets that somebody may have seen before a crash are not given again.

    Who stands where the history ended has missed nothing. Who saw more is told that it
    can't be completed. The control: in the same run it goes on with the next offset.
    """
    for number in range(1, 4):
        end = say(Note("a", number, KEEP))
    assert end is not None
    assert end.offset == 3
    seen_and_lost = Position(5, end.epoch)
    after = say(Note("a", "after", KEEP), "second")
    say(Note("a", "more", KEEP), "second")

    assert after == Position(1_000_004, end.epoch)
    async with listening(valkey.url) as (layer, _):
        replay = await layer.history("a", KEEP, since=end)
        assert (replay.complete, messages(replay.kept)) == (True, ["after", "more"])
        replay = await layer.history("a", KEEP, since=after)
        assert (replay.complete, messages(replay.kept)) == (True, ["more"])
        replay = await layer.history("a", KEEP, since=Position(1, end.epoch))
        assert (replay.complete, messages(replay.kept)) == (
            True,
            [2, 3, "after", "more"],
        )
        assert not (await layer.history("a", KEEP, since=seen_and_lost)).complete


async def test_the_run_is_that_of_the_server() -> None:
    """After a restart with its data a history goes on in its epoch, higher up."""
    with Valkey(append=True) as server:
        async with listening(server.url) as (layer, ear):
            (before,) = await publish(layer, 1)
            server.kill()
            await restart(server)
            await ear.until_resumed()
            (after,) = await publish(layer, 2)

            assert after == Position(before.offset + 1_000_001, before.epoch)
            replay = await layer.history("a", KEEP, since=before)
            assert (replay.complete, messages(replay.kept)) == (True, [2])


async def test_wiped_data_are_told_by_a_new_epoch() -> None:
    """Whoever comes with a position of the lost history is told."""
    with Valkey() as server:
        async with listening(server.url) as (layer, ear):
            (before,) = await publish(layer, 1)
            server.wipe()
            await restart(server)
            await ear.until_resumed()
            (after,) = await publish(layer, 2)

            assert after.offset == 1
            assert after.epoch != before.epoch
            replay = await layer.history("a", KEEP, since=before)
            assert (replay.complete, messages(replay.kept)) == (False, [2])


async def test_everything_is_forgotten_in_the_end(valkey: Valkey) -> None:
    """Each key has an end, whatever was done, and none lasts longer than declared."""
    history = History(size=2, ttl=5, remember=50)
    async with listening(valkey.url) as (layer, _):
        notes = [Note("a", n, history, idempotency_key=f"k{n}") for n in range(5)]
        await layer.publish(notes)
        await layer.history("new", history)
        await layer.enter("a", [entry("c1", "ada"), entry("c2", "bob")], 5)
        await layer.exit("a", ["c1"], 1)
        await layer.renew({"a": 5})
        await layer.hold("lease", 5)

        keys = valkey.keys()
        seconds = {key: valkey.command("PTTL", key) / 1000 for key in keys}
        assert len(seconds) == 14
        for key, left in seconds.items():
            kind = key.partition("}:")[2].partition(":")[0]
            most = {"meta": 50, "once": 300, "log": 5, "lease": 5}.get(kind, 61)
            assert 0 < left <= most, key
        assert valkey.command("XLEN", "consumers:{a}:log") == 2

        await layer.exit("a", ["c2"], 0)
        left_over = valkey.command("PTTL", "consumers:{a}:users")
        assert 0 < left_over <= 11_000


async def test_a_layer_whose_stay_was_ended_is_told(valkey: Valkey) -> None:
    """Also when it has entered somebody else in the meantime.

    The control: as long as nothing was lost its lease is held.
    """
    async with listening(valkey.url) as (layer, _):
        await layer.enter("a", [entry("c1")], 30)
        assert (await layer.renew({"a": 30}))["a"].held
        valkey.command("FLUSHALL")
        await layer.enter("a", [entry("c2")], 30)

        assert not (await layer.renew({"a": 30}))["a"].held
        await layer.enter("a", [entry("c1"), entry("c2")], 30)
        assert (await layer.renew({"a": 30}))["a"].held
        await layer.exit("a", ["c1", "c2"], 0)
        assert layer._terms == {}


def test_metadata_and_users_are_any_bytes(valkey: Valkey) -> None:
    """What separates the parts of an entry may stand in them."""
    calls = Calls(Names("consumers"), "no:de")
    entries = [entry("c:1", "a:da", b"\x00:\xff:1"), entry("c2", "🙂", b"")]
    call = calls.enter("a", entries, 30, retried=False)
    _, changes = calls.changes(valkey.command("EVAL", *call.by_text()), entries)
    reply = valkey.command("EVAL", *calls.present("a").by_text())

    assert changes.joined == tuple(entries)
    assert calls.entries(reply) == entries


def test_who_may_have_entered_already_is_told_as_new(valkey: Valkey) -> None:
    """Entering again after a lost answer tells what the first answer would have.

    The control: without a doubt it is nothing new.
    """
    calls = Calls(Names("consumers"), "node")
    entries = [entry("c1", "ada"), entry("c2", "ada")]

    def enter(*, retried: bool) -> list[str]:
        call = calls.enter("a", entries[:1], 30, retried=retried)
        _, changes = calls.changes(valkey.command("EVAL", *call.by_text()), entries)
        return [each.user for each in changes.joined]

    assert [enter(retried=retried) for retried in (False, True, False)] == [
        ["ada"],
        ["ada"],
        [],
    ]


def test_a_kept_publication_is_an_entry_at_its_offset(valkey: Valkey, say: Say) -> None:
    """It holds the payload as it was, and the id."""
    with_history = Note("a", {"x": "ä:"}, KEEP)
    position = say(with_history)
    assert position is not None
    (kept,) = valkey.command("XRANGE", "consumers:{a}:log", "-", "+")

    assert kept[0] == b"1-0"
    assert kept[1] == [b"m", json.dumps({"x": "ä:"}).encode(), b"i", kept[1][3]]
