"""Defects measured in chanx, Litestar and uvicorn, and how it goes here."""

from typing import Any

import anyio
import msgspec
import pytest
from anyio.lowlevel import checkpoint

from consumers import WebSocketConsumer
from consumers.testing import Refused, TestClient
from consumers_tests.doubles import Journal, serving

# chanx


async def test_messages_are_answered_in_the_order_of_their_coming() -> None:
    """By default five messages that take less and less time are answered in order."""
    gates = [anyio.Event() for _ in range(5)]

    class Ordered(WebSocketConsumer):
        async def on_receive(self, message: int) -> None:
            await gates[message].wait()
            await self.send(message)

    async with serving(Ordered) as client, client.connect("/") as ws:
        for number in range(5):
            await ws.send_json(number)
        for gate in reversed(gates):
            gate.set()
            await client.settle()

        assert [await ws.receive_json() for _ in range(5)] == [0, 1, 2, 3, 4]


async def test_two_thousand_messages_do_not_run_two_thousand_handlers() -> None:
    """Not more handlers run at once than the concurrency that was declared."""
    running = most = 0

    class Bounded(WebSocketConsumer):
        concurrency = 8

        async def on_receive(self, message: str) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            for _ in range(12):
                await checkpoint()
            running -= 1

    async with serving(Bounded) as client, client.connect("/") as ws:
        client.deadline = 30.0  # there are a hundred thousand steps to take
        for _ in range(2000):
            ws._transport.client_sends({"type": "websocket.receive", "text": ""})
        await ws.close()

    assert (most, running) == (8, 0)


async def test_no_handler_outlives_its_connection() -> None:
    """When the application's call returns, every handler and task has ended."""
    journal = Journal()

    class Slow(WebSocketConsumer):
        concurrency = 4
        finish_timeout = 1.0

        async def on_connect(self) -> None:
            self.start_soon(self.on_receive, "task")

        async def on_receive(self, message: str) -> None:
            try:
                await anyio.sleep_forever()
            finally:
                journal.add(message)

    async with serving(Slow) as client:
        async with client.connect("/") as ws:
            await ws.send("handler")
            await client.settle()
            await ws.drop()
            await client.settle()
            await client.advance(1)

        assert journal == ["task", "handler"]


async def test_who_is_not_welcome_is_refused_before_accept() -> None:
    """Authentication comes before the accept: the refusal is an HTTP status."""

    async def authenticate(connection: Any) -> None:
        await connection.reject(401)

    class Private(WebSocketConsumer):
        async def on_receive(self, message: str) -> None: ...

    async with serving(Private, authenticate=authenticate) as client:
        with pytest.raises(Refused, match="401"):
            async with client.connect("/"):
                pass


# Litestar


async def test_each_kind_of_mistake_has_its_own_code() -> None:
    """Bad JSON, a wrong shape, an exception, a bad query, no such path: all differ."""

    class Message(msgspec.Struct):
        number: int

    class Strict(WebSocketConsumer):
        async def on_connect(self, page: int = 1) -> None: ...

        async def on_receive(self, message: Message) -> None:
            assert isinstance(message, Message)
            raise ValueError("a bug")

    async def close_code(client: TestClient, text: str) -> int:
        async with client.connect("/") as ws:
            await ws.send(text)
            return (await ws.receive_close()).code

    async def status(client: TestClient, path: str) -> int:
        with pytest.raises(Refused) as refused:
            async with client.connect(path):
                pass
        return refused.value.status

    async with serving(Strict, quiet=True) as client:
        assert await close_code(client, "{") == 1007
        assert await close_code(client, '{"number": "one"}') == 1008
        assert await close_code(client, '{"number": 1}') == 1011
        assert await status(client, "/?page=x") == 400
        assert await status(client, "/nowhere") == 403


# uvicorn


async def test_a_shutdown_by_the_server_is_told_as_one() -> None:
    """What uvicorn says at its shutdown, 1012, reaches on_disconnect as such."""
    journal = Journal()

    class Noting(WebSocketConsumer):
        async def on_receive(self, message: str) -> None: ...

        async def on_disconnect(self, code: int) -> None:
            assert self.close_event is not None
            journal.add((code, self.close_event.initiator))

    async with serving(Noting) as client, client.connect("/") as ws:
        await client.settle()
        await ws.send_event({"type": "websocket.disconnect", "code": 1012})
        await client.settle()

    assert journal == [(1012, "server")]
