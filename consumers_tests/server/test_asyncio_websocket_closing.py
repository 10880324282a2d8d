"""How one WebSocket on asyncio ends, whoever ends it: in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from consumers.server.asyncio_websocket import PeerGone
from consumers.server.asyncio_writing import CLOSE_TIMEOUT
from consumers.server.frames import HIGH, close_frame, text_frame
from consumers_tests.server.driven import (
    CLOSE,
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


# -- the closing handshake ------------------------------------------------------------


async def test_our_close_ends_with_the_peers_answer() -> None:
    """The peer's answer ends the connection; the event is what the application said."""
    driven = await opened()
    await driven.close(4001, "done")
    assert driven.written == close_frame(4001, "done")
    assert not driven.transport.is_closing()

    driven.says(closing(4001))

    assert driven.transport.is_closing()
    assert not driven.transport.aborted
    assert await driven.receive() == disconnect(4001, "done")
    assert driven.written == b""


async def test_our_close_has_a_deadline() -> None:
    """A peer that does not answer our close frame is dropped."""
    driven = await opened()
    await driven.close()

    await anyio.sleep(CLOSE_TIMEOUT - 0.1)
    assert not driven.transport.aborted
    await anyio.sleep(0.2)
    assert driven.transport.aborted


async def test_an_answered_close_has_the_same_deadline() -> None:
    """A peer that answers but does not read what was sent before has no more time."""
    driven = await opened()
    driven.transport.stalled = True
    await driven.text("x" * KIB)
    await driven.close()
    await anyio.sleep(CLOSE_TIMEOUT - 1)
    driven.says(closing(1000))
    assert not driven.transport.lost

    await anyio.sleep(1.1)

    assert driven.transport.aborted


async def test_the_application_may_close_without_a_code() -> None:
    """Neither code nor reason is 1000 and no text."""
    driven = await opened()

    await driven.send({"type": "websocket.close", "code": None, "reason": None})

    assert driven.written == close_frame(1000)


async def test_a_close_that_can_not_be_sent_is_refused() -> None:
    """A wrong code raises, and the connection is open as before."""
    driven = await opened()

    with pytest.raises(ValueError, match="1005"):
        await driven.close(1005)

    await driven.text("still here")
    assert driven.written == text_frame(b"still here")


async def test_after_our_close_nothing_is_sent_nor_received() -> None:
    """What the peer says until it answers is dropped; sending raises an OSError."""
    driven = await opened()
    driven.says(said("before"))
    await driven.close()
    driven.says(said("after"))

    assert await driven.receive() == disconnect(1000)
    for event in ("websocket.send", "websocket.close"):
        with pytest.raises(PeerGone):
            await driven.send({"type": event, "text": "too late"})
    assert driven.written == close_frame(1000)


@pytest.mark.parametrize(
    ("payload", "code", "reason"),
    [(b"", 1005, ""), (b"\x0f\xa1gone", 4001, "gone"), (b"\x03\xe9", 1001, "")],
)
async def test_the_peers_close_is_answered(
    payload: bytes, code: int, reason: str
) -> None:
    """The answer repeats it, the connection ends, and the application learns both."""
    driven = await opened()
    driven.says(client_frame(CLOSE, payload))

    assert driven.written == bytes([CLOSE, len(payload)]) + payload
    assert driven.transport.is_closing()
    assert await driven.receive() == disconnect(code, reason)
    with pytest.raises(PeerGone):
        await driven.text("too late")


async def test_the_answer_to_a_close_has_a_deadline() -> None:
    """A peer that says goodbye and reads nothing is dropped."""
    driven = await opened()
    driven.transport.stalled = True
    await driven.text("x" * KIB)
    driven.says(closing(1000))
    assert driven.transport.is_closing()
    assert not driven.transport.lost

    await anyio.sleep(CLOSE_TIMEOUT + 0.1)

    assert driven.transport.aborted


async def test_two_closes_that_cross_end_the_connection() -> None:
    """A close of the peer that waits behind unread messages answers ours."""
    driven = await opened()
    driven.says(*[said("x")] * (HIGH + 1), closing(1000))
    assert not driven.transport.reading

    await driven.close(4001)

    assert driven.transport.is_closing()
    assert not driven.transport.aborted


async def test_our_close_is_answered_though_reading_was_paused() -> None:
    """Reading goes on, because nothing is kept for the application any more."""
    driven = await opened()
    driven.says(said("x" * 65 * KIB))
    assert not driven.transport.reading

    await driven.close()

    assert driven.transport.reading


# -- failures -------------------------------------------------------------------------


async def test_a_failure_is_told_before_the_connection_ends() -> None:
    """The close frame is followed by an end; what comes meanwhile is read and dropped.

    Were the connection cut with unread bytes, the close frame might not arrive.
    """
    driven = await opened()
    driven.says(said(b"\xff"))

    assert driven.written == close_frame(1007, "a text is not UTF-8")
    assert driven.transport.eof
    assert not driven.transport.is_closing()
    assert await driven.receive() == disconnect(1007, "a text is not UTF-8")
    driven.says(b"x" * 100 * KIB)
    assert driven.transport.reading
    driven.transport.peer_leaves()
    assert driven.transport.is_closing()
    assert not driven.transport.aborted


async def test_a_peer_that_broke_the_protocol_has_a_deadline() -> None:
    """It is dropped if it does not end its side."""
    driven = await opened()
    driven.says(said(b"\xff"))

    await anyio.sleep(CLOSE_TIMEOUT + 0.1)

    assert driven.transport.aborted


async def test_a_failure_behind_unread_messages_is_read_on_too() -> None:
    """The peer's end is noticed also where reading was paused when it failed."""
    driven = await opened()
    driven.says(*[said("x")] * (HIGH + 1), said(b"\xff"))
    assert not driven.transport.reading

    for _ in range(HIGH + 1):
        assert await driven.receive() == received("x")
    assert (await driven.receive())["code"] == 1007

    assert driven.transport.eof
    assert driven.transport.reading


async def test_a_failure_with_much_in_front_of_it_is_read_on_too() -> None:
    """Messages that wait for the application do not pause reading after the end."""
    driven = await opened()
    driven.says(*[said("x" * 30 * KIB)] * 3, said(b"\xff"))

    assert driven.transport.eof
    assert driven.transport.reading


async def test_a_transport_that_can_not_end_one_side_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """TLS has no half of a connection: it is closed after a failure."""
    driven = await opened()
    monkeypatch.setattr(driven.transport, "can_write_eof", lambda: False)

    driven.says(said(b"\xff"))

    assert driven.transport.is_closing()
    assert not driven.transport.eof


# -- a peer that leaves without a word ------------------------------------------------


async def test_a_peer_that_vanishes_is_1006() -> None:
    """A connection that breaks is told after the messages that came before."""
    driven = await opened()
    driven.says(said("last words"))
    driven.transport.peer_vanishes()
    await turns()

    assert await driven.receive() == received("last words")
    assert await driven.receive() == disconnect(1006)
    assert not driven.state.connections


async def test_a_peer_that_ends_its_side_is_noticed_at_once() -> None:
    """The application learns it, and its senders, though much was not read."""
    driven = await opened()
    driven.transport.stalled = True
    await driven.text("x" * 65 * KIB)
    sending = asyncio.create_task(driven.text("more"))
    receiving = asyncio.create_task(driven.receive())
    await turns()

    driven.transport.peer_leaves()
    await turns()

    assert receiving.result() == disconnect(1006)
    assert isinstance(sending.exception(), PeerGone)
    assert not driven.transport.lost
    await anyio.sleep(CLOSE_TIMEOUT + 0.1)
    assert driven.transport.lost


async def test_a_peer_may_leave_before_the_answer() -> None:
    """An application that is still deciding learns that nobody waits for it."""
    driven = Driven()
    await driven.begin()
    receiving = asyncio.create_task(driven.receive())
    await turns()
    driven.transport.peer_leaves()

    assert await receiving == disconnect(1006)
    with pytest.raises(PeerGone):
        await driven.send({"type": "websocket.accept"})
