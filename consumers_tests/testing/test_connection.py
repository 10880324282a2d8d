"""Sending, receiving, closing, and faults of the network."""

import anyio
import msgspec
import pytest
from starlette.types import Receive, Scope, Send

from consumers.close import CloseEvent
from consumers.testing import Closed, TestClient
from consumers.testing.transport import Event

from .apps import accepting, echo, echoing, saying, silent, waiting


class Point(msgspec.Struct):
    x: int
    y: int


async def close_4001(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "websocket.send", "text": "bye"})
    await send({"type": "websocket.close", "code": 4001, "reason": "enough"})
    await receive()


async def test_receive_returns_text_and_bytes_as_they_came() -> None:
    """`receive()` returns str for text and bytes for bytes, empty ones too."""
    async with TestClient(echo) as client, client.connect("/") as ws:
        for message in ("hello", b"\x00\xff", "", b""):
            await ws.send(message)
            assert await ws.receive() == message


async def test_receive_decodes_to_a_type() -> None:
    """`receive(T)` decodes JSON text and MessagePack bytes alike."""
    async with TestClient(echo) as client, client.connect("/") as ws:
        await ws.send({"x": 1, "y": 2})
        assert await ws.receive(Point) == Point(1, 2)
        await ws.send_msgpack(Point(3, 4))
        assert await ws.receive(Point) == Point(3, 4)
        await ws.send_json([5])
        assert await ws.receive(list[int] | None) == [5]


async def test_receive_of_str_and_bytes_decodes_nothing() -> None:
    """`receive(str)` and `receive(bytes)` return the message as it is."""
    async with TestClient(echo) as client, client.connect("/") as ws:
        await ws.send('"quoted"')
        await ws.send(b"raw")
        assert await ws.receive(str) == '"quoted"'
        assert await ws.receive(bytes) == b"raw"


async def test_each_form_has_a_pair_of_methods() -> None:
    """text, bytes, json, msgpack and event can each be sent and received."""
    async with TestClient(echo) as client, client.connect("/") as ws:
        await ws.send_text("a")
        assert await ws.receive_text() == "a"
        await ws.send_bytes(b"b")
        assert await ws.receive_bytes() == b"b"
        await ws.send_json({"c": None})
        assert await ws.receive_json() == {"c": None}
        await ws.send_json({"x": 1, "y": 1})
        assert await ws.receive_json(Point) == Point(1, 1)
        await ws.send_msgpack([1])
        assert await ws.receive_msgpack(list[int]) == [1]
        await ws.send_event({"type": "websocket.receive", "text": None, "bytes": b"e"})
        event = {"type": "websocket.send", "text": None, "bytes": b"e"}
        assert await ws.receive_event() == event


async def test_a_message_of_another_kind_fails_and_is_shown() -> None:
    """A wrong frame, wrong JSON and a wrong schema are told with the message."""
    async with TestClient(echo) as client, client.connect("/") as ws:
        await ws.send(b"bytes")
        with pytest.raises(
            AssertionError, match=r"in text, got b'bytes'; expected a te"
        ):
            await ws.receive_text()
        await ws.send("{")
        with pytest.raises(
            AssertionError, match=r"in json, got '\{'; the message is not"
        ):
            await ws.receive_json()
        await ws.send({"x": 1})
        with pytest.raises(AssertionError, match=r"Point.*missing required field `y`"):
            await ws.receive(Point)
        await ws.send("still usable")
        assert await ws.receive() == "still usable"


async def test_iteration_ends_with_a_normal_close() -> None:
    """`async for` yields what comes until a close with 1000."""

    async def body(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.send", "text": "one"})
        await send({"type": "websocket.send", "bytes": b"two"})
        await send({"type": "websocket.close", "code": 1000})

    async with TestClient(accepting(body)) as client, client.connect("/") as ws:
        assert [message async for message in ws] == ["one", b"two"]


async def test_iteration_raises_an_abnormal_close() -> None:
    """`async for` raises `Closed` at any other code."""
    async with (
        TestClient(accepting(close_4001)) as client,
        client.connect("/") as ws,
    ):
        with pytest.raises(Closed, match="4001"):
            assert [message async for message in ws] == ["bye"]


async def test_an_awaited_message_that_never_comes_shows_the_close() -> None:
    """`Closed` tells code, reason and what came before; messages come first."""
    async with (
        TestClient(accepting(close_4001)) as client,
        client.connect("/") as ws,
    ):
        assert await ws.receive() == "bye"
        with pytest.raises(Closed) as caught:
            await ws.receive_json()

        assert caught.value.event == CloseEvent(4001, "enough", True, "server")
        assert str(caught.value) == (
            "expected a JSON message, got a close by the server with 4001 (enough); "
            "the last that came: 'bye'"
        )
        assert ws.closed == caught.value.event
        with pytest.raises(Closed, match="expected an open connection"):
            await ws.send("too late")


async def test_receive_close_returns_how_it_ended() -> None:
    """`receive_close()` returns the server's code and reason."""
    async with (
        TestClient(accepting(close_4001)) as client,
        client.connect("/") as ws,
    ):
        await ws.receive()
        assert await ws.receive_close() == CloseEvent(4001, "enough", True, "server")


async def test_receive_close_leaves_an_unexpected_message() -> None:
    """A message in the way of the close is shown, and can be received then."""
    async with (
        TestClient(accepting(close_4001)) as client,
        client.connect("/") as ws,
    ):
        with pytest.raises(AssertionError, match="expected a close, got 'bye'"):
            await ws.receive_close()
        assert await ws.receive() == "bye"
        assert (await ws.receive_close()).code == 4001


async def test_receive_nothing() -> None:
    """`receive_nothing()` passes when nothing comes, and shows what does."""
    async with TestClient(echo) as client, client.connect("/") as ws:
        await ws.receive_nothing()
        await ws.send("ping")
        with pytest.raises(AssertionError, match="expected nothing, got 'ping'"):
            await ws.receive_nothing()
        assert await ws.receive() == "ping"
        await ws.receive_nothing()


async def test_receive_nothing_does_not_take_a_close_for_nothing() -> None:
    """A close is something: `receive_nothing()` raises it."""
    async with (
        TestClient(accepting(close_4001)) as client,
        client.connect("/") as ws,
    ):
        await ws.receive()
        with pytest.raises(Closed, match="expected nothing, got a close"):
            await ws.receive_nothing()


async def test_the_application_learns_code_and_reason_of_a_close() -> None:
    """`close(code, reason)` reaches the application after all messages before it."""
    seen: list[Event] = []

    async def body(scope: Scope, receive: Receive, send: Send) -> None:
        while not seen or seen[-1]["type"] != "websocket.disconnect":
            seen.append(await receive())

    async with TestClient(accepting(body)) as client, client.connect("/") as ws:
        await ws.send("first")
        await ws.close(4002, "tab closed")
        await ws.close(4003)
        assert ws.closed == CloseEvent(4002, "tab closed", True, "client")
        with pytest.raises(Closed, match="a close by the client with 4002"):
            await ws.receive()

    assert seen == [
        {"type": "websocket.receive", "text": "first"},
        {"type": "websocket.disconnect", "code": 4002, "reason": "tab closed"},
    ]


async def test_a_connection_ends_once() -> None:
    """After the end `close()` and `drop()` do nothing."""
    async with (
        TestClient(accepting(close_4001)) as client,
        client.connect("/") as ws,
    ):
        await client.settle()
        await ws.close(4002)
        await ws.drop()
        assert ws.closed == CloseEvent(4001, "enough", True, "server")


async def test_many_messages_are_shown_in_part() -> None:
    """An error's text shows ten messages and the number of the others."""
    messages = [str(number) for number in range(12)]
    async with TestClient(saying(*messages)) as client, client.connect("/") as ws:
        with pytest.raises(AssertionError, match=r"got '0', '1', .*, '9', and 2 more$"):
            await ws.receive_nothing()


async def test_codes_that_may_not_travel_are_refused() -> None:
    """`close()` refuses codes and reasons that no frame can carry (RFC 6455 7.4)."""
    async with TestClient(echo) as client, client.connect("/") as ws:
        with pytest.raises(ValueError, match="got 1006"):
            await ws.close(1006)
        with pytest.raises(ValueError, match="at most 123 bytes"):
            await ws.close(4000, "x" * 124)
        await ws.send("open")
        assert await ws.receive() == "open"


async def test_drop_looks_like_a_failed_network() -> None:
    """After `drop()` the application sees 1006, and its `send` raises `OSError`."""
    seen = []

    async def body(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(await receive())
        with pytest.raises(OSError, match="the client has left"):
            await send({"type": "websocket.send", "text": "anybody?"})

    async with TestClient(accepting(body)) as client, client.connect("/") as ws:
        await ws.drop()
        assert ws.closed == CloseEvent(1006, "", False, "network")

    assert seen == [{"type": "websocket.disconnect", "code": 1006}]


async def test_what_came_before_a_close_can_be_received_after_it() -> None:
    """Messages on their way at the client's close are not lost to the test."""
    async with TestClient(saying("a", "b")) as client, client.connect("/") as ws:
        await client.settle()
        await ws.close()
        assert await ws.receive() == "a"
        assert await ws.receive() == "b"


async def test_stall_makes_send_wait_when_buffers_are_full() -> None:
    """A stalled client takes `buffer` messages; the next `send` waits."""
    sent = []

    async def body(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        for number in range(5):
            await send({"type": "websocket.send", "text": str(number)})
            sent.append(number)
        await waiting(scope, receive, send)

    async with TestClient(accepting(body)) as client, client.connect("/") as ws:
        await ws.stall(buffer=3)
        await ws.send("go")
        await client.settle()
        assert sent == [0, 1, 2]
        with pytest.raises(RuntimeError, match="resume"):
            await ws.receive()
        with pytest.raises(RuntimeError, match="resume"):
            await ws.receive_nothing()
        await ws.resume()
        assert [await ws.receive() for _ in range(5)] == ["0", "1", "2", "3", "4"]
        with pytest.raises(ValueError, match="got -1"):
            await ws.stall(-1)


async def test_a_stalled_client_does_not_see_the_close() -> None:
    """The server's close waits in the buffers of a stalled client."""

    async def body(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.close", "code": 4000})

    async with TestClient(accepting(body)) as client, client.connect("/") as ws:
        await ws.stall()
        await ws.send("go")
        await client.settle()
        assert ws.closed is None
        await ws.send("into the void")
        await ws.resume()
        assert (await ws.receive_close()).code == 4000


@pytest.mark.parametrize("leave", ["close", "drop", "exit"])
async def test_a_blocked_send_ends_when_the_client_leaves(leave: str) -> None:
    """A `send` that waits for a stalled client raises `OSError` once it has left."""
    raised = []

    async def body(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            while True:
                await send({"type": "websocket.send", "text": "x"})
        except OSError as error:
            raised.append(error)

    async with TestClient(accepting(body)) as client, client.connect("/") as ws:
        await ws.stall(buffer=0)
        await client.settle()
        assert raised == []
        if leave != "exit":
            await getattr(ws, leave)()

    assert len(raised) == 1


async def test_a_deadline_tells_everything_and_the_connection_lives_on() -> None:
    """A timeout tells what was awaited, what came, where the server is; and no more."""

    async def stuck_here(receive: Receive) -> None:
        await receive()

    async def body(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.send", "text": "hello"})
        await stuck_here(receive)
        await send({"type": "websocket.send", "text": "on we go"})
        await waiting(scope, receive, send)

    async with TestClient(accepting(body)) as client, client.connect("/") as ws:
        assert await ws.receive() == "hello"
        client.deadline = 0.01
        with pytest.raises(TimeoutError) as caught:
            await ws.receive()
        with pytest.raises(TimeoutError, match=r"expected a close within 0\.01 s"):
            await ws.receive_close()
        client.deadline = 5

        assert "expected a message within 0.01 s; the last that came: 'hello'" in str(
            caught.value
        )
        assert "in stuck_here\n    await receive()" in str(caught.value)
        assert "consumers/testing" not in str(caught.value)
        await ws.send("again")
        assert await ws.receive() == "on we go"


async def test_a_time_limit_of_the_tests_own_loses_no_message() -> None:
    """`anyio.fail_after` around `receive()` may cut it off; the next one works."""
    async with TestClient(echo) as client, client.connect("/") as ws:
        for _ in range(3):
            with anyio.move_on_after(0.001):
                await ws.receive()
        await ws.send("here")
        assert await ws.receive() == "here"


async def test_the_accept_can_be_looked_at() -> None:
    """The chosen subprotocol and the headers of the accept are there."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(
            {
                "type": "websocket.accept",
                "subprotocol": scope["subprotocols"][1],
                "headers": [(b"x-answer", b"42")],
            }
        )
        await echoing(scope, receive, send)

    async with (
        TestClient(app) as client,
        client.connect("/", subprotocols=["a", "b"]) as ws,
    ):
        assert ws.accepted_subprotocol == "b"
        assert ws.response_headers["X-Answer"] == "42"
    async with TestClient(silent) as client, client.connect("/") as ws:
        assert ws.accepted_subprotocol is None
        assert dict(ws.response_headers) == {}
