"""What is declared about presence, and what is told of it."""

from typing import Any

import pytest

from consumers import ConfigurationError, Group, Presence, PresenceDiff, Present


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"lease": 0}, "lease must be at least 0.1 seconds, got 0"),
        ({"linger": -1}, "linger must be at least 0.0 seconds, got -1"),
        ({"batch": True}, "batch must be at least 0.0 seconds, got True"),
        ({"batch": float("inf")}, "batch must be at least 0.0 seconds, got inf"),
        ({"lease": "1"}, "lease must be at least 0.1 seconds, got '1'"),
    ],
)
def test_times_are_checked(settings: Any, error: str) -> None:
    """A presence that can't work is refused when it is declared."""
    with pytest.raises(ConfigurationError, match=error):
        Presence(**settings)


def test_a_group_has_the_defaults_or_its_own() -> None:
    """`True` stands for all defaults, `False` for no presence."""
    own = Presence(lease=5)

    assert Group("a", presence=True).presence == Presence()
    assert Group("a", presence=own).presence is own
    assert Group("a").presence is None


def test_a_diff_is_true_where_something_has_changed() -> None:
    """Also if that is a departure alone."""
    assert not PresenceDiff()
    assert PresenceDiff(left=("ana",))
    assert PresenceDiff(updated=(Present("ana", (), None),))
