"""Clients come and go: the short form of `make faults`, with its controls."""

from __future__ import annotations

import pytest

from .churn import LAYERS, Churning, churn, spread_out

FEW = Churning(cycles=200, connections=20, members=5, groups=200, seconds=0.5)


@pytest.mark.parametrize("layer", LAYERS)
def test_nothing_stays_behind(backend: str, layer: str) -> None:
    """Tasks, files, consumers, subscriptions and keys are as many as before."""
    outcome = churn(backend, 1, FEW, "", layer)

    assert outcome.problems == []


@pytest.mark.parametrize("layer", LAYERS)
def test_many_groups_are_as_cheap_as_one(layer: str) -> None:
    """A delivery is measured in each kind of group; short runs compare nothing."""
    outcome = spread_out("uvloop", 1, FEW, "", layer)

    assert float(outcome.cells["us in one of 10"]) > 0


@pytest.mark.parametrize(
    ("layer", "guard", "said"),
    [
        ("redis", "unsubscribing", "what was before"),
        ("memory", "yielding", "who stays waits"),
    ],
)
def test_without_the_guard_it_fails(layer: str, guard: str, said: str) -> None:
    """What is not unsubscribed is found, and so is joining that blocks the others."""
    outcome = churn("uvloop", 1, FEW, guard, layer)

    assert said in "; ".join(outcome.problems)
