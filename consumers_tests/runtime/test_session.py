"""Sessions: who speaks `consumers.v1`, its first frame, and messages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import anyio
import pytest
from msgspec import Meta

from consumers import App, Limits, WebSocketConsumer, WebSocketRoute
from consumers.testing import TestClient
from consumers_tests.doubles import Journal, serving
from consumers_tests.framed import JSON, MSGPACK, Peer, framed, talking

both_codecs = pytest.mark.parametrize("protocol", [JSON, MSGPACK])


class Echo(WebSocketConsumer):
    value_type = "json"

    async def on_receive(self, message: Any) -> None:
        await self.send(message)


# -- negotiation -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ([JSON], JSON),
        ([MSGPACK], MSGPACK),
        ([MSGPACK, JSON], MSGPACK),
        (["chat", JSON, MSGPACK], JSON),
        (["chat"], None),
        ([], None),
        (["consumers.v1"], None),
        (["consumers.v2+json"], None),
        (["CONSUMERS.V1+JSON"], None),
    ],
)
async def test_the_first_known_subprotocol_is_chosen(
    offered: Sequence[str], chosen: str | None
) -> None:
    """In the client's order; who offers none of them gets bare messages."""
    seen = Journal()

    class Telling(Echo):
        async def on_connect(self) -> None:
            seen.add(self.protocol)

    async with (
        serving(Telling) as client,
        client.connect("/", subprotocols=offered) as ws,
    ):
        assert ws.accepted_subprotocol == chosen
        if chosen is None:
            await ws.send_json({"type": "ping"})
            assert await ws.receive_json() == {"type": "ping"}
        else:
            peer = Peer(ws)
            assert (await peer.receive())["type"] == "welcome"

    assert seen == [chosen]


@pytest.mark.parametrize("kind", ["bytes", "event"])
async def test_a_class_whose_messages_have_no_json_form_is_not_offered_it(
    kind: str,
) -> None:
    """Neither bytes nor raw events fit into a frame."""

    class Raw(WebSocketConsumer):
        value_type = kind

        async def on_connect(self) -> None:
            await self.send_bytes(b"hello")

        async def on_receive(self, message: Any) -> None: ...

    async with (
        serving(Raw) as client,
        client.connect("/", subprotocols=[JSON, MSGPACK]) as ws,
    ):
        assert ws.accepted_subprotocol is None
        assert await ws.receive_bytes() == b"hello"


async def test_a_function_view_is_not_offered_it() -> None:
    """It reads by itself, and no frames."""
    app = App([])

    @app.websocket_route("/", value_type="json")
    async def view(ws: Any) -> None:
        async for message in ws:
            await ws.send(message)

    async with TestClient(app) as client, client.connect("/", subprotocols=[JSON]) as w:
        assert w.accepted_subprotocol is None
        await w.send_json({"type": "ping"})
        assert await w.receive_json() == {"type": "ping"}


async def test_an_application_that_accepts_by_itself_gets_it_too() -> None:
    """`accept()` without a subprotocol chooses as the framework does."""

    class Late(Echo):
        auto_accept = False

        async def on_connect(self) -> None:
            await self.accept()
            await self.send("accepted")

    async with framed(Late) as (_, peer):
        assert await peer.receive() == {"type": "message", "message": "accepted"}


async def test_an_application_may_choose_another_subprotocol() -> None:
    """What the application names is what is spoken, even a frame protocol's other."""

    class Choosing(Echo):
        auto_accept = False

        async def on_connect(self) -> None:
            await self.accept(subprotocol=self.subprotocols[-1])

    async with serving(Choosing) as client:
        async with client.connect("/", subprotocols=[JSON, "chat"]) as ws:
            assert ws.accepted_subprotocol == "chat"
            await ws.send_json({"type": "ping"})
            assert await ws.receive_json() == {"type": "ping"}
        async with client.connect("/", subprotocols=[JSON, MSGPACK]) as ws:
            assert ws.accepted_subprotocol == MSGPACK
            assert (await Peer(ws).receive())["type"] == "welcome"


# -- the first frame -------------------------------------------------------------------


@both_codecs
async def test_the_first_frame_tells_the_terms(protocol: str) -> None:
    """Its id, the heartbeat and how many requests may be unanswered."""
    ids = Journal()

    class Telling(Echo):
        limits = Limits(heartbeat=7.0, heartbeat_timeout=3.0, inbox=5)

        async def on_connect(self) -> None:
            ids.add(self.id)

    async with framed(Telling, protocol) as (_, peer):
        assert peer.welcome == {
            "type": "welcome",
            "connection": ids[0],
            "heartbeat": 7,
            "timeout": 3,
            "requests": 5,
        }


async def test_without_a_heartbeat_the_first_frame_says_so() -> None:
    """Null, and not left out: a client would take an old server's word for it."""

    class Still(Echo):
        limits = Limits(heartbeat=None)

    async with framed(Still) as (_, peer):
        assert peer.welcome["heartbeat"] is None


async def test_nothing_overtakes_the_first_frame() -> None:
    """Neither what on_connect sends, nor what is published where it joins."""

    class Eager(WebSocketConsumer):
        value_type = "json"

        async def on_connect(self) -> None:
            await self.join("room")
            await self.publish("room", "published")
            await self.groups.send(self.id, "direct")
            await self.send("sent")

    async with framed(Eager) as (_, peer):
        assert await peer.take(3) == [
            {"type": "publication", "group": "room", "message": "published"},
            {"type": "message", "message": "direct"},
            {"type": "message", "message": "sent"},
        ]


@pytest.mark.parametrize("offered", [[JSON], []], ids=["framed", "plain"])
async def test_nothing_overtakes_the_handshake(offered: list[str]) -> None:
    """Whoever has learned the id in on_handshake may send too early: that is dropped.

    With a server whose `send` waits, as it does where a middleware wraps it.
    """
    sent: list[Any] = []

    class Known(WebSocketConsumer):
        value_type = "json"

        async def on_handshake(self) -> None:
            sent.append(self.id)

    app = App([WebSocketRoute("/", Known)])
    scope = {
        "type": "websocket",
        "path": "/",
        "query_string": b"",
        "headers": [],
        "subprotocols": offered,
    }
    events = iter([{"type": "websocket.connect"}])
    ended = anyio.Event()

    async def receive() -> Any:
        for event in events:
            return event
        await ended.wait()
        return {"type": "websocket.disconnect", "code": 1000}

    async def send(event: Any) -> None:
        early = len(sent) < 2 + len(offered)
        if early:
            await app.groups.send(sent[0], "early")
        await anyio.lowlevel.checkpoint()
        sent.append(json.loads(event["text"]) if "text" in event else event["type"])

    async with app.lifespan(), anyio.create_task_group() as tasks:
        tasks.start_soon(app, scope, receive, send)
        await anyio.wait_all_tasks_blocked()
        await app.groups.send(sent[0], "in time")
        await anyio.wait_all_tasks_blocked()
        ended.set()

    assert sent[1] == "websocket.accept"
    if offered:
        assert sent[2]["type"] == "welcome"
        assert sent[3] == {"type": "message", "message": "in time"}
    else:
        assert sent[2] == "in time"


# -- messages --------------------------------------------------------------------------


async def test_on_receive_takes_text() -> None:
    """Each message is a text in JSON; another value is refused."""

    class Upper(WebSocketConsumer):
        async def on_receive(self, message: str) -> None:
            await self.send(message.upper())

    async with framed(Upper) as (_, peer):
        await peer.send("message", message="hi")
        assert await peer.receive() == {"type": "message", "message": "HI"}
        assert await peer.ask(1, "ho") == {"type": "message", "message": "HO"}
        assert await peer.receive() == {"type": "reply", "id": 1, "message": None}
        answer = await peer.ask(2, 5)
        assert (answer["id"], answer["code"]) == (2, "invalid_message")


@both_codecs
async def test_on_receive_takes_what_it_is_annotated_with(protocol: str) -> None:
    """A dataclass, checked; a message that does not fit keeps the connection."""

    @dataclass
    class Move:
        x: int
        y: Annotated[int, Meta(ge=0)] = 0

    class Board(WebSocketConsumer):
        async def on_receive(self, message: Move) -> None:
            await self.send([message.x, message.y])

    async with framed(Board, protocol) as (_, peer):
        await peer.send("message", message={"x": 1})
        assert (await peer.receive())["message"] == [1, 0]
        await peer.send("message", message={"x": 1, "y": -1})
        error = await peer.receive()
        assert (error["type"], error["code"]) == ("error", "invalid_message")
        assert "id" not in error
        await peer.send("message", message={"x": 2})
        assert (await peer.receive())["message"] == [2, 0]


@both_codecs
async def test_on_receive_takes_a_pydantic_model(protocol: str) -> None:
    """Types of another library are checked by that library."""
    pydantic = pytest.importorskip("pydantic")

    class Move(pydantic.BaseModel):  # type: ignore[name-defined, misc]
        x: int

    class Board(WebSocketConsumer):
        async def on_receive(self, message: Move) -> None:
            await self.send(message)

    async with framed(Board, protocol) as (_, peer):
        await peer.send("message", message={"x": 1})
        assert (await peer.receive())["message"] == {"x": 1}
        answer = await peer.ask(1, {"x": "one"})
        assert (answer["id"], answer["code"]) == (1, "invalid_message")


async def test_on_receive_may_run_several_at_once() -> None:
    """Answers come as they are ready, each to its request."""
    gates = {name: anyio.Event() for name in "ab"}

    class Several(WebSocketConsumer):
        concurrency = 2

        async def on_receive(self, message: str) -> None:
            await gates[message].wait()

    async with framed(Several) as (client, peer):
        await peer.send("request", id=1, message="a")
        await peer.send("request", id=2, message="b")
        await client.settle()
        gates["b"].set()
        assert (await peer.receive())["id"] == 2
        gates["a"].set()
        assert (await peer.receive())["id"] == 1


async def test_a_push_only_class_answers_that_it_takes_nothing() -> None:
    """The connection goes on, since its frames are of use without messages."""

    class Push(WebSocketConsumer):
        value_type = "json"

        async def on_connect(self) -> None:
            await self.send("hello")

    async with framed(Push) as (_, peer):
        assert (await peer.receive())["message"] == "hello"
        answer = await peer.ask(1, "anything")
        assert (answer["id"], answer["code"]) == (1, "unknown_type")
        await peer.send("message", message="anything")
        assert (await peer.receive())["code"] == "unknown_type"
        await peer.send("ping")
        assert await peer.receive() == {"type": "pong"}


async def test_sends_to_one_and_to_one_user_are_messages() -> None:
    """They have no group that a client could know."""
    from consumers import Identity

    class Idle(WebSocketConsumer):
        value_type = "json"

    app = App([WebSocketRoute("/", Idle)])
    async with (
        TestClient(app) as client,
        talking(client, identity=Identity("ann")) as peer,
    ):
        await app.groups.publish_to_user("ann", {"text": "to ann"})
        await app.groups.send(peer.welcome["connection"], {"text": "to you"})

        assert await peer.take(2) == [
            {"type": "message", "message": {"text": "to ann"}},
            {"type": "message", "message": {"text": "to you"}},
        ]
