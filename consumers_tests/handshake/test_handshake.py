"""The handshake: it is accepted once, or refused, and what may be wrong with that."""

from typing import Any, ClassVar

import anyio
import pytest

from consumers import WebSocketConsumer
from consumers.close import CloseEvent
from consumers.errors import ConnectionClosed, Rejected, StateError
from consumers.handshake.refusal import Refusals
from consumers.websocket import WebSocket
from consumers_tests.doubles import serving
from consumers_tests.peer import Peer, left, text

# -- accept ----------------------------------------------------------------------------


async def test_accepting_answers_the_handshake() -> None:
    """The subprotocol and the headers go into the answer."""
    peer = Peer(subprotocols=["chat.v1", "chat.v2"])
    async with peer.connects(WebSocket) as ws:
        await ws.accept("chat.v2", {"X-Name": "value"})

    assert peer.sent == [
        {
            "type": "websocket.accept",
            "subprotocol": "chat.v2",
            "headers": [(b"x-name", b"value")],
        }
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        {"subprotocol": "chat.v3"},
        {"headers": {"a": "b\r\nc: d"}},
        {"headers": {"sec-websocket-protocol": "chat.v1"}},
    ],
)
async def test_a_wrong_answer_can_be_corrected(arguments: dict[str, Any]) -> None:
    """What can't be sent is told before anything is, and a right answer may follow."""
    peer = Peer(subprotocols=["chat.v1"])
    async with peer.connects(WebSocket) as ws:
        with pytest.raises(ValueError, match="must"):
            await ws.accept(**arguments)
        assert peer.sent == []
        await ws.accept()

    assert peer.types == ["accept"]


async def test_a_handshake_is_accepted_once() -> None:
    """A second answer is the caller's mistake."""
    async with Peer().opens(WebSocket) as ws:
        with pytest.raises(StateError) as caught:
            await ws.accept()

    assert str(caught.value) == (
        "can't accept: the connection was accepted already; leave accept() out, or set "
        "auto_accept = False"
    )


async def test_a_client_that_left_cannot_be_accepted() -> None:
    """The client may leave before the answer."""
    peer = Peer()
    async with peer.connects(WebSocket) as ws:
        await peer.receive()
        peer.says(left(1006))
        with pytest.raises(ConnectionClosed) as caught:
            await ws.accept()

        assert (caught.value.connection, caught.value.code) == (ws, 1006)
        assert peer.sent == []


async def test_a_cancelled_accept_can_be_tried_again() -> None:
    """Cancelled while the first event is not there yet, nothing is lost."""
    peer = Peer()
    async with peer.connects(WebSocket) as ws:
        event = await peer.receive()
        with anyio.move_on_after(0.01):
            await ws.accept()
        peer.says(event, text("a"))
        await ws.accept()

        assert await ws.receive() == "a"


async def test_a_strange_first_event_is_the_servers_fault() -> None:
    """A message before the handshake's answer is told apart from a client's mistake."""
    peer = Peer()
    async with peer.connects(WebSocket) as ws:
        await peer.receive()
        peer.says(text("early"))
        with pytest.raises(StateError, match="the first event must be"):
            await ws.accept()


# -- reject ----------------------------------------------------------------------------


async def test_rejecting_never_returns() -> None:
    """Each call on a rejected connection raises the rejection again."""
    peer = Peer()
    async with peer.connects(WebSocket) as ws:
        for call in (
            lambda: ws.reject(401),
            lambda: ws.reject(500),
            ws.accept,
            ws.close,
            ws.receive,
            lambda: ws.send("a"),
        ):
            with pytest.raises(Rejected) as caught:
                await call()
            assert caught.value.status == 401

    assert ws.close_event == CloseEvent(1006, "", None, "server", 401)
    assert peer.sent == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize("status", [0, 101, 200, 302, 399, 600])
async def test_a_rejection_has_an_errors_status(status: int) -> None:
    """Anything but 400-599 is the caller's mistake, and refuses nothing."""
    peer = Peer()
    async with peer.connects(WebSocket) as ws:
        with pytest.raises(ValueError, match="a refusal's status must be 400-599, got"):
            await ws.reject(status)
        await ws.accept()

    assert peer.types == ["accept"]


async def test_rejecting_after_accept_closes_with_1008() -> None:
    """Then there is no handshake to refuse, and it still never returns."""
    peer = Peer()
    async with peer.opens(WebSocket) as ws:
        with pytest.raises(Rejected):
            await ws.reject(401)

    assert peer.sent == [{"type": "websocket.close", "code": 1008, "reason": ""}]


async def test_what_cannot_be_answered_is_told_before_anything_is_sent() -> None:
    """Content without a form and headers that split are the caller's mistakes."""
    peer = Peer(extensions={"websocket.http.response": {}})
    async with peer.connects(WebSocket) as ws:
        with pytest.raises(TypeError):
            await ws.reject(401, object())
        with pytest.raises(ValueError, match="a header must be"):
            await ws.reject(401, headers={"a": "b\r\nc: d"})
        assert peer.sent == []
        with pytest.raises(Rejected):
            await ws.reject(401, {"error": "who are you"}, {"retry-after": "5"})

    start, body = peer.sent
    assert start["status"] == 401
    assert (b"retry-after", b"5") in start["headers"]
    assert body["body"] == b'{"error":"who are you"}'


async def test_refusals_can_be_closes() -> None:
    """Where the class says so, a refusal is a close that a script can read."""

    class Readable(WebSocket):
        refusals: ClassVar[Refusals] = "close"

    peer = Peer(extensions={"websocket.http.response": {}})
    async with peer.connects(Readable) as ws:
        with pytest.raises(Rejected):
            await ws.reject(429, "slow down")

    assert peer.types == ["accept", "close"]
    assert (peer.sent[1]["code"], peer.sent[1]["reason"]) == (4429, "slow down")


# -- the subprotocol of the framework's own --------------------------------------------


@pytest.mark.parametrize(
    ("offered", "agreed"),
    [
        ([], None),
        (["chat.v1"], None),
        (["chat.v1", "consumers.v1+msgpack"], "consumers.v1+msgpack"),
        (["consumers.v1+json", "consumers.v1+msgpack"], "consumers.v1+json"),
        (["consumers.v2+json"], None),
    ],
)
async def test_the_first_that_is_known_is_agreed_on(
    offered: list[str], agreed: str | None
) -> None:
    """A class that says nothing speaks `consumers.v1` with who offers it."""
    known: list[str | None] = []

    class Speaking(WebSocketConsumer):
        async def on_connect(self) -> None:
            known.append(self.protocol)

    async with (
        serving(Speaking) as client,
        client.connect("/", subprotocols=offered) as ws,
    ):
        assert ws.accepted_subprotocol == agreed

    assert known == [agreed]


async def test_an_application_may_choose_another() -> None:
    """What it passes to `accept` is agreed on, though the client offers both."""

    class Choosing(WebSocketConsumer):
        auto_accept = False

        async def on_connect(self) -> None:
            await self.accept("chat.v1")
            assert self.protocol is None
            await self.send("plain")

    offered = ["consumers.v1+json", "chat.v1"]
    async with (
        serving(Choosing) as client,
        client.connect("/", subprotocols=offered) as ws,
    ):
        assert ws.accepted_subprotocol == "chat.v1"
        assert await ws.receive() == "plain"


async def test_what_has_no_form_in_json_is_not_spoken() -> None:
    """A class that reads raw bytes has messages that frames can't carry."""

    class Raw(WebSocketConsumer):
        async def on_receive(self, message: bytes) -> None:
            await self.send(message)

    async with (
        serving(Raw) as client,
        client.connect("/", subprotocols=["consumers.v1+json"]) as ws,
    ):
        assert ws.accepted_subprotocol is None
        await ws.send(b"raw")
        assert await ws.receive() == b"raw"
