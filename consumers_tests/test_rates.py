"""Rates: what a bucket gives, and when."""

from typing import Any

import pytest

from consumers.rates import Bucket, Rate


@pytest.mark.parametrize(
    ("per_second", "burst", "text"),
    [
        (0, 5, "per_second must be a positive number, got 0"),
        (float("inf"), 5, "per_second must be a positive number, got inf"),
        ("1", 5, "per_second must be a positive number, got '1'"),
        (1, 0, "burst must be a positive whole number, got 0"),
        (1, 1.5, "burst must be a positive whole number, got 1.5"),
        (1, True, "burst must be a positive whole number, got True"),
    ],
)
def test_what_is_no_rate(per_second: Any, burst: Any, text: str) -> None:
    """Both are positive numbers, and there is no half of a message."""
    with pytest.raises(ValueError, match=text):
        Rate(per_second, burst)


def test_a_burst_is_there_at_once() -> None:
    """So many can be taken at the beginning, and one more can't."""
    bucket = Bucket(Rate(per_second=8, burst=3), 100.0)

    bucket.left -= 3
    assert bucket.left == 0
    bucket.left -= 1

    assert not bucket.fill(100.0)
    assert bucket.wait(100.0) == 0.125
    assert bucket.wait(100.0625) == 0.0625
    assert bucket.fill(100.125)
    assert bucket.wait(100.125) == 0


def test_it_is_never_more_than_full() -> None:
    """However long nobody came."""
    bucket = Bucket(Rate(per_second=10, burst=3), 0.0)
    bucket.left -= 4

    assert bucket.fill(1000.0)
    assert bucket.left == 3
    bucket.left = -1
    bucket.reset()
    assert bucket.left == 3


def test_at_most_two_bursts_and_the_rate_can_be_taken() -> None:
    """Whoever saves up takes what is left and what comes, and then the rate alone."""
    bucket, taken, now = Bucket(Rate(per_second=10, burst=5), 0.0), 0, 50.0
    for _ in range(200):  # two seconds of one try each hundredth of a second
        bucket.left -= 1
        if bucket.left < 0 and not bucket.fill(now):
            bucket.left += 1
        else:
            taken += 1
        now += 0.01

    assert 2 * 5 + 10 * 2 - 1 <= taken <= 2 * 5 + 10 * 2
