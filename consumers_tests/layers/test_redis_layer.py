"""The layer on a broker, against the suite for every layer."""

import anyio
import pytest

from consumers.layers.redis import RedisLayer, parse_address
from consumers_tests.layers.conformance import *  # noqa: F403  the tests
from consumers_tests.layers.conformance import MakeLayer, PassTime
from consumers_tests.valkey import Valkey


@pytest.fixture
def make_layer(valkey: Valkey) -> MakeLayer:
    """Return what makes a layer of an empty broker."""
    return lambda: RedisLayer(parse_address(valkey.url))


@pytest.fixture
def pass_time() -> PassTime:
    """Return what lets time pass: the broker's."""
    return anyio.sleep
