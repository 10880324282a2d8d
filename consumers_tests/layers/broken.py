"""A layer whose broker is taken away, and what it tells then."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import anyio
from anyio import fail_after, to_thread

from consumers.history import History
from consumers.layers.redis import RedisLayer, parse_address
from consumers.layers.redis.link import Link
from consumers_tests.layers.conformance.tools import Heard
from consumers_tests.valkey import Valkey

KEEP = History(size=10_000, ttl=60)


class Ear(Heard):
    """What a layer delivered, and how often it was cut off."""

    def __init__(self) -> None:
        super().__init__()
        self.times_resumed = 0
        self._resumed = anyio.Event()

    def resumed(self) -> None:
        self.times_resumed += 1
        self._resumed.set()
        self._resumed = anyio.Event()

    async def until_resumed(self, times: int = 1) -> None:
        """Wait until it was cut off so many times, and is back."""
        with fail_after(20):
            while self.times_resumed < times:
                await self._resumed.wait()


@asynccontextmanager
async def listening(
    url: str,
    *,
    wait: float = 0.0,
    timeout: float = 10.0,  # noqa: ASYNC109  the layer's own
    heartbeat: float = 3.0,
) -> AsyncIterator[tuple[RedisLayer, Ear]]:
    """Yield a layer that runs, and what it tells."""
    address, ear = parse_address(url), Ear()
    layer = RedisLayer(address, wait=wait, timeout=timeout, heartbeat=heartbeat)
    with fail_after(30):
        async with layer.running(ear):
            yield layer, ear


async def restart(server: Valkey) -> None:
    """Start a killed server again."""
    await to_thread.run_sync(server.restart)


async def settle(layer: RedisLayer) -> None:
    """Wait until the broker has done all that it was told, and we know."""
    assert layer._servers is not None
    for link in layer._servers.links:
        await listened(link)
    await anyio.wait_all_tasks_blocked()


async def listened(link: Link) -> None:
    """Wait until a server has done what its listening connection told it."""
    listener = link.subscriptions._listener
    assert listener is not None
    await listener.create_request(b"PING")


def tasks_now() -> int:
    """Return how many tasks there are on this event loop."""
    return len(anyio.get_running_tasks())


sleep_a_little = partial(anyio.sleep, 0.05)
