"""One member does not read: the short form of `make faults`, with a control.

How the others' delay compares, and its control, are the long form's alone: that needs a
machine that does nothing else.
"""

from __future__ import annotations

import pytest

from .slow import Reading, is_noticed, slow

FEW = Reading(clients=20, seconds=1.5, repeats=1, patience=1.0)


def timed(problem: str) -> bool:
    """Tell whether it is about the others' delay."""
    return problem.startswith("the others' p99")


def test_it_costs_its_outbox_and_goes_in_time(backend: str) -> None:
    """The server's memory grows by its outbox at most, and it is dropped in time."""
    outcome = slow(backend, 1, FEW, "")

    assert [one for one in outcome.problems if not timed(one)] == []


def test_without_the_guard_it_fails() -> None:
    """Without bounds it costs ever more."""
    outcome = slow("uvloop", 1, FEW, "bounds")

    assert "the memory grows" in "; ".join(outcome.problems)


@pytest.mark.parametrize(
    ("alone", "beside", "noticed"),
    [
        ([10, 10, 10.5], [10, 10.9, 12], False),
        ([10, 10, 10.5], [9, 11.2, 12], True),
        ([8, 10, 30], [15, 25, 40], False),  # a busy machine: it was as long without
        ([8, 10, 30], [15, 31, 40], True),
    ],
)
def test_what_a_slow_reader_does_is_told_from_what_others_do(
    alone: list[float], beside: list[float], noticed: bool
) -> None:
    """It is to blame for a tenth more, where no turn without it has taken as long."""
    assert is_noticed(alone, beside) == noticed
