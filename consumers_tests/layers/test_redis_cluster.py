"""The layer on a cluster, against the suite for every layer."""

from collections.abc import Iterator

import anyio
import pytest

from consumers.layers.redis import RedisLayer, parse_address
from consumers_tests.layers.conformance import *  # noqa: F403  the tests
from consumers_tests.layers.conformance import MakeLayer, PassTime
from consumers_tests.valkey import Cluster


@pytest.fixture(scope="module")
def running_cluster() -> Iterator[Cluster]:
    """Run three servers for all tests of this module."""
    with Cluster() as cluster:
        yield cluster


@pytest.fixture
def cluster(running_cluster: Cluster) -> Cluster:
    """Return a cluster without data."""
    running_cluster.wipe()
    return running_cluster


@pytest.fixture
def make_layer(cluster: Cluster) -> MakeLayer:
    """Return what makes a layer of an empty cluster."""
    return lambda: RedisLayer(parse_address(cluster.url))


@pytest.fixture
def pass_time() -> PassTime:
    """Return what lets time pass: the broker's."""
    return anyio.sleep
