"""What has happened is counted, by name."""

from consumers.groups.counters import Counters


def test_counts_begin_at_zero_and_are_told_by_name() -> None:
    """Each attribute is one count."""
    counters = Counters()
    assert set(counters.as_dict().values()) == {0}
    counters.gaps += 2
    assert counters.as_dict()["gaps"] == 2
    assert set(counters.as_dict()) == set(Counters.__slots__)
