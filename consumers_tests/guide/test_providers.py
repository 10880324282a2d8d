"""Providers: what endpoints ask for by annotation."""

from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any
from uuid import UUID, uuid4

import pytest

from consumers import App, ConfigurationError, Provide, WebSocket, WebSocketConsumer
from consumers.testing import TestClient

from . import both_styles


class Mistake(Exception):
    """What an application raises by mistake."""


def counting(notes: list[str], name: str) -> Any:
    """Return a factory that notes its beginning and its end."""

    async def factory() -> AsyncIterator[str]:
        notes.append(f"{name} begins")
        yield name
        notes.append(f"{name} ends")

    return factory


async def test_s52_a_views_call_is_its_connection() -> None:
    """Without a scope, a view's provider lives as long as its connection."""
    notes: list[str] = []
    factory = counting(notes, "p")
    app = App()

    @app.websocket_route("/")
    async def view(ws: WebSocket, value: Annotated[str, Provide(factory)]) -> None:
        async for message in ws:
            await ws.send(f"{value} {message}")

    async with TestClient(app) as client:
        for _ in range(2):
            async with client.connect("/") as ws:
                await ws.send("1")
                await ws.send("2")
                assert [await ws.receive(), await ws.receive()] == ["p 1", "p 2"]
    assert notes == ["p begins", "p ends"] * 2


async def test_s52_a_class_has_them_by_call_or_by_connection() -> None:
    """Each call of a hook has its own, unless the scope is the connection."""
    notes: list[str] = []
    one = counting(notes, "call")
    two = counting(notes, "connection")
    app = App()

    @app.websocket_route("/")
    class Consumer(WebSocketConsumer):
        async def on_receive(
            self,
            message: str,
            value: Annotated[str, Provide(two, scope="connection")],
            other: Annotated[str, Provide(one)],
        ) -> None:
            notes.append(message)

    async with TestClient(app) as client, client.connect("/") as ws:
        await ws.send("1")
        await ws.send("2")
    assert notes == [
        "connection begins",
        "call begins",
        "1",
        "call ends",
        "call begins",
        "2",
        "call ends",
        "connection ends",
    ]


@both_styles
async def test_s52_the_application_has_one_for_all(path: str) -> None:
    """With scope "app" there is one value from start-up to shutdown."""
    notes: list[str] = []
    factory = counting(notes, "app")
    app = App()

    @app.websocket_route("/function")
    async def view(
        ws: WebSocket, value: Annotated[str, Provide(factory, scope="app")]
    ) -> None:
        notes.append(value)

    @app.websocket_route("/class")
    class Consumer(WebSocketConsumer):
        async def on_connect(
            self, value: Annotated[str, Provide(factory, scope="app")]
        ) -> None:
            notes.append(value)
            await self.close()

    async with TestClient(app) as client:
        for _ in range(2):
            async with client.connect(path) as ws:
                await ws.receive_close()
    assert notes == ["app begins", "app", "app", "app ends"]


@both_styles
async def test_s52_the_teardown_runs_after_an_error(path: str) -> None:
    """A generator is resumed with the exception, as `with` does it."""
    notes: list[str] = []

    def factory() -> Iterator[None]:
        try:
            yield
        except Mistake:
            notes.append("failed")
            raise
        finally:
            notes.append("torn down")

    app = App()

    @app.websocket_route("/function")
    async def view(ws: WebSocket, value: Annotated[None, Provide(factory)]) -> None:
        raise Mistake

    @app.websocket_route("/class")
    class Consumer(WebSocketConsumer):
        async def on_connect(self, value: Annotated[None, Provide(factory)]) -> None:
            raise Mistake

    async with TestClient(app) as client:
        with pytest.raises(Mistake):
            async with client.connect(path) as ws:
                assert (await ws.receive_close()).code == 1011
    assert notes == ["failed", "torn down"]


@both_styles
async def test_s52_providers_use_providers_and_the_connection(path: str) -> None:
    """A factory may ask for other providers, and for the connection itself."""

    async def user(ws: WebSocket) -> str:
        return ws.headers["x-user"]

    def greeting(name: Annotated[str, Provide(user)]) -> str:
        return f"Hello, {name}!"

    app = App()

    @app.websocket_route("/function")
    async def view(ws: WebSocket, text: Annotated[str, Provide(greeting)]) -> None:
        await ws.send(text)

    @app.websocket_route("/class")
    class Consumer(WebSocketConsumer):
        async def on_connect(self, text: Annotated[str, Provide(greeting)]) -> None:
            await self.send(text)

    async with (
        TestClient(app) as client,
        client.connect(path, headers={"x-user": "ada"}) as ws,
    ):
        assert await ws.receive() == "Hello, ada!"


@both_styles
async def test_s52_tests_replace_a_provider(path: str) -> None:
    """The test client calls something else in a factory's place."""

    def real() -> str:
        return "real"

    app = App()

    @app.websocket_route("/function")
    async def view(ws: WebSocket, value: Annotated[str, Provide(real)]) -> None:
        await ws.send(value)

    @app.websocket_route("/class")
    class Consumer(WebSocketConsumer):
        async def on_connect(self, value: Annotated[str, Provide(real)]) -> None:
            await self.send(value)

    async with (
        TestClient(app, overrides={real: lambda: "replaced"}) as client,
        client.connect(path) as ws,
    ):
        assert await ws.receive() == "replaced"


@both_styles
async def test_s53_a_provider_needs_no_discovery(path: str) -> None:
    """It is the function itself that is named, wherever it was imported from."""
    app = App()

    @app.websocket_route("/function")
    async def view(ws: WebSocket, value: Annotated[UUID, Provide(uuid4)]) -> None:
        await ws.send(str(value))

    @app.websocket_route("/class")
    class Consumer(WebSocketConsumer):
        async def on_connect(self, value: Annotated[UUID, Provide(uuid4)]) -> None:
            await self.send(str(value))

    async with TestClient(app) as client, client.connect(path) as ws:
        assert UUID(await ws.receive(str)).version == 4


def test_s53_a_name_alone_is_no_provider() -> None:
    """A parameter that is called like a function somewhere is the path's to fill."""

    async def view(ws: WebSocket, history: list[str]) -> None:
        """Asks for what its path does not have."""

    with pytest.raises(ConfigurationError, match="asks for 'history'"):
        App().websocket_route("/")(view)
