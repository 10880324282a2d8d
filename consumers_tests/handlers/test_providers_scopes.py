"""Providers that outlive a call, and what replaces them in tests."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import anyio
import pytest

from consumers import (
    App,
    Provide,
    StateError,
    WebSocket,
    WebSocketConsumer,
    WebSocketRoute,
)
from consumers.testing import TestClient
from consumers_tests.provided import Line, async_generator, generator, log


@pytest.fixture(autouse=True)
def _empty_log() -> None:
    log.clear()


# -- the connection's scope -----------------------------------------------------------


async def test_a_connection_has_its_value_till_the_end() -> None:
    """All hooks share it; it is made at the first need and ends after the last hook."""

    async def session(ws: WebSocket) -> AsyncIterator[list[str]]:
        log.append("up")
        yield [ws.url.path]
        log.append("down")

    shared = Provide(session, scope="connection")

    class Sharing(WebSocketConsumer):
        async def on_receive(
            self, message: str, it: Annotated[list[str], shared]
        ) -> None:
            it.append(message)

        async def on_disconnect(
            self, code: int, it: Annotated[list[str], shared]
        ) -> None:
            log.extend(it)

    async with TestClient(Sharing) as client:
        async with client.connect("/a") as ws:
            await ws.send("1")
            await ws.send("2")
        async with client.connect("/b"):
            pass

    assert log == ["up", "/a", "1", "2", "down", "up", "/b", "down"]


async def test_a_task_group_may_last_a_connection() -> None:
    """Entered and left in one task, whatever hooks asked for it, on trio too."""

    async def tasks() -> AsyncIterator[Any]:
        async with anyio.create_task_group() as group:
            yield group
            group.cancel_scope.cancel()
        log.append("down")

    shared = Provide(tasks, scope="connection")

    class Tasks(WebSocketConsumer):
        async def on_connect(self, group: Annotated[Any, shared]) -> None:
            group.start_soon(self.remind)

        async def on_receive(self, message: str, group: Annotated[Any, shared]) -> None:
            group.start_soon(self.send, message)

        async def remind(self) -> None:
            await self.send("remember")
            await anyio.sleep_forever()

    async with TestClient(Tasks) as client, client.connect("/") as ws:
        assert await ws.receive() == "remember"
        await ws.send("hello")
        assert await ws.receive() == "hello"
        await ws.drop()
        await client.settle()

    assert log == ["down"]


@pytest.mark.parametrize("how", ["raise", "leave", "close", "cancel"])
async def test_a_connection_s_teardown_runs_once_however_it_ends(how: str) -> None:
    """An exception, a client that left, our close and a shutdown: once, in reverse."""

    async def lower() -> AsyncIterator[None]:
        yield
        await anyio.lowlevel.checkpoint()
        log.append("lower")

    lowest = Provide(lower, scope="connection")

    async def upper(below: Annotated[None, lowest]) -> AsyncIterator[None]:
        yield
        await anyio.lowlevel.checkpoint()
        log.append("upper")

    class Ending(WebSocketConsumer):
        async def on_receive(
            self,
            message: str,
            it: Annotated[None, Provide(upper, scope="connection")],
        ) -> None:
            await self.send("here")
            if how == "raise":
                raise ValueError(how)
            if how == "close":
                await self.close()
            if how == "cancel":
                await anyio.sleep_forever()

        async def on_disconnect(self, code: int) -> None:
            log.append("disconnect")

    async with TestClient(Ending, raise_server_exceptions=False) as client:
        try:
            async with client.connect("/") as ws:
                await ws.send("go")
                assert await ws.receive() == "here"
                if how == "leave":
                    await ws.drop()
                elif how == "cancel":
                    raise InterruptedError
                else:
                    await ws.receive_close()
        except InterruptedError:
            pass

    assert log == ["disconnect", "upper", "lower"]


async def test_a_connection_s_provider_that_fails() -> None:
    """The exception is the hook's, and nothing of it is torn down twice."""

    async def failing(below: Annotated[str, Provide(generator, "connection")]) -> Any:
        yield await anyio.to_thread.run_sync(lambda: int("x"))

    class Failing(WebSocketConsumer):
        async def on_handshake(
            self, it: Annotated[int, Provide(failing, scope="connection")]
        ) -> None: ...

    async with TestClient(Failing) as client:
        with pytest.raises(ValueError, match="invalid literal"):
            async with client.connect("/"):
                raise AssertionError

    assert log == ["sync up", "sync saw ValueError", "sync down"]


async def test_a_teardown_that_never_ends_has_a_deadline() -> None:
    """A connection's provider has as long to tear down as `on_disconnect` has."""

    async def endless() -> AsyncIterator[None]:
        yield
        try:
            await anyio.sleep_forever()
        finally:
            log.append("cancelled")

    class Endless(WebSocketConsumer):
        async def on_connect(
            self, it: Annotated[None, Provide(endless, scope="connection")]
        ) -> None: ...

    async with TestClient(Endless) as client, client.connect("/") as ws:
        await ws.close()
        await client.settle()
        assert log == []
        await client.advance(10)

    assert log == ["cancelled"]


# -- the application's scope ----------------------------------------------------------


async def test_an_application_has_its_values_while_it_runs() -> None:
    """Made once at start-up, whatever asks for them, and torn down at shutdown."""

    class Pooled(WebSocketConsumer):
        async def on_connect(
            self, pool: Annotated[str, Provide(generator, scope="app")]
        ) -> None:
            await self.send(pool)

    app = App([WebSocketRoute("/a", Pooled), WebSocketRoute("/b", Pooled)])
    assert app.provided == {}
    async with TestClient(app) as client:
        assert log == ["sync up"]
        for path in ("/a", "/b"):
            async with client.connect(path) as ws:
                assert await ws.receive() == "sync"
        assert log == ["sync up"]

    assert log == ["sync up", "sync down"]
    assert app.provided == {}


async def test_without_a_lifespan_the_error_says_what_to_write() -> None:
    """An application that nobody has started can't have the application's values."""

    class Pooled(WebSocketConsumer):
        async def on_connect(
            self, pool: Annotated[str, Provide(generator, scope="app")]
        ) -> None: ...

    async with TestClient(Pooled) as client:
        with pytest.raises(StateError) as caught:
            async with client.connect("/"):
                raise AssertionError

    assert str(caught.value) == (
        "provider generator has scope 'app', and no application has started it; run "
        "the App itself, or pass lifespan=app.lifespan to the application that it is "
        "mounted in"
    )


# -- replacing ------------------------------------------------------------------------


async def test_a_test_replaces_a_factory() -> None:
    """By the client, for all connections or some; what others need is replaced too."""
    async with TestClient(Line, overrides={generator: lambda: "fake"}) as client:
        async with client.connect("/") as ws:
            await ws.send("a")
            assert await ws.receive() == "async on fake"
        with client.override(async_generator, lambda: "other"):
            async with client.connect("/") as ws:
                await ws.send("b")
                assert await ws.receive() == "other"

    assert log == ["async up", "a", "async down", "b"]


async def test_an_application_s_factory_is_replaced_at_start_up() -> None:
    """The client's overrides are there when the application starts."""

    class Pooled(WebSocketConsumer):
        async def on_connect(
            self, pool: Annotated[str, Provide(generator, scope="app")]
        ) -> None:
            await self.send(pool)

    app = App([WebSocketRoute("/", Pooled)])
    fake = {generator: lambda: "fake"}
    async with TestClient(app, overrides=fake) as client, client.connect("/") as ws:
        assert await ws.receive() == "fake"

    assert log == []


async def test_a_replacement_may_have_a_teardown_and_needs_of_its_own() -> None:
    """A generator may stand for a function, in the connection's scope too."""

    def plain() -> str:
        return "plain"

    async def replacement(
        below: Annotated[str, Provide(generator, scope="connection")],
    ) -> AsyncIterator[str]:
        yield f"replaced on {below}"
        log.append("replacement down")

    class Plain(WebSocketConsumer):
        async def on_connect(
            self, it: Annotated[str, Provide(plain, scope="connection")]
        ) -> None:
            await self.send(it)

        async def on_receive(self, message: str) -> None:
            log.append(message)

    fake = {plain: replacement}
    async with TestClient(Plain, overrides=fake) as client, client.connect("/") as ws:
        assert await ws.receive() == "replaced on sync"
        await ws.send("still there")

    assert log == ["sync up", "still there", "replacement down", "sync down"]


async def test_hooks_at_once_share_a_connection_s_value() -> None:
    """Two messages that need it first, at one time, get one value."""

    async def slow() -> AsyncIterator[object]:
        log.append("up")
        await anyio.lowlevel.checkpoint()
        yield object()
        log.append("down")

    seen: list[object] = []

    class Both(WebSocketConsumer):
        concurrency = 2

        async def on_receive(
            self,
            message: str,
            it: Annotated[object, Provide(slow, scope="connection")],
        ) -> None:
            seen.append(it)
            await self.send(message)

    async with TestClient(Both) as client, client.connect("/") as ws:
        for message in ("a", "b"):
            await ws.send(message)
        assert {await ws.receive(), await ws.receive()} == {"a", "b"}

    assert seen[0] is seen[1]
    assert log == ["up", "down"]


async def test_the_last_hook_may_be_the_first_to_ask() -> None:
    """Cancelled from outside, `on_disconnect` still gets a connection's value."""

    async def slow() -> AsyncIterator[str]:
        await anyio.lowlevel.checkpoint()
        yield "made late"
        await anyio.lowlevel.checkpoint()
        log.append("down")

    class Last(WebSocketConsumer):
        async def on_receive(self, message: str) -> None:
            await self.send("waiting")
            await anyio.sleep_forever()

        async def on_disconnect(
            self, code: int, it: Annotated[str, Provide(slow, scope="connection")]
        ) -> None:
            log.append(f"{code} {it}")

    async def cancelled(client: TestClient) -> None:
        async with client.connect("/") as ws:
            await ws.send("wait")
            await ws.receive()
            raise InterruptedError

    async with TestClient(Last) as client:
        with pytest.raises(InterruptedError):
            await cancelled(client)

    assert log == ["1012 made late", "down"]


async def test_a_generator_may_replace_a_connection_s_function() -> None:
    """Its teardown waits for the connection's end, though the original has none."""

    def plain() -> str:
        return "plain"

    class Plain(WebSocketConsumer):
        async def on_connect(
            self, it: Annotated[str, Provide(plain, scope="connection")]
        ) -> None:
            await self.send(it)

        async def on_receive(self, message: str) -> None:
            log.append(message)

    fake = {plain: generator}
    async with TestClient(Plain, overrides=fake) as client, client.connect("/") as ws:
        assert await ws.receive() == "sync"
        await ws.send("still there")

    assert log == ["sync up", "still there", "sync down"]
