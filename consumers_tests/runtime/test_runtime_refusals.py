"""How a handshake is refused, and what the same calls do after accept."""

from typing import Any

import anyio
import pytest
from starlette.exceptions import HTTPException, WebSocketException

from consumers import App, WebSocketConsumer, WebSocketRoute
from consumers.errors import Rejected
from consumers.testing import Refused, TestClient
from consumers_tests.doubles import Journal, serving


async def _raise_rejected(consumer: WebSocketConsumer) -> None:
    await consumer.reject(418, "no tea", {"retry-after": "5"})


async def _raise_http(consumer: WebSocketConsumer) -> None:
    raise HTTPException(418, "no tea", {"retry-after": "5"})


async def _reject_in_a_nested_task(consumer: WebSocketConsumer) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(_raise_rejected, consumer)
        await anyio.sleep_forever()


async def _reject_from_start_soon(consumer: WebSocketConsumer) -> None:
    consumer.start_soon(_raise_rejected, consumer)
    await anyio.sleep_forever()


async def _raise_http_from_start_soon(consumer: WebSocketConsumer) -> None:
    consumer.start_soon(_raise_http, consumer)
    await anyio.sleep_forever()


all_refusals = pytest.mark.parametrize(
    "refuse",
    [
        _raise_rejected,
        _raise_http,
        _reject_in_a_nested_task,
        _reject_from_start_soon,
        _raise_http_from_start_soon,
    ],
)


@all_refusals
async def test_the_handshake_is_refused_with_an_http_status(refuse: Any) -> None:
    """In on_handshake the client gets status, body and headers, and the end runs."""
    journal = Journal()

    class Refusing(WebSocketConsumer):
        async def on_handshake(self) -> None:
            await refuse(self)
            journal.add("ran on")

        async def on_connect(self) -> None:
            journal.add("connected")

        async def on_disconnect(self, code: int) -> None:
            event = self.close_event
            assert event is not None
            journal.add((code, event.status, event.initiator))

    async with serving(Refusing) as client:
        with pytest.raises(Refused) as refused:
            async with client.connect("/"):
                pass

    assert (refused.value.status, refused.value.body) == (418, b"no tea")
    assert refused.value.headers["retry-after"] == "5"
    assert journal == [(1006, 418, "server")]


@all_refusals
async def test_a_server_without_denial_responses_refuses_with_403(refuse: Any) -> None:
    """Where the server knows no denial response every refusal is a plain 403."""

    class Refusing(WebSocketConsumer):
        async def on_handshake(self) -> None:
            await refuse(self)

    async with serving(Refusing) as client:
        with pytest.raises(Refused) as refused:
            async with client.connect("/", denial_response=False):
                pass

    assert refused.value.status == 403


@all_refusals
async def test_refusals_close_accepts_and_closes_with_4000_plus_status(
    refuse: Any,
) -> None:
    """With `refusals="close"` a script in a browser can read the status."""

    class Refusing(WebSocketConsumer):
        refusals = "close"

        async def on_handshake(self) -> None:
            await refuse(self)

    async with serving(Refusing) as client, client.connect("/") as ws:
        end = await ws.receive_close()

    assert (end.code, end.reason) == (4418, "no tea")


@all_refusals
async def test_after_accept_a_refusal_closes_with_1008(refuse: Any) -> None:
    """In on_connect the same calls close the connection, and nothing is an error."""
    journal = Journal()

    class Refusing(WebSocketConsumer):
        async def on_connect(self) -> None:
            await refuse(self)
            journal.add("ran on")

        async def on_disconnect(self, code: int) -> None:
            journal.add(code)

    async with serving(Refusing) as client, client.connect("/") as ws:
        end = await ws.receive_close()

    assert end.code == 1008
    assert journal == [1008]


async def test_a_websocket_exception_refuses_and_closes() -> None:
    """Starlette's WebSocketException is a 403 before accept, and its code after."""

    class Before(WebSocketConsumer):
        async def on_handshake(self) -> None:
            raise WebSocketException(4000, "no")

    class After(WebSocketConsumer):
        async def on_connect(self) -> None:
            raise WebSocketException(4000, "no")

    async with serving(Before) as client:
        with pytest.raises(Refused) as refused:
            async with client.connect("/"):
                pass
    async with serving(After) as client, client.connect("/") as ws:
        end = await ws.receive_close()

    assert (refused.value.status, refused.value.body) == (403, b"no")
    assert (end.code, end.reason) == (4000, "no")


async def test_a_message_s_hook_may_refuse_to_go_on() -> None:
    """An HTTPException out of on_receive closes with 1008, with and without order."""

    class Orderly(WebSocketConsumer):
        async def on_receive(self, message: str) -> None:
            raise HTTPException(400)

    class Concurrent(Orderly):
        concurrency = 2

    for consumer in (Orderly, Concurrent):
        async with serving(consumer) as client, client.connect("/") as ws:
            await ws.send("")

            assert (await ws.receive_close()).code == 1008


async def test_nothing_is_sent_after_a_swallowed_refusal() -> None:
    """Whoever swallows a refusal gets it again, and nothing goes out after it."""
    journal = Journal()

    class Swallowing(WebSocketConsumer):
        async def on_handshake(self) -> None:
            try:
                await self.reject(401)
            except BaseException:
                journal.add("swallowed")
            for call in (self.accept, self.close, self.receive, self.reject):
                try:
                    await call()
                except Rejected as again:
                    journal.add(again.status)
            await self.send("never")

        async def on_connect(self) -> None:
            journal.add("connected")

        async def on_disconnect(self, code: int) -> None:
            journal.add("on_disconnect")

    async with serving(Swallowing) as client:
        with pytest.raises(Refused) as refused:
            async with client.connect("/"):
                pass

    assert refused.value.status == 401
    assert journal == ["swallowed", 401, 401, 401, 401, "on_disconnect"]


async def test_a_refusal_that_is_swallowed_to_the_end_stays_one() -> None:
    """A hook that swallows the refusal and returns does not get the client accepted."""

    class Swallowing(WebSocketConsumer):
        async def on_handshake(self) -> None:
            try:
                await self.reject(401)
            except BaseException:
                return

    async with serving(Swallowing) as client:
        with pytest.raises(Refused, match="401"):
            async with client.connect("/"):
                pass


async def test_an_exception_in_the_handshake_is_a_500() -> None:
    """The client learns nothing of what was raised; the server gets it."""

    class Broken(WebSocketConsumer):
        async def on_handshake(self) -> None:
            raise ValueError("secret")

    async with serving(Broken, quiet=True) as client:
        with pytest.raises(Refused) as refused:
            async with client.connect("/"):
                pass

    assert (refused.value.status, refused.value.body) == (500, b"")


async def test_authenticate_may_refuse() -> None:
    """An HTTPException out of authenticate refuses, and no hook runs at all."""
    journal = Journal()

    async def authenticate(connection: Any) -> None:
        raise HTTPException(401)

    class Hooked(WebSocketConsumer):
        async def on_handshake(self) -> None:
            journal.add("on_handshake")

        async def on_disconnect(self, code: int) -> None:
            journal.add("on_disconnect")

    async with serving(Hooked, authenticate=authenticate) as client:
        with pytest.raises(Refused, match="401"):
            async with client.connect("/"):
                pass

    assert journal == []


async def test_bad_parameters_are_refused_with_400_before_any_hook() -> None:
    """Each bad parameter is named; neither authenticate nor a hook was called."""
    journal = Journal()

    async def authenticate(connection: Any) -> None:
        journal.add("authenticate")

    class Hooked(WebSocketConsumer):
        async def on_connect(self, a: int, b: int) -> None:
            journal.add("on_connect")

        async def on_disconnect(self, code: int) -> None:
            journal.add("on_disconnect")

    app = App([WebSocketRoute("/{a}/{b}", Hooked)], authenticate=authenticate)
    async with TestClient(app) as client:
        with pytest.raises(Refused) as refused:
            async with client.connect("/x/y"):
                pass

    assert refused.value.status == 400
    assert sorted(refused.value.json()["errors"]) == ["a", "b"]
    assert journal == []
