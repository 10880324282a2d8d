"""What the application raises reaches the test, once; and so does its hanging."""
# ruff: noqa: PT012 - what a whole `async with` raises is the subject here

import anyio
import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from consumers.clock import sleep
from consumers.testing import Closed, Refused, ServerStyle, TestClient

from .apps import accepting


async def failing(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    raise ZeroDivisionError("on the server")


async def test_an_exception_before_the_accept_is_raised_by_connect() -> None:
    """The application's own exception is raised, with its traceback, once."""
    async with TestClient(failing) as client:
        with pytest.raises(ZeroDivisionError) as caught:
            async with client.connect("/"):
                pass

        assert caught.traceback[-1].name == "failing"


async def test_an_exception_is_raised_where_the_test_waits() -> None:
    """A `receive()` that can't be satisfied raises the application's exception once."""
    async with TestClient(accepting(failing)) as client, client.connect("/") as ws:
        await ws.send("go")
        with pytest.raises(ZeroDivisionError) as caught:
            await ws.receive()
        assert caught.traceback[-1].name == "failing"
        with pytest.raises(Closed, match="1006"):
            await ws.receive()


async def test_messages_sent_before_an_exception_are_received_first() -> None:
    """An exception does not hide what the application sent before."""

    async def body(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.send", "text": "last words"})
        raise ZeroDivisionError

    async with TestClient(accepting(body)) as client, client.connect("/") as ws:
        await client.settle()
        assert await ws.receive() == "last words"
        with pytest.raises(ZeroDivisionError):
            await ws.receive_nothing()


async def test_an_exception_that_follows_its_close_is_not_masked_by_it() -> None:
    """After a close with 1011 the exception behind it is raised, not `Closed`."""

    async def body(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.close", "code": 1011})
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        raise ZeroDivisionError

    async with TestClient(accepting(body)) as client, client.connect("/") as ws:
        with pytest.raises(ZeroDivisionError):
            await ws.receive()


async def test_an_exception_nobody_saw_is_raised_at_the_exit() -> None:
    """If no call raised it, the end of the `async with` does."""
    async with TestClient(accepting(failing)) as client:
        with pytest.raises(ZeroDivisionError):
            async with client.connect("/") as ws:
                await ws.send("go")
                assert (await ws.receive_close()).code == 1006


async def test_an_exception_explains_a_failed_test() -> None:
    """The test's own failure stays, with the application's traceback as a note."""
    with pytest.raises(AssertionError) as caught:
        async with TestClient(accepting(failing)) as client, client.connect("/") as ws:
            await ws.send("go")
            await client.settle()
            raise AssertionError("the test's")

    (note,) = caught.value.__notes__
    assert note.startswith("The application had raised:\nTraceback")
    assert "ZeroDivisionError: on the server" in note


async def test_an_exception_is_not_lost_when_a_failure_is_expected() -> None:
    """If the failure that shows it is caught, the client's exit raises it."""
    with pytest.raises(ZeroDivisionError):
        async with TestClient(accepting(failing)) as client:
            with pytest.raises(LookupError):
                async with client.connect("/") as ws:
                    await ws.send("go")
                    await client.settle()
                    raise LookupError


async def test_an_exception_ends_a_wait_under_a_limit_of_the_tests_own() -> None:
    """A cancellation gives way to the application's exception, which tells why."""
    with pytest.raises(ZeroDivisionError):
        async with TestClient(accepting(failing)) as client:
            with anyio.CancelScope() as limit:
                async with client.connect("/") as ws:
                    await ws.send("go")
                    await client.settle()
                    limit.cancel()
                    await anyio.sleep_forever()


async def test_several_exceptions_are_raised_as_a_group() -> None:
    """No exception hides another one."""
    with pytest.raises(ExceptionGroup, match="the application raised") as caught:
        async with TestClient(accepting(failing)) as client:
            for _ in range(2):
                with pytest.raises(LookupError):
                    async with client.connect("/") as ws:
                        await ws.send("go")
                        await client.settle()
                        raise LookupError

    assert [type(error) for error in caught.value.exceptions] == [ZeroDivisionError] * 2


async def test_exceptions_can_be_left_to_the_server() -> None:
    """With `raise_server_exceptions=False` a test sees what a client sees."""
    async with TestClient(failing, raise_server_exceptions=False) as client:
        with pytest.raises(Refused, match="500"):
            async with client.connect("/"):
                pass
    async with (
        TestClient(accepting(failing), raise_server_exceptions=False) as client,
        client.connect("/") as ws,
    ):
        await ws.send("go")
        assert (await ws.receive_close()).code == 1006
        with pytest.raises(Closed):
            await ws.receive()


async def test_an_endpoint_must_catch_the_disconnect_itself() -> None:
    """Starlette's `WebSocketDisconnect` is an error where nobody catches it."""

    async def naive(ws: WebSocket) -> None:
        await ws.accept()
        while True:
            await ws.send_text(await ws.receive_text())

    async with TestClient(Starlette(routes=[WebSocketRoute("/", naive)])) as client:
        with pytest.raises(WebSocketDisconnect):
            async with client.connect("/") as ws:
                await ws.send("x")
                assert await ws.receive() == "x"


async def test_to_end_by_the_server_s_own_error_is_normal() -> None:
    """The `OSError` of a `send` may leave the application, but not another one's."""
    sends: list[Send] = []

    async def body(scope: Scope, receive: Receive, send: Send) -> None:
        sends.append(send)
        await receive()
        await sends[0]({"type": "websocket.send", "text": "x"})

    async with TestClient(accepting(body)) as client:
        async with client.connect("/") as first:
            await first.drop()
        with pytest.raises(OSError, match="the client has left"):
            async with client.connect("/") as second:
                await second.send("go")


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
async def test_what_is_no_exception_is_raised_too(error: type[BaseException]) -> None:
    """`SystemExit` and the like end the test that they were raised for."""

    async def body(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    async with TestClient(accepting(body)) as client:
        with pytest.raises(error):
            async with client.connect("/") as ws:
                await ws.receive()


async def test_leaving_closes_with_1000_and_waits_for_the_application() -> None:
    """At the end of the `async with` the application has returned."""
    events: list[object] = []

    async def body(scope: Scope, receive: Receive, send: Send) -> None:
        events.append(await receive())
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        events.append("done")

    async with TestClient(accepting(body)) as client, client.connect("/"):
        pass

    assert events == [
        {"type": "websocket.disconnect", "code": 1000, "reason": ""},
        "done",
    ]


async def test_leaving_tells_where_the_application_hangs() -> None:
    """An application that outlives its connection is told, and cancelled."""
    ended = anyio.Event()

    async def helper() -> None:
        await sleep(60)

    async def body(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.send", "text": "not read"})
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(helper)
                await anyio.sleep_forever()
        finally:
            ended.set()

    async with TestClient(accepting(body)) as client:
        with pytest.raises(TimeoutError) as caught:
            async with client.connect("/"):
                client.deadline = 0.02
        assert ended.is_set()

    text = str(caught.value)
    assert "expected the application to return after the connection had ended" in text
    assert "in body\n    await anyio.sleep_forever()" in text
    assert "not received yet: 'not read'" in text
    assert "in helper\n    await sleep(60)" in text
    assert "until `await client.advance(seconds)`" in text


async def test_leaving_by_an_exception_drops_and_cancels() -> None:
    """A test that failed does not wait for the application; that one is cancelled."""
    seen = []

    async def body(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                seen.append(await receive())

    async with TestClient(accepting(body)) as client:
        with pytest.raises(LookupError):
            async with client.connect("/"):
                raise LookupError

    assert seen == [{"type": "websocket.disconnect", "code": 1006}]


async def test_an_application_that_cannot_be_cancelled_is_told() -> None:
    """Even a shielded application does not keep the test waiting."""
    release = anyio.Event()

    async def body(scope: Scope, receive: Receive, send: Send) -> None:
        with anyio.CancelScope(shield=True):
            await release.wait()

    async with TestClient(accepting(body)) as client:
        with pytest.raises(LookupError) as caught:
            async with client.connect("/"):
                client.deadline = 0.02
                raise LookupError
        client.deadline = 5
        assert "did not end although it was cancelled" in caught.value.__notes__[0]
        release.set()
        await client.settle()


async def test_an_application_that_outlives_the_client_is_told() -> None:
    """The client's exit is bounded, too."""
    release = anyio.Event()

    async def body(scope: Scope, receive: Receive, send: Send) -> None:
        with anyio.CancelScope(shield=True):
            await release.wait()

    with pytest.raises(TimeoutError, match="the application's tasks to end within"):
        async with TestClient(accepting(body)) as client:
            with pytest.raises(LookupError):
                async with client.connect("/"):
                    client.deadline = 0.02
                    raise LookupError
    release.set()
    await anyio.wait_all_tasks_blocked()


async def test_a_server_that_imitates_hypercorn() -> None:
    """Hypercorn tells 1006 for each close, and its `send` returns silently after it."""
    seen = []

    async def body(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.send", "text": "a"})
        seen.append(await receive())
        await send({"type": "websocket.send", "text": "b"})

    async with (
        TestClient(accepting(body)) as client,
        client.connect("/", server=ServerStyle.HYPERCORN) as ws,
    ):
        assert await ws.receive() == "a"
        await ws.close(4000)
        with pytest.raises(Closed, match="by the client with 4000"):
            await ws.receive()

    assert seen == [{"type": "websocket.disconnect", "code": 1006}]
