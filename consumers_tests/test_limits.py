"""Limits: what they are by default, and which values they take."""

import math
from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from consumers.limits import DEFAULT_LIMITS, DEFAULT_SHAPE, Limits
from consumers.rates import Rate

TIMES = [
    "handshake_timeout",
    "idle_timeout",
    "disconnect_timeout",
    "close_timeout",
    "heartbeat",
    "heartbeat_timeout",
    "handler_timeout",
]
COUNTS = ["inbox", "outbox_messages", "outbox_bytes"]
OPTIONAL_COUNTS = [
    "connections",
    "connections_per_address",
    "connections_per_user",
    "message_bytes",
    "message_items",
    "message_depth",
    "groups",
]
RATES = ["message_rate", "byte_rate"]
OPTIONAL = ["handshake_timeout", "idle_timeout", "heartbeat", "handler_timeout"]


def made(name: str, value: Any) -> Limits:
    """Return limits with one of them set."""
    return Limits(**{name: value})


def test_every_field_is_one_of_these() -> None:
    """The tests below know all limits."""
    assert sorted(field.name for field in fields(Limits)) == sorted(
        [*TIMES, *COUNTS, *OPTIONAL_COUNTS, *RATES, "over_rate"]
    )


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


@pytest.mark.parametrize("name", OPTIONAL_COUNTS)
def test_some_counts_can_be_switched_off(name: str) -> None:
    """`None` switches them off; else they are positive whole numbers."""
    assert getattr(made(name, None), name) is None
    assert getattr(made(name, 1), name) == 1
    for value in (0, -1, 1.5, "5", True):
        with pytest.raises(ValueError, match=f"{name} must be a positive whole number"):
            made(name, value)


@pytest.mark.parametrize("name", RATES)
def test_rates_are_rates(name: str) -> None:
    """A rate says what comes back and what there is; a number says too little."""
    rate = Rate(per_second=2.5, burst=5)

    assert getattr(made(name, rate), name) is rate
    assert getattr(made(name, None), name) is None
    with pytest.raises(ValueError, match=f"{name} must be a Rate or None, got 5"):
        made(name, 5)


def test_what_becomes_of_too_many_messages_is_one_of_four() -> None:
    """Any other word is refused, with those that there are."""
    for word in ("warn", "answer", "slow", "close"):
        assert made("over_rate", word).over_rate == word
    with pytest.raises(ValueError, match="over_rate must be one of 'warn', 'answer',"):
        made("over_rate", "drop")


def test_the_default_shape_is_always_the_same() -> None:
    """Connections are told by it whether their messages have bounds of their own."""
    assert Limits(groups=5).shape is DEFAULT_SHAPE
    assert Limits(message_depth=5).shape == (1 << 20, 50_000, 5)


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
