"""Histories in memory: what is kept and for how long, and keys that are bounded."""

import pytest

from consumers.history import History, Position
from consumers.layers import memory_history
from consumers.layers.memory_history import MemoryHistory, MemoryKeys
from consumers_tests.layers.conformance.tools import Note, messages

DECLARED = History(size=3, ttl=10, remember=100)


def filled(*said: object) -> MemoryHistory:
    history = MemoryHistory(DECLARED, 0.0)
    for message in said:
        history.append(Note("a", message), None, 0.0)
    return history


def test_an_epoch_is_new_and_can_be_written_in_a_position() -> None:
    """Two histories never have one epoch, and a client can give it back."""
    epochs = {filled().epoch for _ in range(1000)}

    assert len(epochs) == 1000
    for epoch in epochs:
        assert Position.parse(f"1.{epoch}") == Position(1, epoch)


@pytest.mark.parametrize(
    ("now", "kept", "forgotten"), [(9.9, 2, False), (10, 0, False), (100, 0, True)]
)
def test_it_forgets_what_is_kept_and_then_itself(
    now: float, kept: int, forgotten: bool
) -> None:
    """At its ttl publications are gone, and at the end of the memory the position."""
    history = filled(1, 2)

    assert history.forgotten(now) == forgotten
    assert history.kept == kept


def test_times_count_from_the_latest_publication() -> None:
    """What is published late keeps all that there still is."""
    history = filled(1)
    history.append(Note("a", 2), None, 9.0)

    assert not history.forgotten(18.9)
    assert history.kept == 2
    assert not history.forgotten(108.9)
    assert history.forgotten(109.0)


def test_the_latest_declaration_counts() -> None:
    """Another size is applied to what is kept already; none said leaves it."""
    history = filled(1, 2, 3)
    history.append(Note("a", 4), History(size=2), 0.0)
    assert messages(history.replay(None, None).kept) == [3, 4]
    history.append(Note("a", 5), DECLARED, 0.0)
    history.append(Note("a", 6), None, 0.0)
    assert messages(history.replay(None, None).kept) == [4, 5, 6]


def test_what_cannot_be_complete_begins_with_the_oldest() -> None:
    """Who is told that something is missing gets what there is, in order."""
    history = filled(1, 2, 3, 4, 5)

    for since in (
        Position(1, history.epoch),
        Position(9, history.epoch),
        Position(4, "other"),
    ):
        replay = history.replay(since, 2)
        assert (messages(replay.kept), replay.complete) == ([3, 4], False)


def test_keys_are_forgotten_after_five_minutes() -> None:
    """A key can be used again then; a sweep drops it."""
    keys, position = MemoryKeys(), Position(1, "epoch")
    keys.add("a", "key", position, 0.0)
    keys.add("a", "later", None, 100.0)

    assert keys.find("a", "key", 299.9) == (position,)
    assert keys.find("b", "key", 0.0) is None
    assert keys.find("a", "key", 300.0) is None
    keys.sweep(300.0)
    assert list(keys._known) == [("a", "later")]
    assert keys.find("a", "later", 300.0) == (None,)


def test_a_key_that_is_used_again_is_young_again() -> None:
    """Keys stand in the order of age, so that the oldest go first."""
    keys = MemoryKeys()
    for name, now in (("x", 0.0), ("y", 1.0), ("x", 300.0)):
        keys.add("a", name, None, now)
    keys.sweep(302.0)

    assert list(keys._known) == [("a", "x")]


def test_the_number_of_keys_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more than so many the oldest is forgotten."""
    monkeypatch.setattr(memory_history, "_KEYS", 2)
    keys = MemoryKeys()
    for name in "xyz":
        keys.add("a", name, None, 0.0)

    assert [keys.find("a", name, 0.0) for name in "xyz"] == [None, (None,), (None,)]
