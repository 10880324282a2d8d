"""What one WebSocket on asyncio writes when, and how senders wait: virtual time."""

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
    while posted <= 1024 * KIB and driven.protocol.post(frame):
        posted += len(frame)

    assert posted <= 1024 * KIB
    assert driven.transport.get_write_buffer_size() > 64 * KIB


async def test_what_is_encoded_already_is_sent_as_it_is() -> None:
    """The extension makes the same frames as `send`, short and long ones."""
    driven = await opened()
    protocol = driven.protocol
    for size in (0, 125, 126, 70_000):
        text = "x" * size
        for event, data in (({"text": text}, True), ({"bytes": text.encode()}, False)):
            await driven.send({"type": "websocket.send", **event})
            written = driven.written
            assert protocol.write_data(text.encode(), data)
            assert driven.written == written
            assert protocol.frame({"type": "websocket.send", **event}) == written


async def test_nothing_is_written_before_the_accept() -> None:
    """The extension says that it has to wait, and `send` why it can't."""
    driven = Driven()
    await driven.begin()

    assert not driven.protocol.write_data(b"early", is_text=True)
    assert not driven.protocol.post(text_frame(b"early"))
    with pytest.raises(RuntimeError, match="expected the application to send"):
        await driven.text("early")


# -- sending waits --------------------------------------------------------------------


async def test_send_waits_for_a_peer_that_does_not_read() -> None:
    """While the transport has enough senders wait, then they go on in order."""
    driven = await opened()
    await driven.fill()
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
    await driven.fill()
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
    await driven.fill()
    for _ in range(50):
        with anyio.move_on_after(0.1):
            await driven.text("still there?")

    assert len(driven.protocol._writers) <= 1


async def test_a_sender_that_waits_learns_that_the_peer_has_gone() -> None:
    """It is an OSError, as ASGI asks, that says what happened; no other is kept."""
    driven = await opened()
    await driven.fill()
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
