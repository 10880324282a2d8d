"""Many clients at once, and one among them that does not read."""

from __future__ import annotations

import json
import socket
import time
import urllib.request
from contextlib import AsyncExitStack, closing
from typing import Any

import anyio
import anyio.to_thread
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from .live import PATIENCE, Live, new_key

CROWD = 500
KIB = 1024


def publish(live: Live, group: str, message: str) -> int:
    """Publish from a synchronous HTTP endpoint; return how many members there are."""
    url = live.server.http_url(f"/publish/{group}?message={message}")
    with urllib.request.urlopen(url, data=b"", timeout=PATIENCE) as answer:
        count: int = json.load(answer)
    return count


def test_an_endpoint_in_a_thread_publishes(live: Live) -> None:
    """`groups.sync` reaches members from a synchronous view, in the server's pool."""
    group = new_key()
    with live.connect(f"/member/{new_key()}/{group}") as client:
        assert client.recv(timeout=PATIENCE) == "joined"

        assert publish(live, group, "from-a-thread") == 1
        assert client.recv(timeout=PATIENCE) == "from-a-thread"


def test_a_crowd_gets_a_publication(live: Live) -> None:
    """500 clients connect at once, and each gets what is published to their group."""
    group = new_key()
    path = live.server.url(f"/member/{new_key()}/{group}")
    settings: dict[str, Any] = {"compression": None, "open_timeout": None}

    async def crowd() -> list[float]:
        times = [anyio.current_time()]
        async with AsyncExitStack() as stack:
            clients = []

            async def come() -> None:
                clients.append(
                    await stack.enter_async_context(
                        connect(path, proxy=None, **settings)
                    )
                )
                assert await clients[-1].recv() == "joined"

            async with anyio.create_task_group() as group_of_tasks:
                for _ in range(CROWD):
                    group_of_tasks.start_soon(come)
            times.append(anyio.current_time())
            assert (
                await anyio.to_thread.run_sync(publish, live, group, "hello") == CROWD
            )
            for client in clients:
                assert await client.recv() == "hello"
            times.append(anyio.current_time())
            for client in clients:
                client.transport.abort()
        return times

    async def in_time() -> list[float]:
        with anyio.fail_after(3 * PATIENCE):
            return await crowd()

    begun, joined, got = anyio.run(in_time)

    assert joined - begun < 2 * PATIENCE
    assert got - joined < PATIENCE


def test_a_member_that_does_not_read_delays_nobody(live: Live) -> None:
    """Others get each publication; the stalled one is closed with 1013 in the end."""
    group, key = new_key(), new_key()
    message = "x" * 256 * KIB
    sync = live.served.app.groups.sync
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * KIB)
    narrow.connect(live.address)
    with (
        closing(narrow),
        live.connect(f"/bounded/{key}/{group}", sock=narrow, max_queue=1) as stalled,
        live.connect(f"/member/{new_key()}/{group}") as reading,
    ):
        assert reading.recv(timeout=PATIENCE) == "joined"
        slowest = 0.0
        for _ in range(200):
            begun = time.monotonic()
            sync.publish(group, message)
            assert reading.recv(timeout=PATIENCE) == message
            slowest = max(slowest, time.monotonic() - begun)
            if sync.count(group) == 1:
                break

        assert sync.count(group) == 1
        assert slowest < 5
        # What was sent before the close is still on its way.
        with pytest.raises(ConnectionClosed) as caught:  # noqa: PT012
            while stalled.recv(timeout=PATIENCE):
                pass
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1013
        assert live.told(key)[0] == 1013
