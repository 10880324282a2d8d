"""The layer on a cluster, against the suite for every layer."""

from collections.abc import Iterator

import anyio
import pytest

from consumers.errors import LayerUnavailable
from consumers.layers.redis import RedisLayer, parse_address
from consumers_tests.layers.broken import listening
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


async def test_a_server_is_told_from_a_cluster(cluster: Cluster) -> None:
    """One server of a cluster can't be used alone, and the way out is told."""
    async with listening(cluster.nodes[0].url) as (layer, _):
        with pytest.raises(LayerUnavailable, match="add '\\?cluster=true'"):
            await layer.positions([f"group-{i}" for i in range(9)])
