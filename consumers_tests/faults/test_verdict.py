"""The judge of fault runs: it finds each thing that can go wrong, and nothing else."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .verdict import LEAP, PUBLISHER, Kept, Segment, Verdict, judge

SENT = {0: 3, 1: 2}
NUMBERS = [1, PUBLISHER + 1, 2, PUBLISHER + 2, 3]
KEPT = Kept("e", [1, 2, 3, 4, 5])


def got(
    offsets: Sequence[int],
    numbers: Sequence[int] | None = None,
    *,
    epoch: str = "e",
    start: int = 0,
    strangers: int = 0,
) -> Segment:
    """Return notes; without numbers those that belong to the offsets."""
    if numbers is None:
        numbers = [NUMBERS[offset - 1] for offset in offsets]
    return Segment(
        epoch, start, array("q", offsets), array("q", numbers), strangers=strangers
    )


def test_all_in_order_is_right() -> None:
    """Who has got everything once and in order has nothing to complain about."""
    assert judge([got([1, 2, 3, 4, 5])], SENT, KEPT) == Verdict()
    assert not judge([got([], NUMBERS, epoch="")], SENT, None)


@pytest.mark.parametrize(
    ("segments", "verdict"),
    [
        pytest.param([got([1, 2, 4, 5])], Verdict(lost=1), id="gap"),
        pytest.param([got([1, 2])], Verdict(lost=3), id="nothing-more"),
        pytest.param([got([])], Verdict(lost=5), id="nothing"),
        pytest.param([], Verdict(lost=5), id="never-joined"),
        pytest.param([got([1, 2, 2, 3, 4, 5])], Verdict(twice=1), id="twice"),
        pytest.param([got([1, 2, 4, 3, 5])], Verdict(disordered=1), id="swapped"),
        pytest.param(
            [got([1, 2, 3, 4, 5], [1, 3, 2, PUBLISHER + 1, PUBLISHER + 2])],
            Verdict(disordered=1),
            id="published-in-another-order",
        ),
        pytest.param(
            [got([1, 2, 3, 4, 5, 6], [*NUMBERS, 3])],
            Verdict(twice=1, strangers=1),
            id="published-twice",
        ),
        pytest.param(
            [got([1, 2, 3, 4, 5], [1, PUBLISHER + 1, 2, PUBLISHER + 2, 4])],
            Verdict(lost=1, strangers=1),
            id="never-published",
        ),
        pytest.param([got([1, 2], epoch="old")], Verdict(lost=3, stuck=1), id="stuck"),
        pytest.param(
            [got([1, 2, 3, 4, 5], strangers=2)], Verdict(strangers=2), id="untold"
        ),
        pytest.param([got([3, 4, 5], start=2)], Verdict(lost=2), id="came-late"),
    ],
)
def test_each_wrong_is_found(segments: list[Segment], verdict: Verdict) -> None:
    """What was lost, repeated, swapped or not announced is counted."""
    found = judge(segments, SENT, KEPT)

    assert found == verdict
    assert found


def test_who_was_told_may_have_missed_something() -> None:
    """Between two segments anything may be missing, and nothing may come again."""
    before = got([1, 2], epoch="old")

    assert not judge([before, got([5], epoch="e", start=4)], SENT, KEPT)
    assert judge([before, got([], epoch="e", start=5)], SENT, KEPT) == Verdict()
    assert judge([before, got([], epoch="e", start=4)], SENT, KEPT) == Verdict(lost=1)
    again = got([4, 5], [2, 3], epoch="e", start=3)
    assert judge([before, got([3], [2], epoch="x", start=2), again], SENT, KEPT).twice


def test_a_broker_may_leap_in_its_counting() -> None:
    """After a restart offsets go on far above: only what is in the history is due."""
    offsets = [1, 2, LEAP + 3, LEAP + 4, LEAP + 5]
    all_of_them = got(offsets, NUMBERS)
    all_but_one = got([1, 2, LEAP + 4, LEAP + 5], [*NUMBERS[:2], *NUMBERS[3:]])
    kept = Kept("e", offsets)

    assert not judge([all_of_them], SENT, kept)
    assert judge([all_but_one], SENT, kept) == Verdict(lost=1)
    assert not judge([all_of_them, got([], start=LEAP + 5)], SENT, kept)


def test_a_group_without_history_is_judged_by_its_numbers() -> None:
    """Where there are no offsets, each publisher's own numbers tell."""
    swapped = [1, 3, 2, PUBLISHER + 1, PUBLISHER + 2]

    assert judge([got([], swapped, epoch="")], SENT, None) == Verdict(disordered=1)
    assert judge([got([], [1, 2], epoch="")], SENT, None) == Verdict(lost=3)


@given(st.lists(st.integers(1, 5), max_size=8).filter(lambda x: x != [1, 2, 3, 4, 5]))
def test_nothing_else_is_right(offsets: list[int]) -> None:
    """Any other list of offsets than the right one is found to be wrong."""
    assert judge([got(offsets)], SENT, KEPT)


def test_verdicts_add_up() -> None:
    """The verdict on a crowd is the sum of those on its members."""
    whole = Verdict(lost=1) + Verdict(lost=2, twice=3)

    assert whole == Verdict(lost=3, twice=3)
