"""What is known of every group."""

from consumers.layers.contract import Overview
from consumers_tests.layers.broken import KEEP, listening
from consumers_tests.layers.conformance.tools import entry, publish
from consumers_tests.valkey import Cluster, Valkey


async def test_groups_are_found_by_whatever_they_have(valkey: Valkey) -> None:
    """A history, somebody present or a subscriber is enough; more than one batch."""
    many = [f"many-{number:04}" for number in range(1100)]
    async with (
        listening(valkey.url) as (layer, _),
        listening(f"{valkey.url}?prefix=other") as (stranger, _),
    ):
        (position,) = await publish(layer, 1, group="kept")
        await layer.enter("present", [entry("c1", "ada"), entry("c2", "ada")], 30)
        await layer.subscribe("heard", *many)
        await publish(stranger, 1, group="elsewhere")

        found = await layer.overview()
        assert [each for each in found if not each.group.startswith("many")] == [
            Overview("heard", processes=1, position=None, kept=0, present=0),
            Overview("kept", processes=0, position=position, kept=1, present=0),
            Overview("present", processes=0, position=None, kept=0, present=2),
        ]
        assert [each.group for each in found][2:-1] == many


async def test_a_cluster_is_looked_at_as_a_whole() -> None:
    """Groups of all servers are found, with those who subscribe to them."""
    with Cluster() as cluster:
        async with (
            listening(cluster.url) as (one, _),
            listening(cluster.url) as (other, _),
        ):
            groups = list("abcdefghij")
            await one.subscribe(*groups)
            await other.subscribe("a")
            await one.history("b", KEEP)

            found = await one.overview()
            assert [each.group for each in found] == groups
            assert [each.processes for each in found] == [2, *[1] * 9]
            assert found[1].position is not None
