"""Each attack in short, on each server; `make attacks` runs all of each."""

from typing import Any

import pytest

from consumers_tests.attacks.assaults import ASSAULTS, CONTROL
from consumers_tests.attacks.stage import run

LOOPS = ["asyncio", "uvloop", "trio"]
SHORT = 0.01
BUSY: Any = {"longest": 0.8, "alone": False}
"""What an echo may take where other tests run beside: seconds with a processor."""


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("name", ASSAULTS)
def test_a_bystander_is_served(name: str, loop: str) -> None:
    """The server lives, stays small, and goes on to answer an honest client."""
    assert run(ASSAULTS[name], loop, SHORT, **BUSY).problems == []


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(
    "name",
    [name for name, one in ASSAULTS.items() if one.has_control and one.control < 1],
)
def test_without_the_guard_it_fails(name: str, loop: str) -> None:
    """A control: with a limit taken off the same attack does what it is meant to."""
    assert run(ASSAULTS[name], loop, SHORT, guarded=False, **BUSY).problems


@pytest.mark.parametrize("loop", LOOPS)
def test_a_held_event_loop_is_noticed(loop: str) -> None:
    """A control: an application that holds its event loop makes a bystander wait."""
    (problem,) = run(CONTROL, loop, SHORT, **BUSY).problems

    assert problem.startswith("the bystander waited for")
