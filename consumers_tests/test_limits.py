"""Limits: what they are by default, and which values they take."""

import math
from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from consumers.limits import DEFAULT_LIMITS, Limits

TIMES = [
    "handshake_timeout",
    "idle_timeout",
    "disconnect_timeout",
    "close_timeout",
    "heartbeat",
    "heartbeat_timeout",
]
COUNTS = ["inbox", "outbox_messages", "outbox_bytes"]
OPTIONAL = ["handshake_timeout", "idle_timeout", "heartbeat"]


def made(name: str, value: Any) -> Limits:
    """Return limits with one of them set."""
    return Limits(**{name: value})


def test_every_field_is_one_of_these() -> None:
    """The tests below know all limits."""
    assert sorted(field.name for field in fields(Limits)) == sorted(TIMES + COUNTS)


@pytest.mark.parametrize("name", TIMES)
@pytest.mark.parametrize("value", [0.001, 5, 3600.0])
def test_times_are_positive_numbers_of_seconds(name: str, value: float) -> None:
    """A time may be a whole number or a fraction of seconds."""
    assert getattr(made(name, value), name) == value


@pytest.mark.parametrize("name", TIMES)
@pytest.mark.parametrize("value", [0, -1, math.inf, math.nan, "5", True])
def test_other_times_are_refused(name: str, value: object) -> None:
    """Zero, negative, endless and what is no number are the caller's fault."""
    with pytest.raises(ValueError, match=f"{name} must be a positive number of s"):
        made(name, value)


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", [0, -1, 1.5, None, "5", True])
def test_other_counts_are_refused(name: str, value: object) -> None:
    """Counts and sizes are positive whole numbers."""
    with pytest.raises(ValueError, match=f"{name} must be a positive whole number"):
        made(name, value)


@pytest.mark.parametrize("name", TIMES)
def test_some_times_can_be_switched_off(name: str) -> None:
    """`None` switches off the limits that say so, and is refused by the others."""
    if name in OPTIONAL:
        assert getattr(made(name, None), name) is None
    else:
        with pytest.raises(ValueError, match="got None"):
            made(name, None)


def test_limits_do_not_change() -> None:
    """One instance serves many connections, so it can't be changed."""
    with pytest.raises(FrozenInstanceError):
        DEFAULT_LIMITS.inbox = 1  # type: ignore[misc]


def test_the_defaults() -> None:
    """An idle client is the normal case, a handshake without an answer is not."""
    assert Limits() == DEFAULT_LIMITS
    assert DEFAULT_LIMITS.idle_timeout is None
    assert DEFAULT_LIMITS.handshake_timeout is not None
