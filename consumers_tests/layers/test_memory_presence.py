"""Presence in memory: users, what they told last, and whose lease runs out."""

import pytest

from consumers.layers import Entry
from consumers.layers.memory_presence import MemoryPresence

HERE, THERE = object(), object()
RED, BLUE = b"\xa3red", b"\xa4blue"


def ada(connection: str, metadata: bytes = RED) -> Entry:
    return Entry(connection, "ada", metadata)


def test_an_update_is_what_differs_from_what_was_told_last() -> None:
    """A user has one metadata: the latest of all its connections."""
    presence = MemoryPresence()
    presence.enter(HERE, [ada("c1"), ada("c2", BLUE)], 10, 0.0)

    assert presence.enter(HERE, [ada("c1", BLUE)], 10, 0.0).updated == ()
    assert presence.enter(HERE, [ada("c2")], 10, 0.0).updated == (ada("c2"),)


@pytest.mark.parametrize("metadata", [RED, BLUE])
def test_who_returns_within_the_linger_is_updated(metadata: bytes) -> None:
    """Nobody joined; but who asked meanwhile does not know the user."""
    presence = MemoryPresence()
    presence.enter(HERE, [ada("c1")], 10, 0.0)
    presence.exit(["c1"], 2, 0.0)
    changes = presence.enter(HERE, [ada("c2", metadata)], 10, 1.0)

    assert (changes.joined, changes.updated) == ((), (ada("c2", metadata),))


def test_who_returns_too_late_has_joined_and_has_not_left() -> None:
    """Also where the departure was not told yet: somebody may have come meanwhile."""
    presence = MemoryPresence()
    presence.enter(HERE, [ada("c1")], 10, 0.0)
    presence.exit(["c1"], 2, 0.0)

    assert presence.enter(HERE, [ada("c2")], 10, 2.0).joined == (ada("c2"),)
    assert presence.renew(HERE, 10, 5.0) == ()


def test_a_connection_can_become_anothers() -> None:
    """Where a connection's user changes, one leaves and one joins."""
    presence = MemoryPresence()
    presence.enter(HERE, [ada("c1")], 10, 0.0)
    eve = Entry("c1", "eve", RED)

    assert presence.enter(HERE, [eve], 10, 0.0).joined == (eve,)
    assert presence.present() == [eve]
    assert presence.renew(HERE, 10, 0.0) == ("ada",)


def test_entering_does_not_shorten_a_lease() -> None:
    """What was entered for longer is there for longer."""
    presence = MemoryPresence()
    presence.enter(HERE, [ada("c1")], 10, 0.0)
    presence.enter(HERE, [ada("c2")], 1, 0.0)
    presence.expire(9.9)

    assert presence.count().connections == 2


def test_another_process_takes_an_entry_over() -> None:
    """An entry is there by the lease of whoever entered it last."""
    presence = MemoryPresence()
    presence.enter(HERE, [ada("c1")], 1, 0.0)
    presence.enter(THERE, [ada("c1")], 10, 0.0)
    presence.expire(5.0)
    assert presence.present() == [ada("c1")]
    assert presence.count().users == 1
    presence.expire(10.0)
    assert presence.present() == []


def test_it_is_forgotten_when_nobody_is_there_or_can_be_told() -> None:
    """An empty one is dropped; one that somebody left when that is told, or is idle."""
    presence = MemoryPresence()
    presence.enter(HERE, [ada("c1")], 10, 0.0)
    assert not presence.forgotten(0.0)
    presence.exit(["c1"], 2, 0.0)
    assert not presence.forgotten(1.9)
    assert presence.forgotten(2.0)

    told = MemoryPresence()
    told.enter(HERE, [ada("c1")], 10, 0.0)
    told.exit(["c1"], 2, 0.0)
    assert told.renew(HERE, 10, 2.0) == ("ada",)
    assert told.forgotten(2.0)


def test_a_stay_is_another_one_after_a_break() -> None:
    """Whoever leaves with everybody, or lets the lease run out, begins anew."""
    presence = MemoryPresence()
    presence.enter(HERE, [ada("c1")], 10, 0.0)
    first = presence.stay(HERE)
    presence.enter(HERE, [ada("c2")], 10, 1.0)
    assert presence.stay(HERE) is first
    presence.enter(HERE, [ada("c3")], 10, 20.0)
    second = presence.stay(HERE)
    assert second is not first
    presence.exit(["c3"], 0, 20.0)
    assert presence.stay(HERE) is None
