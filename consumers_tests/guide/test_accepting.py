"""Accepting, refusing, and in what order things happen."""

from collections.abc import AsyncIterator
from typing import Annotated

import anyio
import pytest

from consumers import App, Provide, WebSocket, WebSocketConsumer
from consumers.testing import Refused, TestClient

from . import both_styles, noting, route_both


async def refused(app: App, path: str) -> int:
    """Return the status with which a path is refused."""
    async with TestClient(app) as client:
        with pytest.raises(Refused) as outcome:
            async with client.connect(path):
                pass
    return outcome.value.status


async def test_s33_the_order_of_a_view() -> None:
    """Providers, accept, the view, the providers' teardown, close with 1000."""
    notes: list[str] = []

    async def provider() -> AsyncIterator[str]:
        notes.append("set up")
        yield "provided"
        notes.append("torn down")

    app = App(middleware=[noting(notes)])

    @app.websocket_route("/")
    async def view(ws: WebSocket, value: Annotated[str, Provide(provider)]) -> None:
        notes.append(value)

    async with TestClient(app) as client, client.connect("/") as ws:
        assert (await ws.receive_close()).code == 1000
    assert notes == ["set up", "accept", "provided", "torn down", "close 1000"]


async def test_s33_a_teardown_that_fails_is_not_told_as_success() -> None:
    """Since it comes before the close, the client learns of it by 1011."""

    async def provider() -> AsyncIterator[None]:
        yield
        raise OSError("the commit failed")

    app = App()

    @app.websocket_route("/")
    async def view(ws: WebSocket, value: Annotated[None, Provide(provider)]) -> None:
        """Succeeds."""

    async with TestClient(app) as client:
        with pytest.raises(OSError, match="commit"):
            async with client.connect("/") as ws:
                assert (await ws.receive_close()).code == 1011


async def test_s33_the_order_of_a_class() -> None:
    """Handshake, accept, connect, messages, close, disconnect."""
    notes: list[str] = []
    app = App(middleware=[noting(notes)])

    @app.websocket_route("/")
    class Consumer(WebSocketConsumer):
        async def on_handshake(self) -> None:
            notes.append("on_handshake")

        async def on_connect(self) -> None:
            notes.append("on_connect")

        async def on_receive(self, message: str) -> None:
            notes.append(message)
            await self.close()

        async def on_disconnect(self, code: int) -> None:
            notes.append(f"on_disconnect {code}")

    async with TestClient(app) as client, client.connect("/") as ws:
        await ws.send("message")
        assert (await ws.receive_close()).code == 1000
    assert notes == [
        "on_handshake",
        "accept",
        "on_connect",
        "message",
        "close 1000",
        "on_disconnect 1000",
    ]


@both_styles
async def test_s33_wrong_parameters_come_before_everything(path: str) -> None:
    """Nothing is accepted, provided or called for a client whose URL is wrong."""
    notes: list[str] = []

    def provider() -> None:
        notes.append("set up")

    app = App()

    @app.websocket_route("/function/{number}")
    async def view(
        ws: WebSocket, number: int, nothing: Annotated[None, Provide(provider)]
    ) -> None:
        notes.append("view")

    @app.websocket_route("/class/{number}")
    class Consumer(WebSocketConsumer):
        async def on_handshake(
            self, number: int, nothing: Annotated[None, Provide(provider)]
        ) -> None:
            notes.append("on_handshake")

    assert await refused(app, f"{path}/x") == 400
    assert notes == []


@both_styles
async def test_s34_entering_an_accepted_connection_is_safe(path: str) -> None:
    """`async with ws` does not accept again, and closes at its end."""
    notes: list[str] = []
    app = App(middleware=[noting(notes)])

    async def talk(ws: WebSocket) -> None:
        async with ws:
            await ws.send("inside")
        notes.append("after")

    route_both(app, talk)

    async with TestClient(app) as client, client.connect(path) as ws:
        assert await ws.receive() == "inside"
        assert (await ws.receive_close()).code == 1000
    assert notes == ["accept", "send", "close 1000", "after"]


@both_styles
async def test_s35_accepting_by_hand(path: str) -> None:
    """Without `auto_accept`, `accept` takes a subprotocol, and `close` ends."""
    app = App()

    async def talk(ws: WebSocket) -> None:
        await ws.accept(subprotocol="chat.v2")
        await ws.send("hello")
        await ws.close()

    app.websocket_route("/function", auto_accept=False)(talk)

    @app.websocket_route("/class")
    class Consumer(WebSocketConsumer):
        auto_accept = False

        async def on_connect(self) -> None:
            await talk(self)

    async with (
        TestClient(app) as client,
        client.connect(path, subprotocols=["chat.v1", "chat.v2"]) as ws,
    ):
        assert ws.accepted_subprotocol == "chat.v2"
        assert await ws.receive() == "hello"
        assert (await ws.receive_close()).code == 1000


@both_styles
async def test_s35_accepting_with_the_context(path: str) -> None:
    """Without `auto_accept`, `async with ws` accepts and closes."""
    notes: list[str] = []
    app = App(middleware=[noting(notes)])

    async def talk(ws: WebSocket) -> None:
        notes.append("before")
        async with ws:
            notes.append("inside")
        notes.append("after")

    route_both(app, talk, auto_accept=False)

    async with TestClient(app) as client, client.connect(path) as ws:
        assert (await ws.receive_close()).code == 1000
    assert notes == ["before", "accept", "inside", "close 1000", "after"]


@both_styles
async def test_s36_the_context_after_accept_does_not_accept_twice(path: str) -> None:
    """`accept()` and then `async with ws` is one acceptance."""
    notes: list[str] = []
    app = App(middleware=[noting(notes)])

    async def talk(ws: WebSocket) -> None:
        await ws.accept()
        async with ws:
            await ws.send("inside")

    app.websocket_route("/function", auto_accept=False)(talk)

    @app.websocket_route("/class", auto_accept=False)
    class Consumer(WebSocketConsumer):
        async def on_handshake(self) -> None:
            await talk(self)

    async with TestClient(app) as client, client.connect(path) as ws:
        assert await ws.receive() == "inside"
        assert (await ws.receive_close()).code == 1000
    assert notes == ["accept", "send", "close 1000"]


@both_styles
async def test_s37_never_accepted_is_refused(path: str) -> None:
    """An endpoint that neither accepts nor closes leaves a refusal with 403."""
    app = App()

    @app.websocket_route("/function", auto_accept=False)
    async def view(ws: WebSocket) -> None:
        """Forgets to accept."""

    @app.websocket_route("/class", auto_accept=False)
    class Consumer(WebSocketConsumer):
        async def on_connect(self) -> None:
            """Forgets to accept."""

    assert await refused(app, path) == 403


@both_styles
async def test_s40_reject_refuses_with_a_status(path: str) -> None:
    """Before accept `reject` answers 403, or what it is told, and never returns."""
    notes: list[str] = []
    app = App()

    @app.websocket_route("/function/{status}", auto_accept=False)
    async def view(ws: WebSocket, status: int) -> None:
        await (ws.reject() if status == 403 else ws.reject(status))
        notes.append("after")

    @app.websocket_route("/class/{status}")
    class Consumer(WebSocketConsumer):
        async def on_handshake(self, status: int) -> None:
            await (self.reject() if status == 403 else self.reject(status))
            notes.append("after")

        async def on_connect(self) -> None:
            notes.append("on_connect")

    assert await refused(app, f"{path}/403") == 403
    assert await refused(app, f"{path}/429") == 429
    assert notes == []


@both_styles
async def test_s40_reject_ends_nested_tasks_and_is_not_swallowed(path: str) -> None:
    """It ends the hook from a task of its own, and past an `except Exception`."""
    notes: list[str] = []
    app = App()

    async def refuse(ws: WebSocket) -> None:
        try:
            await ws.reject()
        except Exception:
            notes.append("swallowed")
        notes.append("after")

    async def nested(ws: WebSocket) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(refuse, ws)
            await anyio.sleep_forever()
        notes.append("after the group")

    app.websocket_route("/function", auto_accept=False)(nested)

    @app.websocket_route("/class")
    class Consumer(WebSocketConsumer):
        async def on_handshake(self) -> None:
            await nested(self)

    assert await refused(app, path) == 403
    assert notes == []


@both_styles
async def test_s40_after_accept_reject_closes_with_1008(path: str) -> None:
    """It is too late for a status; the line after it does not run either."""
    notes: list[str] = []
    app = App(middleware=[noting(notes)])

    async def refuse(ws: WebSocket) -> None:
        await ws.reject()
        notes.append("after")

    route_both(app, refuse)

    async with TestClient(app) as client, client.connect(path) as ws:
        assert (await ws.receive_close()).code == 1008
    assert notes == ["accept", "close 1008"]


def guarded(notes: list[str], *, auto_accept: bool) -> App:
    """Return the guide's endpoint with an API key, in both styles."""
    app = App()

    @app.websocket_route("/function", auto_accept=auto_accept)
    async def hello(ws: WebSocket) -> None:
        if ws.headers.get("api-key") != "s3kr3t":
            await ws.reject()
        async with ws:
            notes.append("authorized")

    @app.websocket_route("/class")
    class Hello(WebSocketConsumer):
        async def on_handshake(self) -> None:
            if self.headers.get("api-key") != "s3kr3t":
                await self.reject()

        async def on_connect(self) -> None:
            notes.append("authorized")
            await self.close()

    return app


@both_styles
async def test_s41_a_wrong_key_does_not_reach_what_it_guards(path: str) -> None:
    """The guide's example refuses with 403, and nothing after `reject` runs."""
    notes: list[str] = []
    app = guarded(notes, auto_accept=False)
    assert await refused(app, path) == 403
    assert notes == []
    async with (
        TestClient(app) as client,
        client.connect(path, headers={"api-key": "s3kr3t"}) as ws,
    ):
        assert (await ws.receive_close()).code == 1000
    assert notes == ["authorized"]


async def test_s41_as_the_guide_prints_it_nothing_is_let_in_either() -> None:
    """Accepted before the view runs, the client is closed with 1008 instead."""
    notes: list[str] = []
    app = guarded(notes, auto_accept=True)
    async with TestClient(app) as client, client.connect("/function") as ws:
        assert (await ws.receive_close()).code == 1008
    assert notes == []
