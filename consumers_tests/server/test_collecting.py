"""The garbage collector of a process that serves."""

from __future__ import annotations

import gc
from contextlib import suppress
from weakref import ref

import pytest

from consumers.server.collecting import ShortCollections


class Clock:
    """Goes as far as it is put, and a second each time that it is looked at."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


class Knot:
    """Refers to itself, so that only the collector can free it."""

    def __init__(self) -> None:
        self.itself = self


def is_looked_at(thing: object) -> bool:
    return any(each is thing for each in gc.get_objects())


def test_what_is_old_is_not_looked_at() -> None:
    """Of what a full collection has left alive the next one knows nothing."""
    before = Knot()

    with ShortCollections(Clock()):
        assert not is_looked_at(before)

        later = Knot()
        assert is_looked_at(later)
        gc.collect()
        assert not is_looked_at(later)


def test_young_garbage_is_collected() -> None:
    """A cycle that was given up before any collection goes with the next one."""
    with ShortCollections(Clock()):
        gone = ref(Knot())
        gc.collect()

        assert gone() is None


def test_old_garbage_is_collected_in_time() -> None:
    """A cycle that was given up when it was old goes once all is looked at again."""
    clock = Clock()
    with ShortCollections(clock):
        knot = Knot()
        gc.collect()
        gone = ref(knot)
        del knot
        gc.collect()
        assert gone() is not None  # the first look at all was a second long

        clock.now += 500
        gc.collect()
        assert gone() is None


def test_looking_at_all_has_its_share() -> None:
    """The next look at all is 500 times as far away as the last one took."""
    clock = Clock()
    with ShortCollections(clock):
        for _ in range(2):
            clock.now += 500
            knot = Knot()
            gone = ref(knot)
            gc.collect()  # at all, and it takes a second
            del knot

            gc.collect()
            assert gone() is not None
        clock.now += 500
        gc.collect()
        assert gone() is None


@pytest.mark.parametrize("error", [None, LookupError()])
def test_the_process_is_left_as_it_was(error: Exception | None) -> None:
    """After the block Python's collector is its own again, whatever has happened."""
    callbacks, old = gc.callbacks[:], Knot()

    with suppress(LookupError), ShortCollections():
        if error is not None:
            raise error

    assert gc.callbacks == callbacks
    assert gc.get_freeze_count() == 0
    assert is_looked_at(old)
