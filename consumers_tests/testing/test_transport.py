"""The rules of ASGI, and what servers do at the end of a connection."""

from typing import Any

import anyio
import pytest
from starlette.types import Receive, Scope, Send

from consumers.close import CloseEvent
from consumers.testing import ServerStyle, TestClient
from consumers.testing.transport import Transport

from .apps import accepting, waiting

ACCEPT = {"type": "websocket.accept"}
TEXT = {"type": "websocket.send", "text": "x"}
CLOSE = {"type": "websocket.close"}
START = {"type": "websocket.http.response.start", "status": 404}
BODY = {"type": "websocket.http.response.body"}


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([TEXT], "expected 'websocket.accept' or 'websocket.close' or 'websocket.http"),
        ([ACCEPT, ACCEPT], "'open', got 'websocket.accept'"),
        ([ACCEPT, START], "expected 'websocket.send' or 'websocket.close' while"),
        ([ACCEPT, CLOSE, TEXT], "expected no further event .*, got 'websocket.send'"),
        ([CLOSE, CLOSE], "'closed', got 'websocket.close'"),
        ([BODY], "'handshake', got 'websocket.http.response.body'"),
        ([START, ACCEPT], "expected 'websocket.http.response.body' while"),
        ([START, BODY, BODY], "'closed', got 'websocket.http.response.body'"),
        ([ACCEPT, {"type": "websocket.send"}], "expected text or bytes to send"),
        ([{"type": "http.response.start"}], "got 'http.response.start'"),
    ],
)
async def test_an_application_must_keep_to_the_rules(
    events: list[dict[str, Any]], message: str
) -> None:
    """The last of these events is illegal (ASGI WebSocket): the application is told."""
    transport = Transport(ServerStyle.UVICORN, denial_response=True)
    for event in events[:-1]:
        await transport.send(event)

    with pytest.raises(RuntimeError, match=message):
        await transport.send(events[-1])


@pytest.mark.parametrize(
    ("server", "told"),
    [
        (
            ServerStyle.UVICORN,
            {"type": "websocket.disconnect", "code": 4000, "reason": "over"},
        ),
        (ServerStyle.HYPERCORN, {"type": "websocket.disconnect", "code": 1000}),
    ],
)
async def test_what_an_application_learns_after_its_own_close(
    server: ServerStyle, told: dict[str, Any]
) -> None:
    """Uvicorn repeats the application's code and reason, Hypercorn says 1000."""
    transport = Transport(server, denial_response=True)
    await transport.receive()
    await transport.send(ACCEPT)
    await transport.send({**CLOSE, "code": 4000, "reason": "over"})

    assert await transport.receive() == told
    assert transport.end == CloseEvent(4000, "over", True, "server")
    with anyio.move_on_after(0.01) as limit:
        await transport.receive()
    assert limit.cancelled_caught  # a server has nothing more to tell


@pytest.mark.parametrize(
    ("server", "code"), [(ServerStyle.UVICORN, 1006), (ServerStyle.HYPERCORN, 1000)]
)
async def test_what_an_application_learns_after_a_refusal(
    server: ServerStyle, code: int
) -> None:
    """After a refusal comes a disconnect, with a code that differs by server."""
    transport = Transport(server, denial_response=True)
    await transport.receive()
    await transport.send(CLOSE)

    assert await transport.receive() == {"type": "websocket.disconnect", "code": code}
    assert transport.end == CloseEvent(1006, "", False, "server", 403)


@pytest.mark.parametrize(
    ("server", "end"),
    [
        (ServerStyle.UVICORN, CloseEvent(1006, "", False, "network")),
        (ServerStyle.HYPERCORN, CloseEvent(1011, "", True, "server")),
    ],
)
async def test_what_a_client_sees_when_the_application_just_ends(
    server: ServerStyle, end: CloseEvent
) -> None:
    """Without a close of the application's, uvicorn drops and Hypercorn closes."""

    async def body(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

    async with (
        TestClient(accepting(body)) as client,
        client.connect("/", server=server) as ws,
    ):
        await ws.send("go")
        assert await ws.receive_close() == end


async def test_hypercorn_s_send_yields_while_the_client_is_there_and_not_after() -> (
    None
):
    """A loop of sends to a client that has left never lets another task run."""
    ran = []
    transport = Transport(ServerStyle.HYPERCORN, denial_response=True)
    await transport.send(ACCEPT)
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.lowlevel.checkpoint)
        transport.client_drops()

        async def bystander() -> None:
            ran.append(True)

        group.start_soon(bystander)
        for _ in range(1000):
            await transport.send(TEXT)
        assert ran == []


async def test_hypercorn_s_blocked_send_can_not_be_cancelled() -> None:
    """It waits on until the client reads or leaves."""
    transport = Transport(ServerStyle.HYPERCORN, denial_response=True)
    await transport.send(ACCEPT)
    transport.stall(0)
    returned = anyio.Event()

    async def send() -> None:
        await transport.send(TEXT)
        returned.set()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(send)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await anyio.wait_all_tasks_blocked()
                assert not returned.is_set()
                transport.client_drops()
                await returned.wait()


async def test_uvicorn_s_blocked_send_can_be_cancelled() -> None:
    """It ends with the scope around it."""
    transport = Transport(ServerStyle.UVICORN, denial_response=True)
    await transport.send(ACCEPT)
    transport.stall(0)
    with anyio.move_on_after(0.01) as limit:
        await transport.send(TEXT)
    assert limit.cancelled_caught


async def test_an_endless_sender_can_not_stop_the_test() -> None:
    """Even `while True: await send()` lets the test go on, as full buffers would."""

    async def body(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            while True:
                await send(TEXT)
        except OSError:
            await waiting(scope, receive, send)

    async with TestClient(accepting(body)) as client, client.connect("/") as ws:
        assert await ws.receive() == "x"


async def test_a_client_that_leaves_during_the_handshake() -> None:
    """The application's answer comes too late: uvicorn raises, nothing is accepted."""
    transport = Transport(ServerStyle.UVICORN, denial_response=True)
    transport.client_drops()

    with pytest.raises(OSError, match="the client has left"):
        await transport.send(ACCEPT)
    transport.app_ended()
    assert transport.accepted is None
    assert transport.end == CloseEvent(1006, "", False, "network")
