"""What the client's tests share: a server by script, and time that stands still."""

from collections.abc import Iterator

import pytest

from consumers.clock import VirtualClock
from consumers_tests.client.scripted import Server, virtual_time


@pytest.fixture
def server() -> Server:
    """Return a server that waits for the test's script."""
    return Server()


@pytest.fixture
def clock() -> Iterator[VirtualClock]:
    """Return the clock that a test's tasks go by."""
    with virtual_time() as clock:
        yield clock
