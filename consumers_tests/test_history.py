"""Histories and positions are checked when they are declared, or come from a client."""

import copy
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers import ConfigurationError, History, Position


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"size": 0}, "size must be 1-999999 publications, got 0"),
        ({"size": 10**6}, "size must be 1-999999 publications, got 1000000"),
        ({"size": True}, "size must be 1-999999 publications, got True"),
        ({"size": 1.5}, "size must be 1-999999 publications, got 1.5"),
        ({"ttl": 0}, "ttl must be a positive number of seconds, got 0"),
        ({"ttl": None}, "ttl must be a positive number of seconds, got None"),
        ({"ttl": float("nan")}, "ttl must be a positive number of seconds, got nan"),
        ({"remember": -1}, "remember must be a positive number of seconds, got -1"),
        (
            {"ttl": 60, "remember": 59},
            "must remember its position for at least its ttl, got remember=59",
        ),
    ],
)
def test_a_history_that_cannot_work_is_refused(settings: Any, error: str) -> None:
    """With what was expected and what came."""
    with pytest.raises(ConfigurationError, match=error):
        History(**settings)


@pytest.mark.parametrize(
    ("history", "seconds"),
    [
        (History(), 86_400),
        (History(ttl=100_000), 100_000),
        (History(ttl=60, remember=60), 60),
    ],
)
def test_positions_are_remembered_for_a_day_or_longer(
    history: History, seconds: float
) -> None:
    """So that who missed nothing is told so, long after all was forgotten."""
    assert history.remembered == seconds


@given(
    st.integers(0, 10**15 - 1), st.from_regex(r"[A-Za-z0-9_-]{1,32}", fullmatch=True)
)
def test_a_position_is_read_as_it_was_written(offset: int, epoch: str) -> None:
    """Its text says all there is."""
    position = Position(offset, epoch)

    assert Position.parse(str(position)) == position


@given(st.text())
def test_any_other_text_is_no_position(text: str) -> None:
    """Whatever a client sends, it is a position or a ``ValueError``."""
    with suppress(ValueError):
        position = Position.parse(text)
        assert Position.parse(str(position)) == position


def test_positions_are_values() -> None:
    """Equal where offset and epoch are, hashable, and copied."""
    position = Position(17, "k3jx")

    assert position == copy.copy(position) == Position(17, "k3jx")
    assert position not in (Position(16, "k3jx"), Position(17, "other"), "17.k3jx")
    assert len({position, Position(17, "k3jx")}) == 1
    assert repr(position) == "Position(17, 'k3jx')"
