"""Subscriptions: what the broker is told, and what it confirms."""

import anyio
import pytest
from anyio import create_task_group

from consumers.errors import LayerUnavailable
from consumers_tests.layers.broken import listening, settle, tasks_now
from consumers_tests.layers.conformance.tools import publish
from consumers_tests.proxy import Proxy
from consumers_tests.valkey import Valkey


async def test_ten_thousand_cycles_leave_nothing(valkey: Valkey) -> None:
    """No subscription, no key, no task and no record of any of them is left."""
    async with listening(valkey.url) as (layer, _):
        before = tasks_now()

        async def cycles(first: int) -> None:
            for number in range(first, first + 500):
                await layer.subscribe(f"group-{number}")
                await layer.unsubscribe(f"group-{number}")

        async with create_task_group() as tasks:
            for first in range(0, 10_000, 500):
                tasks.start_soon(cycles, first)
        await settle(layer)

        assert valkey.command("PUBSUB", "CHANNELS", "*") == []
        assert valkey.keys() == []
        assert tasks_now() == before
        assert layer._servers is not None
        (link,) = layer._servers.links
        records = link.subscriptions
        assert (records.wanted, records._asked, len(records._confirming)) == ({}, {}, 0)


async def test_one_waits_for_what_another_has_begun(valkey: Valkey) -> None:
    """Two that subscribe to the same group at once both hear from when it returns."""
    async with listening(valkey.url) as (layer, ear):

        async def subscribe(number: int) -> None:
            await layer.subscribe("a")
            await publish(layer, number)

        async with create_task_group() as tasks:
            tasks.start_soon(subscribe, 1)
            tasks.start_soon(subscribe, 2)

        assert sorted(await ear.until(2)) == [1, 2]


async def test_a_cancelled_subscription_is_given_up(
    valkey: Valkey, proxy: Proxy
) -> None:
    """Cancelled before the broker has confirmed it, nothing of it stays."""
    async with listening(f"redis://127.0.0.1:{proxy.port}") as (layer, _):
        await layer.subscribe("kept")
        proxy.stall()
        async with create_task_group() as tasks:
            tasks.start_soon(layer.subscribe, "a", "kept")
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        proxy.resume()
        await settle(layer)

        channels = valkey.command("PUBSUB", "CHANNELS", "*")
        assert channels == [b"consumers:0:{kept}"]


async def test_giving_up_while_it_is_begun_ends_the_waiting(valkey: Valkey) -> None:
    """Who waits for a group that another gives up waits no longer than for that."""
    async with listening(valkey.url) as (layer, _):
        for _ in range(5):
            async with create_task_group() as tasks:
                tasks.start_soon(layer.subscribe, "a")
                tasks.start_soon(layer.unsubscribe, "a")
                tasks.start_soon(layer.subscribe, "a", "b")
            await layer.unsubscribe("a", "b")
        await settle(layer)

        assert valkey.command("PUBSUB", "CHANNELS", "*") == []


async def test_a_channel_that_is_forbidden_is_told() -> None:
    """A broker that refuses to subscribe us is named, with its reason."""
    with Valkey() as server:
        rights = ("~*", "+@all", "resetchannels", "&consumers:0:{allowed}")
        server.command("ACL", "SETUSER", "ada", "on", ">pw", *rights)
        url = f"redis://ada:pw@127.0.0.1:{server.port}"
        async with listening(url, timeout=1) as (layer, _):
            await layer.subscribe("allowed")
            with pytest.raises(LayerUnavailable, match="No permissions to access"):
                await layer.subscribe("forbidden")


async def test_what_is_nothing_of_ours_is_passed_over(
    valkey: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody else's message on our channel is logged, and the next one is heard."""
    async with listening(valkey.url) as (layer, ear):
        await layer.subscribe("a")
        valkey.command("PUBLISH", "consumers:0:{a}", "no colons")
        await publish(layer, 1)

        assert await ear.until(1) == [1]
    (record,) = (each for each in caplog.records if each.levelname == "ERROR")
    assert record.getMessage() == "a publication to 'a' could not be delivered"


async def test_databases_are_kept_apart(valkey: Valkey) -> None:
    """Channels know no databases, but their names do."""
    async with (
        listening(f"{valkey.url}/1") as (one, ear),
        listening(f"{valkey.url}/2") as (other, _),
    ):
        await one.subscribe("a")
        await publish(other, "elsewhere")
        await publish(one, "here")

        assert await ear.until(1) == ["here"]
