"""Counters: what has happened, by name."""

from typing import get_args

from consumers.groups.counters import Counters
from consumers.policies import Loss


def test_every_loss_has_a_counter() -> None:
    """Each kind is counted under its own name."""
    counters = Counters()
    for number, loss in enumerate(get_args(Loss), 1):
        counters.count(loss, number)
        counters.count(loss, 10)

    counted = counters.as_dict()
    assert [counted[loss] for loss in get_args(Loss)] == [11, 12, 13, 14, 15]
