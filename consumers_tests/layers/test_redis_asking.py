"""Asking the broker: again where that is safe, and for a limited time."""

from collections.abc import Awaitable
from typing import Any

import anyio
import pytest
from anyio import create_task_group
from coredis.exceptions import NoScriptError, TryAgainError

from consumers.errors import LayerUnavailable
from consumers.layers.redis import RedisLayer, parse_address
from consumers.layers.redis.faults import Lost
from consumers.layers.redis.link import Link
from consumers_tests.layers.broken import KEEP, listening
from consumers_tests.layers.conformance.tools import Note, entry, messages, publish
from consumers_tests.proxy import Proxy
from consumers_tests.valkey import Valkey


async def test_forgotten_scripts_are_told_again(valkey: Valkey) -> None:
    """After SCRIPT FLUSH nothing is missing, and the order is the same."""
    async with listening(valkey.url) as (layer, ear):
        await layer.subscribe("a")
        for flushed in range(2):
            valkey.command("SCRIPT", "FLUSH")
            await publish(layer, *range(10 * flushed, 10 * flushed + 10))

        assert await ear.until(20) == list(range(20))
        assert messages((await layer.history("a", KEEP)).kept) == list(range(20))
        assert layer.statistics()["retried"] == 21


async def test_a_call_that_gets_no_connection_is_given_up() -> None:
    """After `timeout` seconds it says what the matter is, for every kind of call."""
    with Valkey() as server:
        async with listening(server.url, timeout=0.1) as (layer, _):
            server.kill()
            for call in (
                layer.publish([Note("a", 1, KEEP)]),
                layer.publish([Note("a", 1)]),
                layer.subscribe("a"),
                layer.positions(["a"]),
                layer.enter("a", [entry("c1")], 30),
                layer.hold("lease", 30),
                layer.overview(),
                layer.check(),
            ):
                with pytest.raises(LayerUnavailable, match=server.url):
                    await call
            assert layer.statistics()["subscriptions"] == 0


async def test_a_call_that_gets_no_answer_is_given_up(proxy: Proxy) -> None:
    """A link that is not known to be lost makes nobody wait longer than said."""
    url = f"redis://127.0.0.1:{proxy.port}"
    async with listening(url, timeout=0.1) as (layer, _):
        proxy.stall()
        with pytest.raises(LayerUnavailable, match="not answered within"):
            await layer.count("a")
        with pytest.raises(LayerUnavailable, match="not answered within"):
            await layer.subscribe("a")


async def test_what_the_broker_refuses_is_told(valkey: Valkey) -> None:
    """It is not asked again, and the calls beside it are answered."""
    valkey.command("SET", "consumers:{a}:meta", "no hash")
    async with listening(valkey.url) as (layer, _):
        with pytest.raises(LayerUnavailable, match="refuses: Operation against a key"):
            await layer.publish([Note("a", 1, KEEP), Note("b", 2, KEEP)])

        assert messages((await layer.history("b", KEEP)).kept) == [2]
        assert layer.statistics()["retried"] == 0


async def test_a_cancelled_publication_disturbs_nobody(valkey: Valkey) -> None:
    """The answers to others stay theirs, and the link is the same."""
    async with listening(valkey.url) as (layer, ear):
        for number in range(20):
            async with create_task_group() as tasks:
                tasks.start_soon(publish, layer, number)
                await anyio.lowlevel.checkpoint()
                tasks.cancel_scope.cancel()
            (position,) = await publish(layer, "whole", group=f"group-{number}")
            assert position.offset == 1

        kept = messages((await layer.history("a", KEEP)).kept)
        assert kept == sorted(set(kept))
        assert ear.times_resumed == 0


async def test_a_layer_that_does_not_run_says_so(valkey: Valkey) -> None:
    """There is nobody to ask."""
    with pytest.raises(LayerUnavailable, match="not running"):
        await RedisLayer(parse_address(valkey.url)).count("a")


class Fickle(Link):
    """Answers with one error after the other, and then itself."""

    errors: list[Exception]
    commands: list[tuple[object, ...]]

    async def reply(self, request: Awaitable[Any]) -> Any:
        answer = await super().reply(request)
        if self.errors:
            raise self.errors.pop(0)
        return answer

    def send(self, command: bytes, *arguments: Any) -> Awaitable[Any]:
        self.commands.append((command, *arguments))
        if len(self.commands) == 1:
            raise Lost("before it was sent")
        return super().send(command, *arguments)


async def test_a_doubt_outlives_a_refusal(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What may have been kept before its answer was lost is never kept twice.

    Not even where the next answer is that nothing was done.
    """
    async with listening(valkey.url) as (layer, _):
        assert layer._servers is not None
        (link,) = layer._servers.links
        monkeypatch.setattr(link, "__class__", Fickle)
        assert isinstance(link, Fickle)
        link.commands = []
        link.errors = [Lost("somewhere"), NoScriptError(), TryAgainError()]
        (position,) = await publish(layer, 1)

        assert position.offset == 1
        assert [command for command, *_ in link.commands] == [
            b"EVALSHA",
            b"EVALSHA",
            b"EVALSHA",
            b"EVAL",
            b"EVAL",
        ]
        monkeypatch.undo()
        assert messages((await layer.history("a", KEEP)).kept) == [1]
