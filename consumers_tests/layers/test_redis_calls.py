"""Calls of the scripts: what they carry, and how their replies are read."""

import pytest

from consumers.history import Position
from consumers.layers.contract import Count
from consumers.layers.redis.calls import Calls, new_epoch, read_push
from consumers.layers.redis.names import Names
from consumers_tests.layers.broken import KEEP
from consumers_tests.layers.conformance.tools import Note

CALLS = Calls(Names("consumers"), "node")


def test_a_push_is_position_and_payload() -> None:
    """The payload may hold what separates them; not every group has positions."""
    assert read_push(b"17:k3jx:a:b") == (Position(17, "k3jx"), b"a:b")
    assert read_push(b"::payload") == (None, b"payload")
    with pytest.raises(ValueError, match="not enough values"):
        read_push(b"nothing of ours")


def test_an_epoch_fits_a_position() -> None:
    """As a text, a position with any new epoch can be read again."""
    for _ in range(100):
        position = Position(1, new_epoch())
        assert Position.parse(str(position)) == position


def test_a_sharded_call_publishes_and_asks_by_shard() -> None:
    """On a cluster the channels are those that it divides."""
    sharded = Calls(Names("consumers"), "node", sharded=True)
    note = Note("a", 1)

    assert sharded.publish(note, "run").arguments[0] == "SPUBLISH"
    assert CALLS.publish(note, "run").arguments[0] == "PUBLISH"
    assert sharded.subscribers("a")[1] == "SHARDNUMSUB"
    assert CALLS.subscribed()[1] == "CHANNELS"


def test_all_keys_of_a_call_have_its_tag() -> None:
    """So that a cluster takes them in one call."""
    keyed = Note("a", 1, KEEP, idempotency_key="k")
    for call in (
        CALLS.publish(keyed, "run"),
        CALLS.history("a", KEEP, "run"),
        CALLS.enter("a", [], 30, retried=False),
        CALLS.renew("a", 30),
        CALLS.hold("a", 30),
    ):
        assert call.group == "a"
        assert all("{a}" in str(key) for key in call.keys)
        assert call.by_sha()[1:] == call.by_text()[1:]
        assert call.by_sha()[1] == len(call.keys)


def test_a_part_is_complete_if_it_begins_where_it_was_asked() -> None:
    """What comes first names what it comes after, if that is not one less."""
    kept = [(b"4-0", [b"m", b"x", b"i", b"1"]), (b"5-0", [b"m", b"y", b"i", b"2"])]
    far = [(b"1000004-0", [b"m", b"x", b"i", b"1", b"a", b"3"])]

    def complete(
        offset: int, kept: object, top: bytes = b"5", epoch: str = "e"
    ) -> bool:
        reply = [b"e", top, kept]
        return CALLS.replay(reply, Position(offset, epoch), None).complete

    assert complete(3, kept)
    assert not complete(2, kept)
    assert not complete(3, kept, epoch="other")
    assert complete(5, [])
    assert not complete(4, [])
    assert complete(3, far, b"1000004")
    assert not complete(2, far, b"1000004")
    assert not CALLS.replay([b"e", b"5", kept], None, None).complete


def test_a_limit_of_nothing_still_tells_whether_anything_is_missing() -> None:
    """One is fetched for that, and not returned."""
    kept = [(b"4-0", [b"m", b"x", b"i", b"1"])]
    replay = CALLS.replay([b"e", b"9", kept], Position(3, "e"), 0)

    assert (replay.complete, replay.kept, replay.position) == (
        True,
        (),
        Position(9, "e"),
    )


def test_counts_and_standings_are_read() -> None:
    """Nothing is a standing of its own."""
    assert CALLS.counted([3, 2]) == Count(3, 2)
    assert CALLS.stands([None, None]) is None
    assert CALLS.stands([b"e", b"7"]) == Position(7, "e")
    assert CALLS.position(b"") is None
