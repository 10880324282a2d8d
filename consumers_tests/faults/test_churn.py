"""Clients come and go: the short form of `make faults`, with its controls."""

from __future__ import annotations

import pytest

from .churn import Churning, churn, spread_out

FEW = Churning(
    cycles=200, connections=20, members=5, groups=50, seconds=0.5, ttl=0.5, settled=4
)


@pytest.mark.parametrize(
    ("backend", "layer"),
    [("uvloop", "memory"), ("uvloop", "redis"), ("trio", "redis")],
)
def test_nothing_stays_behind(backend: str, layer: str) -> None:
    """Tasks, files, consumers, subscriptions and keys are as many as before."""
    outcome = churn(backend, 1, FEW, "", layer)

    assert outcome.problems == []


def test_each_kind_of_group_is_measured() -> None:
    """Many groups are compared with one; so short a run proves nothing more."""
    outcome = spread_out("uvloop", 1, FEW, "", "redis")

    assert float(outcome.cells["us in one of 10"]) > 0


def test_without_the_guard_it_fails() -> None:
    """What is not unsubscribed is found."""
    outcome = churn("uvloop", 1, FEW, "unsubscribing", "redis")

    assert "what was before" in "; ".join(outcome.problems)
