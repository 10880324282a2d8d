"""Clients come and go: the short form of `make faults`, with its controls."""

from __future__ import annotations

from dataclasses import replace

import pytest

from consumers import Limits

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
    """More than a connection may be in elsewhere are compared with one.

    So short a run proves nothing more.
    """
    many = replace(FEW, groups=(Limits().groups or 0) + 1)
    outcome = spread_out("uvloop", 1, many, "", "memory")

    assert float(outcome.cells["us in one of 10"]) > 0


def test_without_the_guard_it_fails() -> None:
    """What is not unsubscribed is found."""
    outcome = churn("uvloop", 1, FEW, "unsubscribing", "redis")

    assert "what was before" in "; ".join(outcome.problems)
