"""Lines of a log, of which strangers may cause at most one a second."""

import logging

import pytest

from consumers.seldom import Seldom


def test_one_line_a_second(caplog: pytest.LogCaptureFixture) -> None:
    """What comes within a second of a line is counted, and told by the next one."""
    now = 5.0
    seldom = Seldom(logging.getLogger("consumers"), time=lambda: now)

    for number in range(3):
        seldom.warn("refused %d", number)
    now = 5.99
    seldom.warn("refused %d", 3)
    now = 6.0
    seldom.warn("refused %d", 4)
    now = 7.0
    seldom.warn("refused %d", 5)

    assert [record.getMessage() for record in caplog.records] == [
        "refused 0",
        "refused 4 (and 3 more before)",
        "refused 5",
    ]
