"""Messages: their types, what is malformed, iteration, and raw events."""

from collections.abc import Mapping
from typing import Any

import anyio
import pytest

from consumers import (
    App,
    ConfigurationError,
    InvalidMessage,
    StateError,
    WebSocket,
    WebSocketConsumer,
    WebSocketDisconnect,
)
from consumers.testing import TestClient

from . import both_styles, route_both


def echo(**settings: Any) -> App:
    """Return an application whose endpoints send back what they receive."""
    app = App()

    @app.websocket_route("/function", **settings)
    async def view(ws: WebSocket) -> None:
        async for message in ws:
            await ws.send(message)

    @app.websocket_route("/class", **settings)
    class Consumer(WebSocketConsumer):
        async def on_receive(self, message: Any) -> None:
            await self.send(message)

    return app


@both_styles
async def test_s25_s26_text_is_the_default(path: str) -> None:
    """Without a type, messages are strings in text frames."""
    async with TestClient(echo()) as client, client.connect(path) as ws:
        await ws.send_text("hé")
        assert await ws.receive_event() == {"type": "websocket.send", "text": "hé"}


@both_styles
async def test_s25_s26_bytes(path: str) -> None:
    """With "bytes", messages are bytes in binary frames."""
    app = echo(value_type="bytes")
    async with TestClient(app) as client, client.connect(path) as ws:
        await ws.send_bytes(b"\xff")
        assert await ws.receive_event() == {"type": "websocket.send", "bytes": b"\xff"}


@both_styles
async def test_s25_s26_json(path: str) -> None:
    """With "json", messages are values, in text frames."""
    app = echo(value_type="json")
    async with TestClient(app) as client, client.connect(path) as ws:
        for value in ({"a": [1, None]}, "text", 4.5, None):
            await ws.send_json(value)
            assert await ws.receive_json() == value


@both_styles
async def test_s25_s26_msgpack(path: str) -> None:
    """With "msgpack", messages are values, in binary frames."""
    app = echo(value_type="msgpack")
    async with TestClient(app) as client, client.connect(path) as ws:
        await ws.send_msgpack({"a": b"\x00"})
        assert await ws.receive_msgpack() == {"a": b"\x00"}


@both_styles
async def test_s25_s26_event(path: str) -> None:
    """With "event", messages are ASGI events as they come and go."""
    app = App()

    @app.websocket_route("/function", value_type="event")
    async def view(ws: WebSocket) -> None:
        async for event in ws:
            assert event["type"] == "websocket.receive"
            await ws.send({**event, "type": "websocket.send"})

    @app.websocket_route("/class", value_type="event")
    class Consumer(WebSocketConsumer):
        async def on_receive(self, event: Mapping[str, Any]) -> None:
            await self.send({**event, "type": "websocket.send"})

    async with TestClient(app) as client, client.connect(path) as ws:
        await ws.send("ping")
        assert await ws.receive() == "ping"
        await ws.send(b"pong")
        assert await ws.receive() == b"pong"


@both_styles
async def test_s25_both_ways_may_differ(path: str) -> None:
    """`receive_type` and `send_type` are set apart from one another."""
    app = App()

    @app.websocket_route("/function", receive_type="bytes", send_type="json")
    async def view(ws: WebSocket) -> None:
        await ws.send(len(await ws.receive()))

    @app.websocket_route("/class", receive_type="bytes", send_type="json")
    class Consumer(WebSocketConsumer):
        async def on_receive(self, message: bytes) -> None:
            await self.send(len(message))

    async with TestClient(app) as client, client.connect(path) as ws:
        await ws.send(b"four")
        assert await ws.receive(int) == 4


@pytest.mark.parametrize("setting", ["value_type", "receive_type", "send_type"])
def test_s25_a_wrong_name_is_told_at_registration(setting: str) -> None:
    """A type that there is not is an error of the route or class, not of a client."""
    with pytest.raises(ConfigurationError, match=r"'text', 'bytes', 'json'.*'xml'"):
        echo(**{setting: "xml"})
    with pytest.raises(ConfigurationError, match=r"'text', 'bytes', 'json'.*'xml'"):
        type("Consumer", (WebSocketConsumer,), {setting: "xml"})


def test_s25_three_types_contradict_each_other() -> None:
    """`value_type` stands for the other two, so that all of them are an error."""
    with pytest.raises(ConfigurationError, match="value_type sets receive_type"):
        echo(value_type="text", receive_type="json")


@both_styles
async def test_s27_each_type_has_methods_that_are_always_there(path: str) -> None:
    """Whatever the type of the route, `receive_…` and `send_…` work by their names."""
    app = App()

    async def talk(ws: WebSocket) -> None:
        await ws.send_text(await ws.receive_text())
        await ws.send_bytes(await ws.receive_bytes())
        await ws.send_json(await ws.receive_json())
        await ws.send_msgpack(await ws.receive_msgpack())
        event = await ws.receive_event()
        await ws.send_event({**event, "type": "websocket.send"})

    app.websocket_route("/function")(talk)

    @app.websocket_route("/class", value_type="bytes")
    class Consumer(WebSocketConsumer):
        async def on_connect(self) -> None:
            await talk(self)

    async with TestClient(app) as client, client.connect(path) as ws:
        await ws.send_text("a")
        assert await ws.receive_text() == "a"
        await ws.send_bytes(b"b")
        assert await ws.receive_bytes() == b"b"
        await ws.send_json(["c"])
        assert await ws.receive_text() == '["c"]'
        await ws.send_msgpack(["d"])
        assert await ws.receive_msgpack() == ["d"]
        await ws.send("e")
        assert await ws.receive() == "e"


@both_styles
async def test_s28_malformed_json_closes_with_1007(path: str) -> None:
    """It is the client's fault: nothing is raised in the server."""
    app = echo(value_type="json")
    async with TestClient(app) as client, client.connect(path) as ws:
        await ws.send_text("{")
        assert (await ws.receive_close()).code == 1007


async def test_s28_pull_style_may_catch_what_is_malformed() -> None:
    """A view that catches the error goes on with the next message."""
    app = App()

    @app.websocket_route("/", value_type="json")
    async def view(ws: WebSocket) -> None:
        while True:
            try:
                await ws.send(await ws.receive())
            except InvalidMessage as error:
                await ws.send({"error": error.close_code})

    async with TestClient(app) as client, client.connect("/") as ws:
        await ws.send_text("{")
        assert await ws.receive(dict[str, int]) == {"error": 1007}
        await ws.send_text("{}")
        assert await ws.receive(dict[str, int]) == {}


@both_styles
async def test_s28_a_value_without_json_form_is_a_type_error(path: str) -> None:
    """Sending it is the application's mistake: 1011, and raised."""
    app = App()

    @app.websocket_route("/function")
    async def view(ws: WebSocket) -> None:
        await ws.send_json(object())

    @app.websocket_route("/class", value_type="json")
    class Consumer(WebSocketConsumer):
        async def on_connect(self) -> None:
            await self.send(object())

    async with TestClient(app) as client:
        with pytest.raises(TypeError, match="must have a JSON form"):
            async with client.connect(path) as ws:
                assert (await ws.receive_close()).code == 1011


@both_styles
@pytest.mark.parametrize("kind", ["text", "json"])
@pytest.mark.parametrize("event", [{"bytes": b"x"}, {"text": None, "bytes": b"x"}])
async def test_s29_bytes_are_no_text(
    path: str, kind: str, event: dict[str, Any]
) -> None:
    """A binary frame where text is read closes with 1003, as every server puts it."""
    app = echo(value_type=kind)
    async with TestClient(app) as client, client.connect(path) as ws:
        await ws.send_event({"type": "websocket.receive", **event})
        assert (await ws.receive_close()).code == 1003


@both_styles
@pytest.mark.parametrize("event", [{"text": "x"}, {"text": "x", "bytes": None}])
async def test_s29_text_is_no_bytes(path: str, event: dict[str, Any]) -> None:
    """A text frame where bytes are read closes with 1003."""
    app = echo(value_type="bytes")
    async with TestClient(app) as client, client.connect(path) as ws:
        await ws.send_event({"type": "websocket.receive", **event})
        assert (await ws.receive_close()).code == 1003


@both_styles
async def test_s30_waiting_for_a_message_holds_nobody_up(path: str) -> None:
    """While one connection waits, others are served."""
    async with TestClient(echo()) as client, client.connect(path) as waiting:
        async with client.connect(path) as ws:
            await ws.send("hello")
            assert await ws.receive() == "hello"
        await waiting.send("still here")
        assert await waiting.receive() == "still here"


@both_styles
async def test_s30_nothing_is_received_before_accept(path: str) -> None:
    """It is the application's mistake: the client is refused, and the error raised."""
    app = App()

    @app.websocket_route("/function", auto_accept=False)
    async def view(ws: WebSocket) -> None:
        await ws.receive()

    @app.websocket_route("/class")
    class Consumer(WebSocketConsumer):
        async def on_handshake(self) -> None:
            await self.receive()

    async with TestClient(app) as client:
        with pytest.raises(StateError, match=r"await accept\(\) first"):
            async with client.connect(path):
                pass
    async with TestClient(app, raise_server_exceptions=False) as client:
        with pytest.raises(Exception, match="refused with 500"):
            async with client.connect(path):
                pass


async def test_s31_iteration_ends_by_a_disconnect() -> None:
    """`async for` is `receive()` for ever; leaving raises, and the context silences."""
    app = App()
    codes: list[int] = []

    @app.websocket_route("/")
    async def view(ws: WebSocket) -> None:
        try:
            async for message in ws:
                await ws.send(message)
        except WebSocketDisconnect as left:
            codes.append(left.code)
            raise

    async with TestClient(app) as client, client.connect("/") as ws:
        for message in ("one", "two"):
            await ws.send(message)
            assert await ws.receive() == message
        await ws.close(1001)
    assert codes == [1001]


async def test_s31_a_class_has_its_hook_in_place_of_the_loop() -> None:
    """`on_receive` gets each message in order, and `on_disconnect` the code."""
    app = App()
    got: list[object] = []

    @app.websocket_route("/")
    class Consumer(WebSocketConsumer):
        async def on_receive(self, message: int) -> None:
            got.append(message)

        async def on_disconnect(self, code: int) -> None:
            got.append(code)

    async with TestClient(app) as client, client.connect("/") as ws:
        await ws.send_json(1)
        await ws.send_json(2)
        await ws.close(1001)
    assert got == [1, 2, 1001]


async def test_s32_events_come_and_go_as_they_are() -> None:
    """A disconnect is returned by `receive_event`, not raised."""
    app = App()
    left = anyio.Event()

    @app.websocket_route("/")
    async def view(ws: WebSocket) -> None:
        event = await ws.receive_event()
        assert event == {"type": "websocket.receive", "text": "ping"}
        await ws.send_event({"type": "websocket.send", "text": "pong"})
        event = await ws.receive_event()
        assert (event["type"], event["code"]) == ("websocket.disconnect", 1001)
        left.set()

    async with TestClient(app) as client, client.connect("/") as ws:
        await ws.send("ping")
        assert await ws.receive() == "pong"
        await ws.close(1001)
        with anyio.fail_after(5):
            await left.wait()


@both_styles
async def test_s32_events_accept_and_close(path: str) -> None:
    """`send_event` of an accept or a close is the same as the method's call."""
    app = App()

    async def talk(ws: WebSocket) -> None:
        await ws.send_event({"type": "websocket.accept", "subprotocol": "a"})
        await ws.send_event({"type": "websocket.close", "code": 4000})
        with pytest.raises(StateError):
            await ws.send("too late")

    route_both(app, talk, auto_accept=False)

    async with (
        TestClient(app) as client,
        client.connect(path, subprotocols=["a"]) as ws,
    ):
        assert ws.accepted_subprotocol == "a"
        assert (await ws.receive_close()).code == 4000
