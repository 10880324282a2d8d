"""The broker fails under load: short forms of `make faults`, each with its control."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from . import broker
from .broker import Load
from .report import Outcome

FEW = Load(clients=20, publications=600, groups=3, rate=400.0, down=0.5)
"""A second and a half of load, a third of that without a broker."""

Scenario = Callable[[str, int, Load, str], Outcome]


@pytest.mark.parametrize("scenario", [broker.killed, broker.wiped, broker.stalled])
def test_nobody_misses_anything_unknowingly(scenario: Scenario, backend: str) -> None:
    """Everybody gets all, once and in order, or is told if it is gone for good."""
    outcome = scenario(backend, 1, FEW, "")

    assert outcome.problems == []
    assert outcome.cells["deliveries"] == 20 * 200 or scenario is broker.wiped


@pytest.mark.parametrize(
    ("scenario", "guard", "said"),
    [
        pytest.param(broker.killed, "following", " lost", id="killed"),
        pytest.param(broker.wiped, "telling", " were not told", id="wiped"),
    ],
)
def test_without_the_guard_it_fails(scenario: Scenario, guard: str, said: str) -> None:
    """The same run finds what is wrong in a server that lacks the guard."""
    outcome = scenario("uvloop", 1, FEW, guard)

    assert said in "; ".join(outcome.problems)
