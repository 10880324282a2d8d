"""What is timed is done: each frame is read, each handshake answered."""

import pytest

from consumers_tests.server.frames.timed import CASES, timed


@pytest.mark.parametrize("name", CASES)
def test_each_case_can_be_timed(name: str) -> None:
    """One series of each gives a time."""
    assert timed(name, 1, 1e-6) > 0
