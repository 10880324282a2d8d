"""`WebSocket` by itself: the close, and `async with`."""

from typing import Any

import anyio
import pytest

from consumers.close import CloseEvent
from consumers.errors import ConnectionClosed, InvalidMessage, StateError
from consumers.websocket import WebSocket
from consumers_tests.peer import Peer, left, text


def test_http_scopes_are_refused() -> None:
    """A request that is no WebSocket's is the caller's mistake."""
    peer = Peer(type="http")
    with peer, pytest.raises(StateError, match="'websocket', got 'http'; route HTTP"):
        WebSocket(peer.scope, peer.receive, peer.send)


# -- close -----------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (4000, "bye"), (1011, "é")])
async def test_closing_sends_code_and_reason(code: int, reason: str) -> None:
    """The code and the reason go into the close frame and into `close_event`."""
    peer = Peer()
    async with peer.opens(WebSocket) as ws:
        await ws.close(code, reason)

    assert peer.sent == [{"type": "websocket.close", "code": code, "reason": reason}]
    assert ws.close_event == CloseEvent(code, reason, None, "server")


@pytest.mark.parametrize(
    ("code", "reason", "error"),
    [(1005, "", ValueError), (999, "", ValueError), (1000, "x" * 124, ValueError)],
)
@pytest.mark.parametrize("accepted", [False, True])
async def test_a_wrong_close_closes_nothing(
    code: int, reason: str, error: type[Exception], accepted: bool
) -> None:
    """A code or a reason that may not travel is told, and the connection goes on."""
    peer = Peer()
    async with peer.opens(WebSocket) if accepted else peer.connects(WebSocket) as ws:
        with pytest.raises(error):
            await ws.close(code, reason)

        assert peer.sent == []
        assert ws.close_event is None


async def test_a_connection_is_closed_once() -> None:
    """A second close is the caller's mistake; `ensure_closed` is for those in doubt."""
    peer = Peer()
    async with peer.opens(WebSocket) as ws:
        await ws.close(4000)
        await ws.ensure_closed()
        with pytest.raises(StateError) as caught:
            await ws.close()

    assert str(caught.value) == "can't close: the connection was closed with 4000"
    assert isinstance(caught.value, RuntimeError)
    assert peer.types == ["close"]


async def test_closing_before_accept_refuses_with_403() -> None:
    """There is no frame to send yet, so the handshake is refused."""
    peer = Peer()
    async with peer.connects(WebSocket) as ws:
        await ws.close(4000)

    assert ws.close_event == CloseEvent(1006, "", None, "server", 403)
    assert peer.types == ["close"]


@pytest.mark.parametrize("error", [OSError, RuntimeError])
async def test_closing_when_the_client_is_gone(error: type[Exception]) -> None:
    """`close` tells that the client is gone, `ensure_closed` is content with it."""
    for call in ("close", "ensure_closed"):
        peer = Peer()
        async with peer.opens(WebSocket) as ws:
            peer.gone = error
            if call == "close":
                with pytest.raises(ConnectionClosed):
                    await ws.close()
            else:
                await ws.ensure_closed()


async def test_nothing_goes_out_after_the_close() -> None:
    """Sending says what was done, and receiving that it is over."""
    peer = Peer()
    async with peer.opens(WebSocket) as ws:
        peer.says(text("late"))
        await ws.close(4000)
        with pytest.raises(StateError, match="can't send: the connection was closed w"):
            await ws.send("a")
        with pytest.raises(ConnectionClosed) as caught:
            await ws.receive()
        assert caught.value.code == 4000
        assert [message async for message in ws] == []
        assert await anext(ws, "none") == "none"
        assert (await ws.receive_event())["type"] == "websocket.disconnect"


# -- async with ------------------------------------------------------------------------


async def test_async_with_accepts_and_closes() -> None:
    """The block begins with the accept and ends with a close of 1000."""
    peer = Peer()
    async with peer.connects(WebSocket) as ws, ws as entered:
        assert entered is ws
        assert peer.types == ["accept"]

    assert peer.types == ["accept", "close"]
    assert peer.sent[1]["code"] == 1000


async def test_async_with_leaves_alone_what_was_done() -> None:
    """What is accepted is not accepted again, and what is closed not closed again."""
    peer = Peer()
    async with peer.opens(WebSocket) as ws, ws:
        await ws.close(4000)

    assert [event["code"] for event in peer.sent] == [4000]


async def test_an_exception_closes_with_1011() -> None:
    """It goes on, and the client learns nothing but the code."""
    peer = Peer()
    async with peer.opens(WebSocket) as ws:
        with pytest.raises(KeyError):
            async with ws:
                raise KeyError("secret")

    assert peer.sent == [{"type": "websocket.close", "code": 1011, "reason": ""}]


async def test_a_malformed_message_closes_with_its_code() -> None:
    """The client's mistake is told to the client by its code."""
    peer = Peer()
    async with peer.opens(WebSocket) as ws:
        peer.says(text("{"))
        with pytest.raises(InvalidMessage):
            async with ws:
                await ws.receive_json()

    assert peer.sent[0]["code"] == 1007


@pytest.mark.parametrize("error", [OSError, RuntimeError])
async def test_the_end_of_the_block_may_find_the_client_gone(
    error: type[Exception],
) -> None:
    """Then there is nobody to close; the block's own exception goes on as it was."""
    peer = Peer()
    async with peer.opens(WebSocket) as ws, ws:
        peer.gone = error
    peer = Peer()
    async with peer.opens(WebSocket) as ws:
        peer.gone = error
        with pytest.raises(KeyError):
            async with ws:
                raise KeyError


@pytest.mark.parametrize(
    ("caught_codes", "code", "silenced"),
    [
        (None, 1000, True),
        (None, 1001, True),
        (None, 1006, False),
        ((1006,), 1006, True),
        ((1006,), 1000, False),
        (all, 4000, True),
        ((), 1000, False),
    ],
)
async def test_the_clients_leaving_is_silenced_by_its_code(
    caught_codes: Any, code: int, silenced: bool
) -> None:
    """`caught_close_codes` says which ends of the client's are expected."""

    class Expecting(WebSocket):
        caught_close_codes = caught_codes

    peer = Peer()
    reached = False
    async with peer.opens(Expecting) as ws:
        peer.says(text("a"), left(code))
        try:
            async with ws:
                assert [message async for message in ws] == ["a"]
        except ConnectionClosed as error:
            assert error.code == code  # noqa: PT017
        else:
            reached = True

    assert reached is silenced
    assert peer.sent == []


async def test_another_connections_end_is_not_silenced() -> None:
    """The end of one connection is an error in the block of another."""
    peer, other = Peer(), Peer()
    async with peer.opens(WebSocket) as ws, other.opens(WebSocket) as foreign:
        other.says(left(1000))
        with pytest.raises(ConnectionClosed) as caught:
            async with ws:
                await foreign.receive()

        assert caught.value.connection is foreign
    assert [event["code"] for event in peer.sent] == [1011]


async def test_cancelling_the_block_closes_nothing() -> None:
    """Cancellation passes through; whoever cancelled decides what the client gets."""
    peer = Peer()
    async with peer.opens(WebSocket) as ws:
        with anyio.move_on_after(0.01):
            async with ws:
                await ws.receive()

        assert peer.sent == []
        await ws.close(1012)


def test_its_repr_says_where_it_stands() -> None:
    """The path, the state and the id, for logs."""
    with Peer(path="/chat") as peer:
        ws = WebSocket(peer.scope, peer.receive, peer.send)

    assert repr(ws) == f"<WebSocket /chat connecting id={ws.id}>"
