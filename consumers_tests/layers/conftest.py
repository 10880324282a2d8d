"""Fixtures of the tests of layers."""

from collections.abc import Iterator

import pytest

from consumers.layers.redis.blocking import BlockingClient
from consumers_tests.layers.blocking import client_of
from consumers_tests.proxy import Proxy
from consumers_tests.valkey import Valkey


@pytest.fixture
def proxy(valkey: Valkey) -> Iterator[Proxy]:
    """Run a proxy before an empty broker.

    Not in the test itself: its thread would take over that the test runs on trio.
    """
    with Proxy(valkey.port) as proxy:
        yield proxy


@pytest.fixture
def client(valkey: Valkey) -> Iterator[BlockingClient]:
    """A blocking client of the shared server."""
    made = client_of(valkey.url)
    yield made
    made.close()
