"""The registry of what is open on one event loop."""

import pytest
from anyio import to_thread

from consumers import App, WebSocketConsumer, WebSocketRoute
from consumers.runtime.registry import Registry, current_registry
from consumers.testing import Refused, TestClient


class Echo(WebSocketConsumer):
    async def on_receive(self, message: str) -> None:
        await self.send(message)


class Refusing(WebSocketConsumer):
    async def on_handshake(self) -> None:
        await self.reject(403)


app = App([WebSocketRoute("/echo", Echo), WebSocketRoute("/refusing", Refusing)])


async def test_a_connection_is_registered_until_it_has_ended() -> None:
    """It is there with its first event, and gone when its client has left."""
    before = set(current_registry().lives)
    async with TestClient(app) as client:
        async with client.connect("/echo"):
            lives = current_registry().lives - before
            assert [type(life.consumer) for life in lives] == [Echo]
        await client.settle()
        assert current_registry().lives == before


async def test_a_refused_connection_is_gone() -> None:
    """Who is refused is not registered any more."""
    before = set(current_registry().lives)
    async with TestClient(app) as client:
        with pytest.raises(Refused):
            async with client.connect("/refusing"):
                pass
        await client.settle()
    assert current_registry().lives == before


async def test_each_thread_has_its_own() -> None:
    """Another thread, which runs another event loop, has another registry."""
    other = await to_thread.run_sync(current_registry)

    assert isinstance(other, Registry)
    assert other is not current_registry()
