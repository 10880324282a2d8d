"""What one WebSocket on asyncio receives, and when reading pauses: virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from consumers.server.frames import HIGH, pong_frame
from consumers_tests.server.driven import (
    PING,
    VIRTUAL,
    Driven,
    closing,
    disconnect,
    opened,
    received,
    said,
    turns,
)
from consumers_tests.server.frames.clients import client_frame

KIB = 1024


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return VIRTUAL


# -- receiving ------------------------------------------------------------------------


async def test_two_tasks_may_receive() -> None:
    """Each message goes to one of them, in order, and cancelling one hurts no other."""
    driven = await opened()
    got: list[Any] = []

    async def take() -> None:
        got.append(await driven.receive())

    first, *others = [asyncio.create_task(take()) for _ in range(3)]
    await turns()
    first.cancel()
    await turns()
    driven.says(said("a"))
    await turns()
    driven.says(said("b"))
    await asyncio.wait(others)

    assert got == [received("a"), received("b")]


async def test_a_receiver_that_is_cancelled_loses_nothing() -> None:
    """A message that came in the moment of the cancellation is there for the next."""
    driven = await opened()
    receiving = asyncio.create_task(driven.receive())
    await turns()
    driven.says(said("a"), said("b"))
    receiving.cancel()
    await asyncio.wait([receiving])
    assert receiving.cancelled()

    assert await driven.receive() == received("a")
    assert await driven.receive() == received("b")


async def test_what_comes_after_a_cancelled_receiver_is_kept() -> None:
    """Nobody waits any more, and the next one who does gets it."""
    driven = await opened()
    receiving = asyncio.create_task(driven.receive())
    await turns()
    receiving.cancel()
    await asyncio.wait([receiving])
    driven.says(said("a"))

    assert await driven.receive() == received("a")


async def test_what_is_read_after_the_end_is_answered_no_more() -> None:
    """Messages that wait are received; pings among them have nobody to be answered."""
    driven = await opened()
    driven.says(*[said("x")] * (HIGH + 1), client_frame(PING), said(b"\xff"))
    driven.transport.peer_vanishes()
    await turns()

    for _ in range(HIGH + 1):
        assert await driven.receive() == received("x")
    assert await driven.receive() == disconnect(1006)
    assert driven.written == b""


async def test_all_who_receive_learn_the_end() -> None:
    """The disconnect is for each of them, and for whoever asks later."""
    driven = await opened()
    tasks = [asyncio.create_task(driven.receive()) for _ in range(2)]
    await turns()

    driven.says(closing(4001, "bye"))
    await asyncio.wait(tasks)

    assert [task.result() for task in tasks] == [disconnect(4001, "bye")] * 2
    assert await driven.receive() == disconnect(4001, "bye")


async def test_messages_before_the_end_are_received_first() -> None:
    """What the peer sent before it left reaches the application."""
    driven = await opened()
    driven.says(said("a"), said("b"), closing(1000))

    assert [await driven.receive() for _ in range(3)] == [
        received("a"),
        received("b"),
        disconnect(1000),
    ]


async def test_what_has_come_is_taken_without_waiting() -> None:
    """The extension hands out the messages that are there, and then nothing."""
    driven = await opened()
    take = driven.protocol.take
    assert take() is None
    driven.says(said("a"), said("b"))

    assert [take(), take(), take()] == [received("a"), received("b"), None]


async def test_what_comes_before_the_answer_is_kept() -> None:
    """Frames that a client sends too early are read once the handshake is accepted."""
    driven = Driven()
    driven.says(said("ear"), client_frame(PING, b"?")[:3])
    driven.says(client_frame(PING, b"?")[3:])

    answer = await driven.accept()

    assert answer.endswith(b"\r\n\r\n" + pong_frame(b"?"))
    assert await driven.receive() == received("ear")


async def test_what_comes_before_the_answer_is_bounded() -> None:
    """A client that sends on and on before its handshake is answered is dropped."""
    driven = Driven()
    await driven.begin()
    driven.says(b"x" * 64 * KIB)
    assert not driven.transport.aborted

    driven.says(b"x")

    assert driven.transport.aborted
    assert await driven.receive() == disconnect(1006)


# -- reading pauses -------------------------------------------------------------------


async def test_reading_pauses_while_the_application_is_behind() -> None:
    """64 KiB wait for it at most before reading pauses, until it has caught up."""
    driven = await opened()
    for _ in range(64):
        driven.says(said("x" * (KIB - 8)))
    assert driven.transport.reading
    driven.says(said("x"))
    assert not driven.transport.reading

    for _ in range(65):
        assert not driven.transport.reading
        await driven.receive()
    waiting = asyncio.create_task(driven.receive())
    await turns()
    assert driven.transport.reading

    driven.says(said("again"))
    assert await waiting == received("again")


@pytest.mark.parametrize("waits", [False, True], ids=["busy", "receiving"])
async def test_reading_pauses_while_many_messages_wait(waits: bool) -> None:
    """More than the engine reads ahead stays unread, whoever waits for them."""
    driven = await opened()
    receiving = asyncio.create_task(driven.receive())
    await turns()
    if not waits:
        driven.says(said("x"))
        await receiving
    driven.says(*(said(str(number)) for number in range(200)))

    assert not driven.transport.reading
    got = [await receiving] if waits else []
    while len(got) < 200:
        got.append(await driven.receive())
    assert got == [received(str(number)) for number in range(200)]
    receiving = asyncio.create_task(driven.receive())
    await turns()
    assert driven.transport.reading


async def test_pings_of_a_peer_that_reads_nothing_pause_reading() -> None:
    """Pongs that nobody reads are bounded; reading goes on when they are read."""
    driven = await opened()
    driven.transport.stalled = True
    receiving = asyncio.create_task(driven.receive())
    await turns()
    for _ in range(100):
        if driven.transport.reading:
            driven.says(*[client_frame(PING, b"p" * 125)] * 16)
    assert not driven.transport.reading
    assert driven.transport.get_write_buffer_size() < 70 * KIB

    driven.transport.peer_reads()
    assert driven.transport.reading
    driven.says(said("I am back"))
    assert await receiving == received("I am back")


async def test_pings_between_messages_are_bounded_too() -> None:
    """An application that goes on receiving does not read more pings meanwhile."""
    driven = await opened()
    driven.transport.stalled = True
    flood = [client_frame(PING, b"p" * 125)] * 600
    for _ in range(3):
        receiving = asyncio.create_task(driven.receive())
        await turns()
        if driven.transport.reading:
            driven.says(*flood, said("x"))
        await turns()

    assert not driven.transport.reading
    assert driven.transport.get_write_buffer_size() < 80 * KIB
    driven.transport.peer_reads()
    assert driven.transport.reading
    receiving.cancel()


async def test_pings_after_our_close_are_bounded_too() -> None:
    """Also a peer that we are closing with can't make us keep pongs for it."""
    driven = await opened()
    await driven.fill()
    await driven.close()
    flood = [client_frame(PING, b"p" * 125)] * 600
    for _ in range(10):
        if driven.transport.reading:
            driven.says(*flood)

    assert driven.transport.get_write_buffer_size() < 300 * KIB


# -- floods ---------------------------------------------------------------------------


async def test_a_flood_of_pings_is_answered_in_turns() -> None:
    """Each of them, while others run, and without reading more meanwhile."""
    driven = await opened()
    receiving = asyncio.create_task(driven.receive())
    await turns()

    driven.says(client_frame(PING, b"x") * 2000, said("the next"))
    answered = [len(driven.written)]
    while not receiving.done():
        assert not driven.transport.reading
        await turns(1)
        answered.append(len(driven.written))

    assert max(answered) == 256 * len(pong_frame(b"x"))
    assert sum(answered) == 2000 * len(pong_frame(b"x"))
    assert receiving.result() == received("the next")
    receiving = asyncio.create_task(driven.receive())
    await turns()
    assert driven.transport.reading
    receiving.cancel()


@pytest.mark.parametrize("before", [True, False])
async def test_a_flood_does_not_hide_the_answer_to_our_close(before: bool) -> None:
    """Whether it came before our close frame or after, it is read to its end."""
    driven = await opened()
    flood = [client_frame(PING) * 2000, closing(4001)]
    if before:
        driven.says(*flood)
    await driven.close(4001, "done")
    if not before:
        driven.says(*flood)
    assert not driven.transport.is_closing()

    await turns(20)

    assert driven.transport.is_closing()
    assert not driven.transport.aborted
