"""The layer on a broker, against the suite for every layer."""

import subprocess
import sys

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


def test_without_its_client_the_way_to_get_it_is_told() -> None:
    """A URL of a broker needs the extra; the error names it."""
    code = (
        "import sys; sys.modules['coredis'] = None\n"
        "from consumers.layers import layers_by_url\n"
        "layers_by_url('redis://localhost')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )

    assert ended.stderr.splitlines()[-1] == (
        "consumers.errors.ConfigurationError: a layer on Redis or Valkey must have its "
        "client, got no module named 'coredis'; pip install 'anyio-consumers[redis]'"
    )
