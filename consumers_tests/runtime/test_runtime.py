"""The lifecycle up to the first message: the order of hooks, accept, push-only."""

from typing import Any

import anyio
import pytest

from consumers import App, Identity, StateError, WebSocketConsumer, WebSocketRoute
from consumers.testing import Closed, Refused, ServerStyle, TestClient
from consumers_tests.doubles import Journal, both_servers, serving

# -- the order of hooks


@both_servers
async def test_hooks_run_in_order(server: ServerStyle) -> None:
    """Parameters, authenticate, on_handshake, accept, on_connect, messages, the end."""
    journal = Journal()

    async def authenticate(connection: Any) -> Identity:
        journal.add(f"authenticate, {connection._stage.name}")
        return Identity("42")

    class Chat(WebSocketConsumer):
        async def on_handshake(self, room: str) -> None:
            journal.add(f"on_handshake {room}, {self._stage.name}, {self.user.key}")

        async def on_connect(self, room: str, times: int = 1) -> None:
            journal.add(f"on_connect {room} {times}, {self._stage.name}")

        async def on_receive(self, message: str) -> None:
            journal.add(f"on_receive {message}, {self._stage.name}")

        async def on_disconnect(self, code: int) -> None:
            journal.add(f"on_disconnect, {self._stage.name}")

    app = App([WebSocketRoute("/{room}", Chat)], authenticate=authenticate)
    async with (
        TestClient(app) as client,
        client.connect("/lobby?times=2", server=server) as ws,
    ):
        await ws.send("one")
        await ws.send("two")

    assert journal == [
        "authenticate, CONNECTING",
        "on_handshake lobby, CONNECTING, 42",
        "on_connect lobby 2, OPEN",
        "on_receive one, OPEN",
        "on_receive two, OPEN",
        "on_disconnect, ENDED",
    ]


async def test_a_class_without_a_hook_but_on_receive_works() -> None:
    """Hooks that are not defined are not missed."""

    class Echo(WebSocketConsumer):
        async def on_receive(self, message: str) -> None:
            await self.send(message)

    async with serving(Echo) as client, client.connect("/") as ws:
        await ws.send("hello")

        assert await ws.receive() == "hello"


async def test_one_instance_serves_one_connection() -> None:
    """What a hook sets on `self` is seen by this connection's hooks alone."""

    class Counter(WebSocketConsumer):
        async def on_connect(self) -> None:
            self.count = 0

        async def on_receive(self, message: str) -> None:
            self.count += 1
            await self.send(str(self.count))

    async with (
        serving(Counter) as client,
        client.connect("/") as one,
        client.connect("/") as two,
    ):
        for expected in "12":
            await one.send("")
            assert await one.receive() == expected
        await two.send("")

        assert await two.receive() == "1"


async def test_no_message_is_handled_before_on_connect_returns() -> None:
    """A message that comes while on_connect runs waits for its end."""
    journal, go_on = Journal(), anyio.Event()

    class Slow(WebSocketConsumer):
        async def on_connect(self) -> None:
            await go_on.wait()
            journal.add("connected")

        async def on_receive(self, message: str) -> None:
            journal.add(message)

    async with serving(Slow) as client, client.connect("/") as ws:
        await ws.send("message")
        await client.settle()
        assert journal == []
        go_on.set()
        await journal.wait_for("message")

    assert journal == ["connected", "message"]


# -- accept


@pytest.mark.parametrize("hook", ["on_handshake", "on_connect"])
async def test_without_auto_accept_a_hook_accepts(hook: str) -> None:
    """With `auto_accept=False` a hook may accept, with a subprotocol and headers."""

    async def accept(self: WebSocketConsumer) -> None:
        await self.accept("chat", {"x-one": "1"})
        await self.send("hello")

    consumer = type("Late", (WebSocketConsumer,), {"auto_accept": False, hook: accept})
    async with (
        serving(consumer) as client,
        client.connect("/", subprotocols=["chat"]) as ws,
    ):
        assert await ws.receive() == "hello"
        assert ws.accepted_subprotocol == "chat"
        assert ws.response_headers["x-one"] == "1"


async def test_without_auto_accept_it_is_refused_with_403_unless_accepted() -> None:
    """A class that should accept by itself and does not has refused; its end runs."""
    journal = Journal()

    class Forgetful(WebSocketConsumer):
        auto_accept = False

        async def on_connect(self) -> None:
            journal.add("on_connect")

        async def on_receive(self, message: str) -> None:
            journal.add("on_receive")

        async def on_disconnect(self, code: int) -> None:
            journal.add(f"on_disconnect {code}")

    async with serving(Forgetful) as client:
        with pytest.raises(Refused, match="403"):
            async with client.connect("/"):
                pass

    assert journal == ["on_connect", "on_disconnect 1006"]


async def test_close_before_accept_refuses_with_403() -> None:
    """A close in on_handshake refuses; the hook runs on and nobody is connected."""
    journal = Journal()

    class Closing(WebSocketConsumer):
        async def on_handshake(self) -> None:
            await self.close()
            await anyio.lowlevel.checkpoint()
            journal.add("ran on")

        async def on_connect(self) -> None:
            journal.add("on_connect")

    async with serving(Closing) as client:
        with pytest.raises(Refused, match="403"):
            async with client.connect("/"):
                pass

    assert journal == ["ran on"]


async def test_sending_and_joining_need_an_accepted_connection() -> None:
    """Before accept send, receive and join say that accept is missing."""
    journal = Journal()

    class Early(WebSocketConsumer):
        async def on_handshake(self) -> None:
            for call in (self.send("x"), self.receive(), self.join("room")):
                with pytest.raises(StateError, match=r"await accept\(\) first"):
                    await call
                journal.add("refused")

    async with serving(Early) as client, client.connect("/"):
        pass

    assert journal == ["refused"] * 3


# -- push-only ---------------------------------------------------------------------


async def test_a_push_only_consumer_closes_with_1003_on_a_message() -> None:
    """A class without on_receive pushes; a data frame ends it with 1003."""
    journal = Journal()

    class Clock(WebSocketConsumer):
        async def on_connect(self) -> None:
            await self.send("tick")

        async def on_disconnect(self, code: int) -> None:
            journal.add(code)

    async with serving(Clock) as client, client.connect("/") as ws:
        assert await ws.receive() == "tick"
        await ws.send("?")
        end = await ws.receive_close()

    assert (end.code, end.reason) == (1003, "this endpoint only sends")
    assert journal == [1003]


async def test_a_push_only_consumer_stays_until_the_client_leaves() -> None:
    """Without messages it gets pushes from a group until the client leaves."""

    class Member(WebSocketConsumer):
        async def on_connect(self) -> None:
            await self.join("room")

    app = App([WebSocketRoute("/", Member)])
    async with TestClient(app) as client, client.connect("/") as ws:
        await client.settle()
        await app.groups.publish("room", "news")

        assert await ws.receive() == "news"
        await ws.close()
        with pytest.raises(Closed):
            await ws.receive()
        await client.settle()
        assert await app.groups.count("room") == 0
