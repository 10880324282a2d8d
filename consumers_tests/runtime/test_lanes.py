"""Lanes: how many calls run at once, and in which order they begin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable

from hypothesis import given
from hypothesis import strategies as st

from consumers.runtime.lanes import Lane


class Recorder:
    """Puts calls into a lane, and notes which have begun."""

    def __init__(self, limit: int) -> None:
        self.lane = Lane(limit)
        self.begun: list[tuple[Hashable, int]] = []
        self.running: list[tuple[Hashable, int]] = []
        self._count = 0

    def put(self, key: Hashable = None) -> None:
        """Put one more call."""
        call = (key, self._count)
        self._count += 1

        def start() -> None:
            self.begun.append(call)
            self.running.append(call)

        self.lane.put(start, key)

    def end(self, index: int = 0) -> None:
        """Let one of the running calls end."""
        key, _ = self.running.pop(index)
        self.lane.done(key)


def test_calls_begin_at_once_up_to_the_limit() -> None:
    """The next waits, and begins when one has ended."""
    lane = Recorder(2)
    for _ in range(4):
        lane.put()

    assert [number for _, number in lane.begun] == [0, 1]
    assert len(lane.lane) == 2
    assert not lane.lane.is_free()
    lane.end(1)
    assert [number for _, number in lane.begun] == [0, 1, 2]
    lane.end()
    lane.end()
    lane.end()
    assert len(lane.begun) == 4
    assert lane.lane.is_free()
    assert len(lane.lane) == 0


def test_calls_of_one_key_run_one_by_one() -> None:
    """They wait for each other though there is room, and keep no others waiting."""
    lane = Recorder(3)
    for key in "aab":
        lane.put(key)

    assert lane.begun == [("a", 0), ("b", 2)]
    assert not lane.lane.is_free("a")
    assert lane.lane.is_free("c")
    assert lane.lane.is_free()
    lane.end()
    assert lane.begun[2:] == [("a", 1)]


def test_a_key_keeps_its_order_when_the_lane_is_full() -> None:
    """What came first of a key begins first, whoever ends."""
    lane = Recorder(1)
    for key in "abab":
        lane.put(key)
    for _ in range(4):
        lane.end()

    assert lane.begun == [("a", 0), ("b", 1), ("a", 2), ("b", 3)]


def test_any_value_is_a_key_but_none() -> None:
    """Zero and an empty text are keys; None means that a call has none."""
    lane = Recorder(9)
    for key in (0, 0, "", "", None, None):
        lane.put(key)

    assert [number for _, number in lane.begun] == [0, 2, 4, 5]


@given(
    st.integers(1, 4),
    st.lists(
        st.one_of(
            st.sampled_from([None, "a", "b", "c"]).map(lambda key: ("put", key)),
            st.integers(0, 3).map(lambda index: ("end", index)),
        ),
        max_size=60,
    ),
)
def test_whatever_happens(limit: int, steps: list[tuple[str, object]]) -> None:
    """The limit holds, keys run singly and in order, and nothing waits without need."""
    lane = Recorder(limit)
    for step, value in steps:
        if step == "put":
            lane.put(value)
        elif lane.running:
            assert isinstance(value, int)
            lane.end(value % len(lane.running))
        keys = [key for key, _ in lane.running if key is not None]
        waiting = lane._count - len(lane.begun)
        assert len(lane.running) <= limit
        assert max(Counter(keys).values(), default=1) == 1
        assert len(lane.lane) == waiting
        if waiting and len(lane.running) < limit:
            busy = {key for key, _ in lane.running}
            begun = {number for _, number in lane.begun}
            puts = [value for step_, value in steps if step_ == "put"]
            assert {
                puts[number] for number in range(lane._count) if number not in begun
            } <= busy
    while lane.running:
        lane.end()
    assert len(lane.begun) == lane._count
    for key in "abc":
        numbers = [number for each, number in lane.begun if each == key]
        assert numbers == sorted(numbers)
