"""A connection leaves nothing behind, not even work for the garbage collector."""

import gc
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import Context, copy_context
from typing import Annotated, Any

import anyio
import msgspec
import pytest
from anyio.lowlevel import checkpoint

from consumers import (
    App,
    ConnectionClosed,
    Provide,
    WebSocketConsumer,
    WebSocketRoute,
    receives,
)
from consumers_tests.doubles import PATIENCE

seen: list[WebSocketConsumer] = []


async def resource() -> AsyncIterator[str]:
    yield "resource"


class Echo(WebSocketConsumer):
    async def on_receive(self, message: str) -> None:
        await self.send(message)


class Hooks(WebSocketConsumer):
    async def on_connect(self, room: str) -> None:
        await self.join("room")
        self.start_soon(anyio.sleep_forever)

    async def on_receive(self, message: str) -> None:
        await self.close()

    async def on_disconnect(self, code: int) -> None:
        await self.publish("room", "left")


class Provided(WebSocketConsumer):
    async def on_connect(
        self, kept: Annotated[str, Provide(resource, scope="connection")]
    ) -> None: ...


class Seen(WebSocketConsumer):
    async def on_connect(self) -> None:
        seen.append(self)


class Say(msgspec.Struct, tag="say"):
    text: str


class Typed(WebSocketConsumer):
    @receives
    async def say(self, message: Say) -> Say:
        return message


async def view(ws: Any) -> None:
    async for message in ws:
        await ws.send(message)


app = App(
    [
        WebSocketRoute("/echo", Echo),
        WebSocketRoute("/hooks/{room}", Hooks),
        WebSocketRoute("/provided", Provided),
        WebSocketRoute("/seen", Seen),
        WebSocketRoute("/view", view),
        WebSocketRoute("/typed", Typed),
        WebSocketRoute("/framed", Typed, name="framed"),
    ]
)


SAY = '{"type": "say", "text": "hello"}'
LIFE = ("websocket.connect", "websocket.receive", "websocket.disconnect")


async def live(path: str, *kinds: str) -> None:
    """Serve a connection that says one thing and leaves, or does what is given."""
    events = [{"type": kind, "text": SAY} for kind in kinds or LIFE]

    async def receive() -> Any:
        await checkpoint()
        return events.pop(0)

    async def send(event: Any) -> None:
        await checkpoint()

    scope = {"type": "websocket", "path": path, "query_string": b"", "headers": []}
    if path == "/framed":
        scope["subprotocols"] = ["consumers.v1+json"]
    with anyio.fail_after(PATIENCE):
        await app(scope, receive, send)


@pytest.fixture
def garbage() -> Iterator[Callable[[], list[Any]]]:
    """Return what finds the framework's garbage that a test has made.

    Not what was there before it: an earlier test's event loop may let go of it late.
    """
    gc.collect()
    gc.disable()
    gc.freeze()  # from here on no collection looks at what is there

    def ours() -> list[Any]:
        gc.collect()
        return [
            each for each in gc.garbage if type(each).__module__.startswith("consumers")
        ]

    gc.set_debug(gc.DEBUG_SAVEALL)
    yield ours
    gc.set_debug(0)
    gc.garbage.clear()
    gc.unfreeze()
    gc.enable()


async def test_no_garbage(garbage: Callable[[], list[Any]]) -> None:
    """What served a connection is gone with it: none of it refers to itself."""
    await live("/echo", "websocket.connect", "websocket.disconnect")

    assert garbage() == []


# A task that is cancelled on trio leaves garbage of trio's own, and what it refers to.
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(
    "path", ["/echo", "/hooks/lobby", "/provided", "/view", "/typed", "/framed"]
)
async def test_no_garbage_after_messages_and_tasks(
    path: str, garbage: Callable[[], list[Any]]
) -> None:
    """Nor where messages came, tasks were started, and hooks and providers ended."""
    await live(path)

    assert garbage() == []


async def test_a_connection_that_has_ended_only_tells_so() -> None:
    """Who has kept it gets what says that it is gone, and `end` does nothing."""
    await live("/seen")
    ended = seen.pop()

    ended.end(1000)
    with pytest.raises(ConnectionClosed):
        await ended.send("too late")
    with pytest.raises(ConnectionClosed):
        await ended.close()
    with pytest.raises(ConnectionClosed):
        await ended.request("too late")
    assert ended.close_event is not None


async def test_the_server_s_context_is_as_it_was() -> None:
    """A connection sets nothing that its server's task would keep."""

    def values(context: Context) -> list[Any]:
        return [each for each in context.values() if each is not None]

    before = values(copy_context())
    await live("/echo")

    assert values(copy_context()) == before


@pytest.mark.parametrize(
    ("own", "idle"),
    [
        ({"on_disconnect": Hooks.on_disconnect}, True),
        ({"value_type": "json", "helper": len}, True),
        ({"on_connect": Seen.on_connect}, False),
        ({"__init__": WebSocketConsumer.__init__}, False),
        ({"accept": WebSocketConsumer.accept}, False),
        ({"__getattr__": getattr}, False),
        ({"auto_accept": False}, False),
    ],
)
def test_who_begins_idle(own: dict[str, Any], idle: bool) -> None:
    """A class whose own code may run before the first message is ready for it."""
    made: Any = type("Made", (Echo,), own)

    assert made.prepare().begins_idle is idle
