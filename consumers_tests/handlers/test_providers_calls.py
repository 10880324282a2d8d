"""Providers of a call: in which hooks, and how they end."""

from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import anyio
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from consumers import (
    App,
    Provide,
    WebSocket,
    WebSocketConsumer,
)
from consumers.testing import Closed, Refused, TestClient
from consumers_tests.provided import DOWN, UP, Line, generator, log


@pytest.fixture(autouse=True)
def _empty_log() -> None:
    log.clear()


# -- teardown -------------------------------------------------------------------------


async def test_a_call_s_providers_live_as_long_as_the_call() -> None:
    """Each message has its own, torn down in reverse order before the next."""
    async with TestClient(Line) as client, client.connect("/") as ws:
        for message in ("a", "b"):
            await ws.send(message)
            assert await ws.receive() == "async on sync"

    assert log == [*UP, "a", *DOWN, *UP, "b", *DOWN]


async def test_teardown_after_an_exception() -> None:
    """A generator sees what the hook raised, once; the server gets it after that."""
    async with TestClient(Line) as client, client.connect("/") as ws:
        await ws.send("raise")
        with pytest.raises(ValueError, match="raise"):
            await ws.receive()

    assert log == [*UP, "raise", "async down", "sync saw ValueError", "sync down"]


async def test_teardown_after_a_refusal() -> None:
    """An `HTTPException` after accept tears down and closes with 1008."""
    async with TestClient(Line) as client, client.connect("/") as ws:
        await ws.send("refuse")
        assert (await ws.receive_close()).code == 1008

    assert log == [*UP, "refuse", "async down", "sync saw HTTPException", "sync down"]


async def test_teardown_after_the_client_left() -> None:
    """The hook is cancelled after `finish_timeout`, and what it had is torn down."""
    async with TestClient(Line) as client, client.connect("/") as ws:
        await ws.send("wait")
        assert await ws.receive() == "waiting"
        await ws.drop()
        with anyio.fail_after(5):
            while "async down" not in log:
                await client.advance(1)
                await anyio.sleep(0.01)

    assert log[:3] == [*UP, "wait"]
    assert log[3:] in (
        ["async down", "sync saw CancelledError", "sync down"],
        ["async down", "sync saw Cancelled", "sync down"],
    )


async def test_teardown_after_a_cancellation_from_outside() -> None:
    """A shutdown tears down, once."""

    async def stopped(client: TestClient) -> None:
        async with client.connect("/") as ws:
            await ws.send("wait")
            await ws.receive()
            raise InterruptedError

    async with TestClient(Line) as client:
        with pytest.raises(InterruptedError):
            await stopped(client)

    assert log.count("async down") == log.count("sync down") == 1


def swallowing() -> Iterator[None]:
    """Roll back, and forget to raise."""
    try:
        yield
    except Exception as error:
        log.append(type(error).__name__)


async def swallowing_too() -> AsyncIterator[None]:
    """Roll back, and forget to raise."""
    try:
        yield
    except Exception as error:
        log.append(type(error).__name__)


@pytest.mark.parametrize("factory", [swallowing, swallowing_too])
async def test_a_refusal_can_not_be_swallowed(factory: Any) -> None:
    """A generator that does not raise again what it saw lets nobody in."""

    class Door(WebSocketConsumer):
        async def on_handshake(self, it: Annotated[None, Provide(factory)]) -> None:
            raise HTTPException(401, "no")

    async with TestClient(Door) as client:
        with pytest.raises(Refused) as caught:
            async with client.connect("/"):
                raise AssertionError

    assert (caught.value.status, log) == (401, ["HTTPException"])


@pytest.mark.parametrize("scope", ["call", "connection"])
async def test_a_generator_s_own_timeout_is_its_own(scope: Any) -> None:
    """A cancel scope around `yield` stops the call alone, where it is of a call."""

    async def in_time() -> AsyncIterator[None]:
        with anyio.move_on_after(0 if scope == "call" else 60):
            yield
        log.append("down")

    class Slow(WebSocketConsumer):
        async def on_receive(
            self, message: str, it: Annotated[None, Provide(in_time, scope)]
        ) -> None:
            if scope == "call" and message == "wait":
                await anyio.sleep_forever()
            await anyio.lowlevel.checkpoint_if_cancelled()
            log.append(message)

    async with TestClient(Slow) as client, client.connect("/") as ws:
        await ws.send("wait")
        await client.settle()

    assert log == (["down"] if scope == "call" else ["wait", "down"])


async def test_what_fails_in_a_teardown_is_the_server_s_to_know() -> None:
    """An exception after `yield` closes with 1011 and is raised."""

    async def failing() -> AsyncIterator[None]:
        yield
        raise ValueError("in teardown")

    class Failing(WebSocketConsumer):
        async def on_receive(
            self, message: str, it: Annotated[None, Provide(failing)]
        ) -> None: ...

    async with TestClient(Failing) as client, client.connect("/") as ws:
        await ws.send("go")
        with pytest.raises(ValueError, match="in teardown"):
            await ws.receive()


# -- which hooks ----------------------------------------------------------------------


async def test_every_hook_may_ask() -> None:
    """Each hook's providers live as long as it runs."""

    class All(WebSocketConsumer):
        async def on_handshake(self, it: Annotated[str, Provide(generator)]) -> None:
            log.append("handshake")

        async def on_connect(self, it: Annotated[str, Provide(generator)]) -> None:
            log.append("connect")

        async def on_receive(
            self, message: str, it: Annotated[str, Provide(generator)]
        ) -> None:
            log.append("receive")

        async def on_disconnect(
            self, code: int, it: Annotated[str, Provide(generator)]
        ) -> None:
            log.append(f"disconnect {code}")

    async with TestClient(All) as client, client.connect("/") as ws:
        await ws.send("x")

    assert log[0::3] == ["sync up"] * 4
    assert log[1::3] == ["handshake", "connect", "receive", "disconnect 1000"]
    assert log[2::3] == ["sync down"] * 4


async def test_a_view_s_call_is_its_connection() -> None:
    """A function view has its providers until it returns."""
    app = App()

    @app.websocket_route("/{room}")
    async def view(
        ws: WebSocket, room: str, it: Annotated[str, Provide(generator)]
    ) -> None:
        async for message in ws:
            await ws.send(f"{it} in {room}")
            log.append(message)

    async with TestClient(app) as client, client.connect("/lobby") as ws:
        for message in ("a", "b"):
            await ws.send(message)
            assert await ws.receive() == "sync in lobby"

    assert (log[:3], log[-1]) == (["sync up", "a", "b"], "sync down")
    assert log.count("sync down") == 1


async def refusing(ws: HTTPConnection[Any]) -> str:
    """Let those in who have a key."""
    if "key" not in ws.query_params:
        raise HTTPException(401, "no key", {"www-authenticate": "Key"})
    return ws.query_params["key"]


async def test_a_provider_refuses_with_a_status() -> None:
    """A provider's `HTTPException` before accept is the answer to the handshake."""
    app = App()

    @app.websocket_route("/view")
    async def view(ws: WebSocket, key: Annotated[str, Provide(refusing)]) -> None:
        await ws.send(key)

    @app.websocket_route("/connect")
    class OnConnect(WebSocketConsumer):
        async def on_connect(self, key: Annotated[str, Provide(refusing)]) -> None:
            await self.send(key)

        async def on_disconnect(self, code: int) -> None:
            log.append("disconnect")

    @app.websocket_route("/handshake")
    class OnHandshake(WebSocketConsumer):
        async def on_handshake(self, key: Annotated[str, Provide(refusing)]) -> None:
            self.key = key

        async def on_connect(self) -> None:
            await self.send(self.key)

    async with TestClient(app) as client:
        for path in ("/view", "/connect", "/handshake"):
            with pytest.raises(Refused) as caught:
                async with client.connect(path):
                    raise AssertionError
            assert (caught.value.status, caught.value.body) == (401, b"no key")
            assert caught.value.headers["www-authenticate"] == "Key"
            assert log == []

            async with client.connect(path, query={"key": "k"}) as ws:
                assert await ws.receive() == "k"
            log.clear()


async def test_a_provider_gets_the_connection() -> None:
    """Whatever class of a connection it names, it gets the consumer."""
    seen: list[object] = []

    def whose(own: "Whose", any_one: WebSocket, http: HTTPConnection[Any]) -> None:
        seen.extend([own, any_one, http])

    class Whose(WebSocketConsumer):
        async def on_connect(self, it: "Annotated[None, Provide(whose)]") -> None:
            assert all(each is self for each in seen)

    async with TestClient(Whose) as client, client.connect("/"):
        pass

    assert len(seen) == 3


async def test_a_closed_connection_tells_its_close() -> None:
    """What a provider's hook sent before it raised is still received."""

    class Polite(WebSocketConsumer):
        async def on_connect(self, it: Annotated[str, Provide(generator)]) -> None:
            await self.send(it)
            raise HTTPException(403)

    async with TestClient(Polite) as client, client.connect("/") as ws:
        assert await ws.receive() == "sync"
        with pytest.raises(Closed) as caught:
            await ws.receive()

    assert caught.value.code == 1008


async def test_a_connection_that_a_factory_returns_is_not_awaited() -> None:
    """A consumer can be awaited, which serves it; a factory may still give it back."""

    def own(ws: WebSocket) -> WebSocket:
        return ws

    class Chat(WebSocketConsumer):
        async def on_connect(self, ws: Annotated[Any, Provide(own)]) -> None:
            await ws.send(str(ws is self))

    async with TestClient(Chat) as client, client.connect("/") as ws:
        assert await ws.receive() == "True"
