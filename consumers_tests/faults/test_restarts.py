"""A rolling restart under load: the short form of `make faults`, with its control."""

from __future__ import annotations

from .restarts import Rolling, restarts

FEW = Rolling(clients=20, restarts=1, pause=0.1, over=0.3, graceful=1.0)


def test_what_was_acknowledged_is_kept(backend: str) -> None:
    """Each number is there once, and the process has ended in time."""
    outcome = restarts(backend, 1, FEW)

    assert outcome.problems == []
    assert int(outcome.cells["acknowledged"]) > 20


def test_without_the_guard_it_fails() -> None:
    """What is acknowledged before it is done is lost."""
    outcome = restarts("uvloop", 1, FEW, "order")

    assert "acknowledged were lost" in "; ".join(outcome.problems)
