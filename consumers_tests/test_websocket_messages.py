"""`WebSocket` by itself: receiving and sending, also by several tasks."""

from typing import Any

import anyio
import pytest
from anyio import create_task_group, wait_all_tasks_blocked
from anyio.lowlevel import checkpoint

from consumers.errors import ConnectionClosed, StateError
from consumers.websocket import WebSocket
from consumers_tests.peer import Peer, binary, left, text

# -- receiving -------------------------------------------------------------------------


async def test_messages_come_in_order_until_the_client_leaves() -> None:
    """Then each call tells the end again, with its code and reason."""
    peer = Peer()
    async with peer.opens(WebSocket) as ws:
        peer.says(text("a"), text("b"), left(4001, "bye"))
        assert [await ws.receive(), await ws.receive()] == ["a", "b"]

        for receive in (ws.receive, ws.receive_json, ws.__anext__, ws.receive):
            with pytest.raises(ConnectionClosed) as caught:
                await receive()
            assert caught.value.connection is ws
            assert (caught.value.code, caught.value.reason) == (4001, "bye")

    assert ws.close_event is not None
    assert (ws.close_event.code, ws.close_event.initiator) == (4001, "client")


async def test_iterating_gives_messages_and_raises_the_end() -> None:
    """The client's leaving ends the loop by an exception, for `async with` to judge."""
    peer = Peer()
    messages: list[str] = []

    async def iterate() -> None:
        async for message in ws:
            messages.append(message)  # noqa: PERF401  kept when the loop raises

    async with peer.opens(WebSocket) as ws:
        peer.says(text("a"), text("b"), left())
        with pytest.raises(ConnectionClosed):
            await iterate()

    assert messages == ["a", "b"]


async def test_iterating_ends_with_our_own_close() -> None:
    """A loop whose body closes the connection just ends."""
    peer = Peer()
    messages: list[str] = []
    async with peer.opens(WebSocket) as ws:
        peer.says(text("a"), text("b"))
        async for message in ws:
            messages.append(message)
            await ws.close()

    assert messages == ["a"]


async def test_raw_events_are_returned_as_they_are() -> None:
    """Also the disconnect, again and again; the state follows it."""
    peer = Peer()
    async with peer.opens(WebSocket) as ws:
        peer.says(binary(b"a"), left(4001))
        assert await ws.receive_event() == binary(b"a")
        assert [await ws.receive_event() for _ in range(2)] == [left(4001)] * 2
        with pytest.raises(ConnectionClosed):
            await ws.send("a")


@pytest.mark.parametrize("form", ["receive", "receive_event", "__anext__"])
async def test_nothing_is_received_before_accept(form: str) -> None:
    """The error says what to do first."""
    async with Peer().connects(WebSocket) as ws:
        with pytest.raises(StateError) as caught:
            await getattr(ws, form)()

    assert str(caught.value) == (
        "can't receive: the connection was not accepted yet; await accept() first"
    )


async def test_a_cancelled_receive_loses_nothing() -> None:
    """The message goes to whoever receives next."""
    peer = Peer()
    async with peer.opens(WebSocket) as ws:
        with anyio.move_on_after(0.01):
            await ws.receive()
        peer.says(text("a"))

        assert await ws.receive() == "a"


# -- sending ---------------------------------------------------------------------------


async def test_nothing_is_sent_before_accept() -> None:
    """The error says what to do first."""
    peer = Peer()
    async with peer.connects(WebSocket) as ws:
        with pytest.raises(StateError, match="can't send: the connection was not"):
            await ws.send("a")

    assert peer.sent == []


@pytest.mark.parametrize("error", [OSError, RuntimeError])
async def test_a_departed_client_is_told_alike_on_every_server(
    error: type[Exception],
) -> None:
    """Whatever a server raises, the caller gets one exception with its connection."""
    peer = Peer()
    async with peer.opens(WebSocket) as ws:
        peer.gone = error
        for send in (ws.send_text, ws.send):
            with pytest.raises(ConnectionClosed) as caught:
                await send("a")
            assert caught.value.connection is ws
            assert caught.value.code == 1006
            assert isinstance(caught.value.__cause__, error)


async def test_a_servers_other_errors_pass_through() -> None:
    """What no server raises for a departed client is not taken for one."""
    peer = Peer()
    async with peer.opens(WebSocket) as ws:
        peer.gone = KeyError
        with pytest.raises(KeyError):
            await ws.send("a")


async def test_sending_to_who_has_left_lets_others_run() -> None:
    """A loop that catches the exception and tries on does not freeze the event loop."""
    peer = Peer()
    async with peer.opens(WebSocket) as ws:
        peer.says(left(4001))
        with pytest.raises(ConnectionClosed):
            await ws.receive()

        ended = False

        async def send_on() -> None:
            nonlocal ended
            for _ in range(50):
                with pytest.raises(ConnectionClosed):
                    await ws.send("a")
            ended = True

        async with create_task_group() as group:
            group.start_soon(send_on)
            for _ in range(10):
                await checkpoint()
            assert not ended
            group.cancel_scope.cancel()


async def sent_in_a_turn(*messages: str | bytes) -> int:
    """Return how many of a loop's ready sends there are in two turns of others."""
    sent = 0

    async def take(event: Any) -> None:
        nonlocal sent
        sent += event["type"] == "websocket.send"

    peer = Peer()
    with peer, anyio.fail_after(5):
        peer.says({"type": "websocket.connect"})
        ws = WebSocket(peer.scope, peer.receive, take)
        await ws.accept()

        async def send_on() -> None:
            for _ in range(500):
                for message in messages:
                    if isinstance(message, str):
                        await ws.send_text(message)
                    else:
                        await ws.send_bytes(message)

        async with create_task_group() as group:
            group.start_soon(send_on)
            await checkpoint()
            await checkpoint()
            group.cancel_scope.cancel()
    return sent


@pytest.mark.parametrize("message", ["a", b"a", ""])
async def test_a_loop_of_ready_sends_lets_others_run(message: str | bytes) -> None:
    """At every 64th message at the latest there is a checkpoint."""
    assert 62 <= await sent_in_a_turn(message) <= 192


@pytest.mark.parametrize("size", [4096, 1 << 20])
@pytest.mark.parametrize("letter", ["a", b"a"])
async def test_long_messages_let_others_run_sooner(
    letter: str | bytes, size: int
) -> None:
    """There is a checkpoint at every 7th message of 4 KiB and of 1 MiB."""
    assert 6 <= await sent_in_a_turn(letter * size) <= 21


async def test_long_messages_among_short_ones_are_noticed() -> None:
    """Where every second message is long, of 14 one is found out."""
    assert await sent_in_a_turn("a" * 4096, "a") <= 42


async def test_several_tasks_may_send_at_once() -> None:
    """All messages arrive once, and each task's in the order of its calls."""
    peer = Peer()

    async def send(letter: str) -> None:
        for number in range(20):
            await ws.send(f"{letter}{number:02}")

    async with peer.opens(WebSocket) as ws, create_task_group() as group:
        for letter in "xyz":
            group.start_soon(send, letter)

    for letter in "xyz":
        own = [each for each in peer.messages if str(each).startswith(letter)]
        assert own == [f"{letter}{number:02}" for number in range(20)]
    assert len(peer.messages) == 60


async def test_one_task_sends_while_another_receives() -> None:
    """The directions do not wait for one another."""
    peer = Peer()
    messages: list[str] = []

    async def receive() -> None:
        messages.append(await ws.receive())

    async with peer.opens(WebSocket) as ws, create_task_group() as group:
        group.start_soon(receive)
        await wait_all_tasks_blocked()
        await ws.send("out")
        assert peer.messages == ["out"]
        peer.says(text("in"))

    assert messages == ["in"]


async def test_sending_waits_while_the_client_does_not_read() -> None:
    """`send` returns when the server has taken the message; cancelled, it is gone."""
    peer = Peer()
    async with peer.opens(WebSocket) as ws:
        peer.flows = anyio.Event()
        with anyio.move_on_after(0.01) as scope:
            await ws.send("a")
        assert scope.cancelled_caught
        peer.flows.set()
        await ws.send("b")

    assert peer.messages == ["b"]


# -- raw events ------------------------------------------------------------------------


async def test_raw_events_keep_track_of_the_state() -> None:
    """An accept, messages and a close may be sent as events."""
    peer = Peer(subprotocols=["v1"])
    async with peer.connects(WebSocket) as ws:
        await ws.send_event(
            {
                "type": "websocket.accept",
                "subprotocol": "v1",
                "headers": [(b"a", b"b")],
            }
        )
        await ws.send_event({"type": "websocket.send", "bytes": b"a"})
        await ws.send_event({"type": "websocket.close", "code": 4000, "reason": None})
        with pytest.raises(StateError):
            await ws.send_event({"type": "websocket.send", "text": "late"})

    assert peer.types == ["accept", "send", "close"]
    assert peer.sent[0]["headers"] == [(b"a", b"b")]
    assert peer.sent[2]["code"] == 4000


@pytest.mark.parametrize(
    "event",
    [{}, {"type": "websocket.receive"}, {"type": "websocket.http.response.start"}],
)
async def test_other_events_are_refused(event: dict[str, Any]) -> None:
    """What an application may not send by itself is told with the way out."""
    peer = Peer()
    async with peer.connects(WebSocket) as ws:
        with pytest.raises(ValueError, match=r"reject\(\) denies a handshake"):
            await ws.send_event(event)

    assert peer.sent == []


@pytest.mark.parametrize(
    "event",
    [
        {"type": "websocket.close", "code": 1005},
        {"type": "websocket.accept", "subprotocol": "unknown"},
        {"type": "websocket.accept", "headers": [(b"a\n", b"")]},
    ],
)
async def test_raw_events_are_checked(event: dict[str, Any]) -> None:
    """They may carry no more than the methods do."""
    peer = Peer()
    async with peer.connects(WebSocket) as ws:
        with pytest.raises(ValueError, match="must be"):
            await ws.send_event(event)

    assert peer.sent == []
