"""One WebSocket on asyncio: what is written when, and what is waited for."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from consumers.server.asyncio_websocket import PeerGone
from consumers.server.frames import close_frame, pong_frame, text_frame
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


def texts(*payloads: str) -> bytes:
    """Return the server's frames of these texts."""
    return b"".join(text_frame(payload.encode()) for payload in payloads)


async def fill(driven: Driven) -> None:
    """Have the peer read nothing, and send until the transport has enough."""
    driven.transport.stalled = True
    await driven.text("x" * 65 * KIB)
    driven.transport.writes.clear()


# -- one write for many frames --------------------------------------------------------


async def test_replies_to_what_came_together_share_a_write() -> None:
    """Sixteen messages in one read are answered in one write, in order."""
    driven = await opened()
    driven.says(*(said(str(number)) for number in range(16)))

    for number in range(16):
        assert await driven.receive() == received(str(number))
        await driven.text(str(number))

    assert driven.transport.writes == [texts(*map(str, range(16)))]


async def test_one_reply_is_written_at_once() -> None:
    """Where nothing else waits, nothing is held back."""
    driven = await opened()
    driven.says(said("one"))
    await driven.receive()

    await driven.text("a")
    await driven.text("b")

    assert driven.transport.writes == [texts("a"), texts("b")]


async def test_what_is_gathered_goes_out_at_the_next_turn() -> None:
    """A reply waits for the next message's reply one turn at most."""
    driven = await opened()
    driven.says(said("one"), said("two"))
    await driven.receive()
    await driven.text("a")
    assert driven.transport.writes == []

    await turns()

    assert driven.transport.writes == [texts("a")]


async def test_publications_share_a_write() -> None:
    """Ready frames that are due in one turn are one write, and one alone is one too."""
    driven = await opened()
    frames = [text_frame(bytes([65 + number])) for number in range(5)]

    assert all(driven.protocol.post(frame) for frame in frames)
    assert driven.transport.writes == []
    await turns()
    assert driven.transport.writes == [b"".join(frames)]

    driven.protocol.post(frames[0])
    await turns()
    assert driven.transport.writes[1:] == [frames[0]]


async def test_everything_leaves_in_the_order_in_which_it_was_sent() -> None:
    """Nothing overtakes gathered frames: neither send, a pong, a ping nor close."""
    driven = await opened()
    post = driven.protocol.post
    post(text_frame(b"1"))
    await driven.text("2")
    post(text_frame(b"3"))
    driven.says(client_frame(PING, b"4"))
    post(text_frame(b"5"))
    driven.protocol.ping()
    post(text_frame(b"6"))
    await driven.close(1000)

    ping = b"\x89\x00"
    assert driven.written == b"".join(
        [texts("1", "2", "3"), pong_frame(b"4"), texts("5"), ping, texts("6")]
    ) + close_frame(1000)
    await turns()
    assert driven.written == b""


async def test_so_many_frames_are_gathered_at_most() -> None:
    """After 64 frames, or a large one, they are written without waiting for more."""
    driven = await opened()
    for _ in range(63):
        driven.protocol.post(text_frame(b"x"))
    assert driven.transport.writes == []
    driven.protocol.post(text_frame(b"x"))
    assert driven.transport.writes == [texts("x") * 64]

    driven.protocol.post(text_frame(b"y"))
    driven.protocol.post(text_frame(b"z" * 64 * KIB))

    assert driven.transport.writes[1:] == [texts("y", "z" * 64 * KIB)]


async def test_a_client_that_does_not_read_is_posted_a_megabyte_at_most() -> None:
    """However large publications are, so much is gathered before the transport says."""
    driven = await opened()
    driven.transport.stalled = True
    frame = text_frame(b"x" * 60 * KIB)

    posted = 0
    while driven.protocol.post(frame):
        posted += len(frame)

    assert posted <= 1024 * KIB
    assert driven.transport.get_write_buffer_size() > 64 * KIB


# -- sending waits --------------------------------------------------------------------


async def test_send_waits_for_a_peer_that_does_not_read() -> None:
    """While the transport has enough senders wait, then they go on in order."""
    driven = await opened()
    await fill(driven)
    async with anyio.create_task_group() as group:
        for name in "abc":
            group.start_soon(driven.text, name)
        await turns()
        assert driven.transport.writes == []
        assert not driven.protocol.post(text_frame(b"no"))
        assert not driven.protocol.write({"type": "websocket.send", "text": "no"})

        driven.transport.peer_reads()

    assert driven.transport.writes == [texts("a"), texts("b"), texts("c")]


async def test_a_sender_that_is_cancelled_harms_no_other() -> None:
    """A message whose sending is cancelled is not sent; all others are, in order."""
    driven = await opened()
    await fill(driven)
    tasks = [asyncio.create_task(driven.text(name)) for name in "abc"]
    await turns()
    tasks[1].cancel()
    await turns()

    driven.transport.peer_reads()
    await asyncio.wait(tasks)

    assert tasks[1].cancelled()
    assert driven.written == texts("a", "c")


async def test_senders_that_gave_up_are_not_kept() -> None:
    """Trying again and again to send to a stalled peer takes no more memory."""
    driven = await opened()
    await fill(driven)
    for _ in range(50):
        with anyio.move_on_after(0.1):
            await driven.text("still there?")

    assert len(driven.protocol._writers) <= 1


async def test_a_sender_that_waits_learns_that_the_peer_has_gone() -> None:
    """It is an OSError, as ASGI asks, that says what happened; no other is kept."""
    driven = await opened()
    await fill(driven)
    sending = asyncio.create_task(driven.text("a"))
    await turns()

    driven.transport.peer_vanishes()

    with pytest.raises(PeerGone, match="the client is gone"):
        await sending
    with pytest.raises(OSError, match="the client is gone"):
        await driven.text("b")
    assert not driven.protocol.post(text_frame(b"c"))
    assert driven.written == b""


async def test_accepting_waits_as_sending_does() -> None:
    """Whoever waits to answer the handshake learns that the peer has gone."""
    driven = Driven()
    await driven.begin()
    driven.protocol.pause_writing()
    accepting = asyncio.create_task(driven.send({"type": "websocket.accept"}))
    await turns()
    assert driven.written == b""

    driven.transport.peer_vanishes()

    with pytest.raises(PeerGone):
        await accepting


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
    while driven.transport.reading:
        driven.says(*[client_frame(PING, b"p" * 125)] * 16)
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
    await fill(driven)
    await driven.close()
    flood = [client_frame(PING, b"p" * 125)] * 600
    for _ in range(10):
        if driven.transport.reading:
            driven.says(*flood)

    assert driven.transport.get_write_buffer_size() < 300 * KIB
