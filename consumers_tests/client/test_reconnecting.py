"""`Reconnect`, `End` and `Backoff`: how long a client waits, and whether it returns."""

from __future__ import annotations

import math

import pytest

from consumers.client import Reconnect
from consumers.client.reconnecting import Backoff, End
from consumers.errors import ConfigurationError
from consumers.protocol.frames import Goodbye


@pytest.mark.parametrize(
    ("least", "most"), [(0.0, 1.0), (-1.0, 1.0), (2.0, 1.0), (1.0, math.inf)]
)
def test_bounds_that_can_not_work(least: float, most: float) -> None:
    """Each is told where it is set."""
    with pytest.raises(ConfigurationError, match="reconnecting needs"):
        Reconnect(min=least, max=most)


def test_pauses_grow_up_to_the_bound() -> None:
    """The longest pause doubles with each failure until it is as long as may be."""
    backoff = Backoff(Reconnect(min=0.5, max=30.0), choose=lambda: 1.0)

    pauses = [backoff.pause(End(1006)) for _ in range(9)]

    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    assert Backoff(Reconnect(), choose=lambda: 0.0).pause(End(1006)) == 0.0
    for _ in range(2000):
        assert backoff.pause(End(1006)) == 30.0


def test_pauses_are_spread_over_all_of_their_length() -> None:
    """A thousand clients of one server do not come back together."""
    pauses = [Backoff(Reconnect(min=1.0)).pause(End(1006)) for _ in range(1000)]

    assert min(pauses) < 0.05
    assert max(pauses) > 0.95
    assert 0.4 < sum(pauses) / 1000 < 0.6


def test_what_lasts_is_a_success() -> None:
    """A connection that lived longer than the pause before it begins anew."""
    backoff = Backoff(Reconnect(min=1.0, max=30.0), choose=lambda: 1.0)
    for _ in range(3):
        backoff.pause(End(1006))

    assert backoff.pause(End(1011, lived=4.0)) == 8.0
    assert backoff.pause(End(1011, lived=8.1)) == 1.0
    assert backoff.attempt == 1


def test_what_the_server_asks_for_comes_first() -> None:
    """Its seconds are waited for, and then the client's own pause."""
    backoff = Backoff(Reconnect(min=1.0), choose=lambda: 0.5)
    goodbye = Goodbye(1012, reconnect=True, after=5.0)

    assert backoff.pause(End(1012, goodbye=goodbye)) == 5.5
    assert backoff.pause(End(4503, after=9.0)) == 10.0
    assert End(4503, goodbye=Goodbye(4503, reconnect=True), after=9.0).asked == 0.0
    assert End(1012, goodbye=Goodbye(1012, reconnect=True, after=-3.0)).asked == 0.0
