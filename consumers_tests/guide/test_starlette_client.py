"""Starlette's own test client drives an application, as tests that migrate have it.

The points of the guide are named where this client shows them in another way.
"""

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import anyio
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient, WebSocketDenialResponse

from consumers import App, Provide, WebSocket, WebSocketConsumer, WebSocketDisconnect

from . import both_styles

Connect = Callable[[App], TestClient]


@pytest.fixture
def client_of(anyio_backend: tuple[str, dict[str, Any]]) -> Connect:
    """Return what makes a client of an application, on each backend."""
    name, options = anyio_backend

    def make(app: App) -> TestClient:
        return TestClient(
            app,
            backend="trio" if name == "trio" else "asyncio",
            backend_options=options,
        )

    return make


class Mistake(Exception):
    """What an application raises by mistake."""


def chat() -> App:
    """Return an application with most of what the guide has, in both styles."""
    app = App()

    @app.websocket_route("/function/chat/{channel}", value_type="json")
    async def view(ws: WebSocket, channel: int, anonymous: bool = False) -> None:
        user = "Anonymous" if anonymous else ws.headers["user"]
        async for message in ws:
            if message == "fail":
                raise Mistake
            if message == "close":
                await ws.close(4003, "boom")
                return
            await ws.send({"channel": channel, "user": user, "message": message})

    @app.websocket_route("/class/chat/{channel}", value_type="json")
    class Chat(WebSocketConsumer):
        async def on_connect(self, channel: int, anonymous: bool = False) -> None:
            self.channel = channel
            self.speaker = "Anonymous" if anonymous else self.headers["user"]

        async def on_receive(self, message: Any) -> None:
            if message == "fail":
                raise Mistake
            if message == "close":
                await self.close(4003, "boom")
                return
            await self.send(
                {"channel": self.channel, "user": self.speaker, "message": message}
            )

    return app


@both_styles
def test_s04_s13_s16_s58_the_chat_of_the_guide(path: str, client_of: Connect) -> None:
    """Headers, path and query parameters and JSON messages work as they did."""
    client = client_of(chat())
    with client.websocket_connect(f"{path}/chat/7", headers={"user": "ada"}) as ws:
        ws.send_json("hello")
        assert ws.receive_json() == {"channel": 7, "user": "ada", "message": "hello"}
    with client.websocket_connect(f"{path}/chat/7?anonymous=true") as ws:
        ws.send_json("hello")
        assert ws.receive_json()["user"] == "Anonymous"


@both_styles
def test_s09_no_route_is_a_disconnect(path: str, client_of: Connect) -> None:
    """This client raises a refusal without a response as a disconnect."""
    with (
        pytest.raises(WebSocketDisconnect) as outcome,
        client_of(chat()).websocket_connect(f"{path}/nowhere"),
    ):
        pass
    assert outcome.value.code == 1000


@both_styles
def test_s19_a_wrong_parameter_is_a_response(path: str, client_of: Connect) -> None:
    """This client raises a refusal's response: status, and a JSON body."""
    with (
        pytest.raises(WebSocketDenialResponse) as outcome,
        client_of(chat()).websocket_connect(f"{path}/chat/x?anonymous=maybe"),
    ):
        pass
    assert outcome.value.status_code == 400
    assert list(outcome.value.json()["errors"]) == ["channel", "anonymous"]


@both_styles
def test_s28_malformed_json_closes_with_1007(path: str, client_of: Connect) -> None:
    """What is malformed closes, and nothing is raised in the test."""
    client = client_of(chat())
    with client.websocket_connect(f"{path}/chat/1?anonymous=1") as ws:
        ws.send_text("{")
        assert ws.receive() == {
            "type": "websocket.close",
            "code": 1007,
            "reason": "the message is not JSON",
        }


@both_styles
def test_s39_a_close_is_the_raw_event(path: str, client_of: Connect) -> None:
    """`receive` shows the close event as it was sent."""
    client = client_of(chat())
    with client.websocket_connect(f"{path}/chat/1?anonymous=1") as ws:
        ws.send_json("close")
        event = ws.receive()
    assert event == {"type": "websocket.close", "code": 4003, "reason": "boom"}


@both_styles
def test_s43_s58_exceptions_surface(path: str, client_of: Connect) -> None:
    """An endpoint's exception closes with 1011, and is raised in the test."""

    def fail() -> None:
        client = client_of(chat())
        with client.websocket_connect(f"{path}/chat/1?anonymous=1") as ws:
            ws.send_json("fail")
            assert ws.receive()["code"] == 1011

    with pytest.raises(Mistake):
        fail()


def types() -> App:
    """Return an application that echoes text and bytes, in both styles."""
    app = App()
    for kind in ("text", "bytes", "json"):

        @app.websocket_route(f"/function/{kind}", value_type=kind)
        async def view(ws: WebSocket) -> None:
            async for message in ws:
                await ws.send(message)

        @app.websocket_route(f"/class/{kind}", value_type=kind)
        class Echo(WebSocketConsumer):
            async def on_receive(self, message: Any) -> None:
                await self.send(message)

    return app


@both_styles
def test_s26_s27_each_type(path: str, client_of: Connect) -> None:
    """This client's `send_` and `receive_` methods have their counterparts."""
    client = client_of(types())
    with client.websocket_connect(f"{path}/text") as ws:
        ws.send_text("text")
        assert ws.receive_text() == "text"
    with client.websocket_connect(f"{path}/bytes") as ws:
        ws.send_bytes(b"bytes")
        assert ws.receive_bytes() == b"bytes"
    with client.websocket_connect(f"{path}/json") as ws:
        ws.send_json({"json": 1})
        assert ws.receive_json() == {"json": 1}


@both_styles
def test_s35_subprotocols_and_headers(path: str, client_of: Connect) -> None:
    """What `accept` was called with is seen by this client."""
    app = App()

    @app.websocket_route("/function", auto_accept=False)
    async def view(ws: WebSocket) -> None:
        await ws.accept("b", headers={"x-seen": "yes"})

    @app.websocket_route("/class", auto_accept=False)
    class Consumer(WebSocketConsumer):
        async def on_handshake(self) -> None:
            await self.accept("b", headers={"x-seen": "yes"})

    with client_of(app).websocket_connect(path, subprotocols=["a", "b"]) as ws:
        assert ws.accepted_subprotocol == "b"
        assert ws.extra_headers == [(b"x-seen", b"yes")]


@both_styles
def test_s40_a_rejection_is_a_response(path: str, client_of: Connect) -> None:
    """`reject` answers with its status, content and headers."""
    app = App()

    async def refuse(ws: WebSocket) -> None:
        await ws.reject(429, {"wait": 5}, {"retry-after": "5"})

    app.websocket_route("/function", auto_accept=False)(refuse)

    @app.websocket_route("/class")
    class Consumer(WebSocketConsumer):
        async def on_handshake(self) -> None:
            await refuse(self)

    with (
        pytest.raises(WebSocketDenialResponse) as outcome,
        client_of(app).websocket_connect(path),
    ):
        pass
    assert outcome.value.status_code == 429
    assert outcome.value.json() == {"wait": 5}
    assert outcome.value.headers["retry-after"] == "5"


@pytest.mark.parametrize(("code", "raised"), [(1000, False), (1006, True)])
def test_s46_s48_codes_that_are_not_caught_are_raised(
    code: int, raised: bool, client_of: Connect
) -> None:
    """A view raises the codes that it does not catch; a class is told of all."""
    app = App()
    told: list[int] = []

    @app.websocket_route("/function")
    async def view(ws: WebSocket) -> None:
        try:
            await ws.receive()
        except WebSocketDisconnect as left:
            told.append(left.code)
            raise

    def leave() -> None:
        with client_of(app) as client, client.websocket_connect("/function") as ws:
            ws.close(code)
            client.portal.call(anyio.wait_all_tasks_blocked)  # type: ignore[union-attr]

    if raised:
        with pytest.raises(WebSocketDisconnect):
            leave()
    else:
        leave()
    assert told == [code]


@both_styles
def test_s52_s54_the_lifespan_provides(path: str, client_of: Connect) -> None:
    """As a context manager this client runs the lifespan, and so shared providers."""
    notes: list[str] = []

    async def names() -> AsyncIterator[list[str]]:
        notes.append("begin")
        yield []
        notes.append("end")

    async def page(request: Request) -> JSONResponse:
        return JSONResponse(request.app.state.names)

    Shared = Annotated[list[str], Provide(names, scope="app")]  # noqa: N806
    app = App([Route("/names", page)])
    app.state.names = []

    @app.websocket_route("/function/{name}")
    async def view(ws: WebSocket, name: str, names: Shared) -> None:
        names.append(name)
        ws.app.state.names = names
        await ws.send("welcome")

    @app.websocket_route("/class/{name}")
    class Consumer(WebSocketConsumer):
        async def on_connect(self, name: str, names: Shared) -> None:
            names.append(name)
            self.app.state.names = names
            await self.send("welcome")

    with client_of(app) as client:
        for name in ("ada", "bob"):
            with client.websocket_connect(f"{path}/{name}") as ws:
                assert ws.receive_text() == "welcome"
        assert client.get("/names").json() == ["ada", "bob"]
        assert notes == ["begin"]
    assert notes == ["begin", "end"]


def test_a_close_without_a_code_is_caught(client_of: Connect) -> None:
    """1005 is what servers make of a browser's ``close()``: a view ends silently."""
    app = App()

    @app.websocket_route("/")
    async def view(ws: WebSocket) -> None:
        await ws.receive()

    with client_of(app) as client, client.websocket_connect("/") as ws:
        ws.close(1005)
