"""One member does not read: the short form of `make faults`, with a control.

How the others' delay compares, and its control, are the long form's alone: that needs a
machine that does nothing else.
"""

from __future__ import annotations

from .slow import Reading, slow

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
