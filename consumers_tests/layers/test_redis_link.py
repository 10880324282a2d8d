"""The link to a server: found dead, made again, and what happens meanwhile."""

import logging
import time
from contextlib import suppress

import anyio
import pytest
from anyio import create_task_group, fail_after

from consumers.errors import LayerUnavailable
from consumers.history import Position
from consumers.layers.redis import RedisLayer
from consumers.layers.redis.link import Link
from consumers_tests.layers.broken import KEEP, Ear, listening, restart
from consumers_tests.layers.conformance.tools import Note, messages, publish
from consumers_tests.proxy import Proxy
from consumers_tests.valkey import Valkey


def link_of(layer: RedisLayer) -> Link:
    assert layer._servers is not None
    (link,) = layer._servers.links
    return link


async def until_down(link: Link) -> None:
    """Wait until a link knows that it is lost."""
    with fail_after(20):
        while link.up:
            await link.changed()


async def test_all_is_heard_again_after_the_broker_was_killed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """More groups than go into one command; it is told once that it is lost, and back.

    Whoever publishes meanwhile waits.
    """
    caplog.set_level(logging.INFO, "consumers")
    groups = [f"group-{i}" for i in range(1200)]
    with Valkey(append=True) as server:
        async with listening(server.url) as (layer, ear):
            await layer.subscribe(*groups)
            server.kill()
            await until_down(link_of(layer))

            async with create_task_group() as tasks:
                tasks.start_soon(publish, layer, "first")
                for group in (groups[0], groups[-1]):
                    tasks.start_soon(layer.publish, [Note(group, "x")])
                await restart(server)

            await ear.until(1, groups[0])
            await ear.until(1, groups[-1])
            assert ear.times_resumed == 1
            assert messages((await layer.history("a", KEEP)).kept) == ["first"]
            assert layer.statistics()["reconnects"] == 1
            assert layer.statistics()["subscriptions"] == 1200
    lost, back = (record.getMessage() for record in caplog.records)
    assert lost.startswith(f"lost {server.url} (")
    assert back == f"connected to {server.url} again"


async def test_publications_are_kept_once_and_in_order_through_losses(
    proxy: Proxy,
) -> None:
    """What one task publishes while connections are cut is all there, in order."""
    async with listening(f"redis://127.0.0.1:{proxy.port}") as (layer, ear):
        await layer.subscribe("a")
        for number in range(100):
            if number % 25 == 24:
                proxy.cut()
            await publish(layer, number, history=KEEP)

        kept = (await layer.history("a", KEEP)).kept
        assert messages(kept) == list(range(100))
        assert ear.times_resumed >= 3
        heard = ear.messages()
        assert heard == sorted(set(heard))


async def test_a_stalled_link_is_found_within_two_heartbeats(proxy: Proxy) -> None:
    """Nothing is closed, but nothing comes either: it is lost, and made again."""
    url = f"redis://127.0.0.1:{proxy.port}"
    async with (
        listening(url, heartbeat=0.1) as (layer, ear),
        listening(url) as (patient, _),
    ):
        await layer.subscribe("a")
        proxy.stall()
        started = time.monotonic()
        await until_down(link_of(layer))

        assert time.monotonic() - started < 5
        # The control: who does not look does not see.
        assert link_of(patient).up
        with pytest.raises(LayerUnavailable, match="no answer within"):
            await layer.check()
        proxy.resume()
        await ear.until_resumed()
        await publish(layer, "back")
        await ear.until(1)


async def test_a_process_that_stood_still_loses_nothing(valkey: Valkey) -> None:
    """After it was busy for longer than a heartbeat may take, the link is there."""
    for heartbeat in (0.1, 0.5, 2.0):
        async with listening(valkey.url, heartbeat=heartbeat) as (layer, ear):
            for _ in range(3):
                await anyio.sleep(heartbeat)
                time.sleep(2 * heartbeat)  # noqa: ASYNC251  that is what is tested
            # Where the broker had no processor for so long there is another try.
            with suppress(LayerUnavailable):
                await layer.check()
            connects = (ear.times_resumed, link_of(layer).connects)
            latency = layer.statistics()["latency"]
        if connects == (0, 1):
            break

    assert connects == (0, 1)
    assert latency > 0


async def test_what_is_not_kept_is_not_sent_twice(proxy: Proxy) -> None:
    """When the link is lost before the answer, the publisher is told, and nothing else.

    What is kept is sent again at the same moment.
    """
    url = f"redis://127.0.0.1:{proxy.port}"
    async with listening(url) as (layer, _):
        proxy.stall()
        told: list[str] = []

        async def plain() -> None:
            with pytest.raises(LayerUnavailable) as caught:
                await layer.publish([Note("b", 1), Note("a", "both", KEEP)])
            told.append(str(caught.value))

        async with create_task_group() as tasks:
            tasks.start_soon(plain)
            tasks.start_soon(publish, layer, "kept")
            await anyio.wait_all_tasks_blocked()
            proxy.cut()
            proxy.resume()

        (line,) = told
        assert line.startswith(f"lost {url} before it answered: ")
        kept = (await layer.history("a", KEEP)).kept
        assert sorted(messages(kept)) == ["both", "kept"]


class Deaf(Ear):
    """Fails at whatever it is told."""

    def deliver(self, group: str, carried: object, position: Position | None) -> None:
        super().deliver(group, carried, position)  # type: ignore[arg-type]
        raise ZeroDivisionError

    def resumed(self) -> None:
        super().resumed()
        raise ZeroDivisionError


async def test_a_receiver_that_fails_does_not_harm_the_link(
    proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and all goes on: the next publication, the next connection."""
    ear = Deaf()
    from consumers.layers.redis import parse_address

    with fail_after(20):
        layer = RedisLayer(parse_address(f"redis://127.0.0.1:{proxy.port}"))
        async with layer.running(ear):
            await layer.subscribe("a")
            await publish(layer, 1, 2)
            await ear.until(2)
            proxy.cut()
            await ear.until_resumed()
            await publish(layer, 3)

            assert await ear.until(3) == [1, 2, 3]
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 4
    assert all(record.name == "consumers.layers" for record in errors)


async def test_what_nobody_expects_ends_only_the_connections(
    valkey: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault of our own in the background is logged, and the link made again."""
    async with listening(valkey.url, heartbeat=0.05) as (layer, ear):
        link = link_of(layer)

        async def answers(connection: object) -> None:
            del link._answers
            raise ZeroDivisionError

        link._answers = answers  # type: ignore[method-assign]
        await ear.until_resumed()
        assert await layer.check() > 0
    (record,) = (each for each in caplog.records if each.levelname == "ERROR")
    assert record.getMessage() == f"the link to {valkey.url} has failed"
