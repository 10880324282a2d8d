"""Pings of one WebSocket on asyncio, and who is taken for gone: in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from consumers.server.asyncio_websocket import PeerGone
from consumers.server.frames import close_frame
from consumers_tests.server.driven import (
    PONG,
    TEXT,
    VIRTUAL,
    Driven,
    disconnect,
    opened,
    received,
    said,
    turns,
)
from consumers_tests.server.frames.clients import client_frame

KIB = 1024
PINGED = b"\x89\x00"
ANSWER = client_frame(PONG)


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return VIRTUAL


async def pinged(**settings: Any) -> Driven:
    """Return a connection that has just been pinged for the first time."""
    driven = await opened(
        **{"ws_ping_interval": 10.0, "ws_ping_timeout": 5.0, **settings}
    )
    await anyio.sleep(10.1)
    return driven


async def test_a_peer_that_answers_is_pinged_again() -> None:
    """Each answer is followed by another ping, after the interval."""
    driven = await pinged()
    for _ in range(3):
        assert driven.written == PINGED
        driven.says(ANSWER)
        await anyio.sleep(10)


async def test_a_peer_that_does_not_answer_is_told() -> None:
    """It gets a close frame with 1011, and the application learns that."""
    driven = await pinged()
    assert driven.written == PINGED

    await anyio.sleep(5)

    assert driven.written == close_frame(1011, "keepalive ping timeout")
    assert driven.transport.is_closing()
    assert await driven.receive() == disconnect(1011, "keepalive ping timeout")


async def test_what_came_before_a_peer_fell_silent_is_received() -> None:
    """An application that is behind gets what was said, and then learns of the end."""
    driven = await pinged()
    driven.says(said("first"), said("second"))

    await anyio.sleep(5.1)

    assert await driven.receive() == received("first")
    assert await driven.receive() == received("second")
    assert await driven.receive() == disconnect(1011, "keepalive ping timeout")


async def test_a_peer_that_does_not_read_is_dropped_in_time() -> None:
    """Where it has not read what was sent, nobody waits for it any longer."""
    driven = await opened(ws_ping_interval=10.0, ws_ping_timeout=5.0)
    driven.transport.stalled = True
    await driven.text("x" * 70 * KIB)
    sending = asyncio.create_task(driven.text("more"))
    await anyio.sleep(14.9)
    assert not sending.done()

    await anyio.sleep(0.3)

    assert driven.transport.aborted
    assert isinstance(sending.exception(), PeerGone)


async def test_an_answer_among_other_pongs_counts() -> None:
    """Pongs that nobody has asked for may come behind the answer."""
    driven = await pinged()
    driven.says(ANSWER, client_frame(PONG, b"I send one now and then"))

    await anyio.sleep(9)

    assert not driven.transport.is_closing()


@pytest.mark.parametrize("count", [70, 1000], ids=["some", "much"])
async def test_nobody_is_dropped_because_the_application_is_behind(count: int) -> None:
    """An answer behind messages that the application has yet to take counts."""
    driven = await opened(ws_ping_interval=10.0, ws_ping_timeout=5.0)
    receiving = asyncio.create_task(driven.receive())
    await anyio.sleep(10.1)
    driven.says(*[client_frame(TEXT, b"x" * 100)] * count, ANSWER)
    await receiving

    await anyio.sleep(60)
    assert not driven.transport.is_closing()

    for _ in range(count - 1):
        await driven.receive()
    receiving = asyncio.create_task(driven.receive())
    await anyio.sleep(60)
    assert driven.transport.lost  # it has not answered the second one


async def test_nobody_is_dropped_who_reads_slowly() -> None:
    """While neither side is read by us, a peer that reads has shown that it lives."""
    driven = await opened(ws_ping_interval=10.0, ws_ping_timeout=5.0)

    async def echo() -> None:
        while True:
            await driven.text((await driven.receive())["text"])

    echoing = asyncio.create_task(echo())
    driven.transport.stalled = True
    await turns()
    for _ in range(200):
        if driven.transport.reading:
            driven.says(said("x" * 2 * KIB))
        await turns()
    assert not driven.transport.reading
    await anyio.sleep(12)

    driven.transport.peer_reads()
    driven.transport.stalled = True
    await anyio.sleep(5)
    assert not driven.transport.is_closing()

    echoing.cancel()


async def test_a_ping_goes_out_though_reading_is_paused() -> None:
    """Who is behind for long keeps connections alive in proxies all the same."""
    driven = await opened(ws_ping_interval=10.0, ws_ping_timeout=5.0)
    driven.says(*[said("x")] * 100)
    assert not driven.transport.reading

    await anyio.sleep(40)

    assert driven.written.count(PINGED) >= 2
    assert not driven.transport.is_closing()
