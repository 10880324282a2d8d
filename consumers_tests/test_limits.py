"""Limits: what they are by default, and which values they take."""

import math
import re
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
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

_HEARTBEAT = "runtime/test_vigil_heartbeat.py"
_METERING = "test_metering.py"
_CROWD = "handshake/test_crowd.py"
_FAREWELL = "runtime/test_farewell.py"
_MESSAGES = "test_limits_messages.py"
_TIMEOUTS = "runtime/test_runtime_timeouts.py"

# {limit: (a file, the tests in it)}: these go one below it, up to it, and beyond. With
# it off, or one higher where it always applies, one of them goes beyond it in vain.
EDGES = {
    "connections": (_CROWD, "test_connections_in_all"),
    "connections_per_address": (_CROWD, "test_connections_per_address"),
    "connections_per_user": (_CROWD, "test_connections_per_user"),
    "handshake_timeout": (
        _TIMEOUTS,
        "test_a_handshake_that_takes_too_long_is_refused_with_408",
        "test_without_a_time_a_handshake_takes_any",
    ),
    "message_bytes": (_MESSAGES, "test_bytes_of_a_message"),
    "message_items": (_MESSAGES, "test_items_and_depth_of_a_message"),
    "message_depth": (_MESSAGES, "test_items_and_depth_of_a_message"),
    "message_rate": (
        _METERING,
        "test_too_many_close",
        "test_without_a_rate_all_are_heard",
    ),
    "byte_rate": (_METERING, "test_bytes_are_counted_as_well"),
    "over_rate": (
        _METERING,
        "test_a_warning_once_for_each_burst",
        "test_an_answer_without_an_id",
        "test_slowing_down",
        "test_too_many_close",
        "test_without_a_rate_all_are_heard",
    ),
    "handler_timeout": (
        _MESSAGES,
        "test_on_receive_that_takes_too_long",
        "test_a_typed_message_that_takes_too_long",
        "test_without_a_time_it_may_take_any",
    ),
    "idle_timeout": (
        _TIMEOUTS,
        "test_an_idle_client_is_closed_with_1001",
        "test_by_default_an_idle_client_stays",
    ),
    "disconnect_timeout": (
        _FAREWELL,
        "test_on_disconnect_is_cancelled_after_disconnect_timeout",
    ),
    "close_timeout": (
        _FAREWELL,
        "test_on_disconnect_does_not_wait_for_a_goodbye_that_nobody_reads",
    ),
    "inbox": ("queues/test_inbox.py", "test_reading_ahead_is_bounded"),
    "heartbeat": (
        _HEARTBEAT,
        "test_a_silent_client_is_pinged_and_then_closed",
        "test_without_a_heartbeat_nobody_is_pinged",
    ),
    "heartbeat_timeout": (
        _HEARTBEAT,
        "test_a_silent_client_is_pinged_and_then_closed",
        "test_who_answers_stays",
    ),
    "groups": (_MESSAGES, "test_groups_of_a_connection"),
    "outbox_messages": (_MESSAGES, "test_publications_that_wait_for_a_client"),
    "outbox_bytes": (_MESSAGES, "test_publications_that_wait_for_a_client"),
}


def made(name: str, value: Any) -> Limits:
    """Return limits with one of them set."""
    return Limits(**{name: value})


def test_every_field_is_one_of_these() -> None:
    """The tests below know all limits."""
    assert sorted(field.name for field in fields(Limits)) == sorted(
        [*TIMES, *COUNTS, *OPTIONAL_COUNTS, *RATES, "over_rate"]
    )


def test_every_field_has_a_test_of_its_edge() -> None:
    """Each limit, and nothing else, has one that is where the table says it is."""
    assert EDGES.keys() == {field.name for field in fields(Limits)}
    for name, (path, *tests) in EDGES.items():
        source = (Path(__file__).parent / path).read_text()
        missing = [each for each in tests if f"async def {each}(" not in source]
        assert (name, missing) == (name, [])
        assert re.search(rf"\b{name}\b", source), name
        assert tests


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
