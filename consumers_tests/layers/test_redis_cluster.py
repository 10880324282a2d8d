"""The layer on a cluster, against the suite for every layer."""

from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from consumers.errors import LayerUnavailable
from consumers.layers.redis import RedisLayer, parse_address
from consumers.layers.redis.cluster import places_of
from consumers.layers.redis.names import SLOTS, slot_of
from consumers_tests.layers.broken import listening, restart
from consumers_tests.layers.conformance import *  # noqa: F403  the tests
from consumers_tests.layers.conformance import MakeLayer, PassTime
from consumers_tests.layers.conformance.tools import publish
from consumers_tests.valkey import Cluster, Valkey


@pytest.fixture(
    params=[("asyncio", {"use_uvloop": False}), ("trio", {})], ids=["asyncio", "trio"]
)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Run each test twice; with uvloop the same links run to a single server."""
    backend: tuple[str, dict[str, Any]] = request.param
    return backend


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


def move(cluster: Cluster, group: str, target: int) -> None:
    """Give the slot of a group, which has no keys, to another server."""
    slot, new = slot_of(group), cluster.nodes[target]
    old = next(node for node in cluster.nodes if owns(node, slot))
    old_id, new_id = (node.command("CLUSTER", "MYID") for node in (old, new))
    new.command("CLUSTER", "SETSLOT", slot, "IMPORTING", old_id)
    old.command("CLUSTER", "SETSLOT", slot, "MIGRATING", new_id)
    # The new one first: until then nobody would have it.
    for node in (new, old, *cluster.nodes):
        node.command("CLUSTER", "SETSLOT", slot, "NODE", new_id)


def owns(node: Valkey, slot: int) -> bool:
    """Return whether a server says that it has a slot."""
    mine = node.command("CLUSTER", "MYID")
    rows = node.command("CLUSTER", "SLOTS")
    return any(row[0] <= slot <= row[1] and row[2][2] == mine for row in rows)


def holder(cluster: Cluster, group: str) -> int:
    """Return which server has a group."""
    return slot_of(group) * len(cluster.nodes) // SLOTS


async def test_a_group_is_followed_to_another_server(cluster: Cluster) -> None:
    """What is heard, published and asked goes where its slot has gone."""
    home = holder(cluster, "a")
    other = (home + 1) % 3
    async with listening(cluster.url) as (layer, ear):
        await layer.subscribe("a", "b", "c")
        await publish(layer, 1, history=None)
        await ear.until(1)
        move(cluster, "a", other)
        try:
            await ear.until_resumed()
            await publish(layer, 2, history=None)
            await ear.until(2)
            (position,) = await publish(layer, 3)
            assert await layer.positions(["a"]) == [position]
            assert await ear.until(3) == [1, 2, 3]
            assert layer.statistics()["subscriptions"] == 3
        finally:
            cluster.wipe()
            move(cluster, "a", home)
        await publish(layer, 4)
        assert await ear.until(4) == [1, 2, 3, 4]


async def test_a_group_that_nobody_hears_is_asked_for_elsewhere(
    cluster: Cluster,
) -> None:
    """A server that has it no longer says so, and the new one is asked."""
    home = holder(cluster, "a")
    async with listening(cluster.url) as (layer, _):
        await layer.positions(["a"])
        move(cluster, "a", (home + 1) % 3)
        try:
            assert len(await publish(layer, 1)) == 1
            assert layer.statistics()["retried"] >= 1
        finally:
            cluster.wipe()
            move(cluster, "a", home)


async def test_servers_are_lost_and_found_one_by_one() -> None:
    """While one is away it is told so, and all is heard when it is back."""
    with Cluster() as cluster:
        for node in cluster.nodes:
            # The others are to go on without it.
            node.command("CONFIG", "SET", "cluster-require-full-coverage", "no")
        groups = {holder(cluster, name): name for name in "abcdefghijkl"}
        async with listening(cluster.url, timeout=3) as (layer, ear):
            await layer.subscribe(*groups.values())
            cluster.nodes[0].kill()
            with pytest.raises(LayerUnavailable):
                await publish(layer, 1, group=groups[0])
            for number in (1, 2):
                await publish(layer, "beside", group=groups[number])
                await ear.until(1, groups[number])

            await restart(cluster.nodes[0])
            await ear.until_resumed()
            with anyio.fail_after(20):
                while True:
                    try:
                        await publish(layer, "back", group=groups[0])
                    except LayerUnavailable:
                        continue
                    break
            await ear.until(1, groups[0])


async def test_a_cancelled_subscription_is_given_up(cluster: Cluster) -> None:
    """On every server, and only what was new."""
    async with listening(cluster.url) as (layer, ear):
        await layer.subscribe("a")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(layer.subscribe, "a", "b", "c", "d")
            await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()

        assert layer.statistics()["subscriptions"] == 1
        await publish(layer, 1)
        assert await ear.until(1) == [1]


def test_a_slots_server_is_read_from_the_answer() -> None:
    """The primary comes first; who does not know its name is the one that was asked."""
    rows = [
        [0, 5, [b"10.0.0.1", 7000, b"id", []], [b"10.0.0.2", 7001, b"id", []]],
        [6, 6, [b"", 7002, b"id", []]],
        [7, 7, [None, 7003, b"id", []]],
        [8, 8, [b"?", 7004, b"id", []]],
    ]
    places = places_of(rows, "asked")

    assert places[:6] == [("10.0.0.1", 7000)] * 6
    assert places[6:9] == [("asked", 7002), ("asked", 7003), ("asked", 7004)]
    assert set(places[9:]) == {None}
