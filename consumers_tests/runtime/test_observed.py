"""What observers are told of connections and messages."""

from collections.abc import AsyncIterator
from typing import Annotated

import anyio
import pytest
from starlette.exceptions import HTTPException

from consumers import App, Limits, Provide, WebSocketConsumer, WebSocketRoute
from consumers.handshake.refusals import refused
from consumers.logs import ConnectionLog
from consumers.observing import Observer
from consumers.runtime.observed import ObservedRuntime, WatchedRuntime
from consumers.runtime.runtime import Runtime
from consumers.testing import Refused, TestClient
from consumers_tests.benchmarks.in_process import CASES
from consumers_tests.benchmarks.observed import app_of, instructions
from consumers_tests.observers import Chat, Echo, Watching


class Numbered(WebSocketConsumer):
    async def on_connect(self, number: int = 1) -> None: ...


class Closed(WebSocketConsumer):
    async def on_handshake(self) -> None:
        raise HTTPException(429)


class Seen(WebSocketConsumer):
    """Tells what drives it."""

    async def on_connect(self) -> None:
        await self.send(type(self._runtime).__name__)


async def test_a_connection_is_told_from_its_beginning_to_its_end() -> None:
    """With every message, in order, and with what went through it."""
    observer = Watching()
    app = App([WebSocketRoute("/", Echo)], observers=[observer])
    async with TestClient(app) as client, client.connect("/") as ws:
        await ws.send("hello")
        await ws.receive()

    assert observer.told == [
        ("attached", app.groups),
        ("opening",),
        ("opened", "Echo"),
        ("handling", "on_receive"),
        ("handled", "on_receive", None),
        ("closed", 1000, "client", 1, 1),
    ]


@pytest.mark.parametrize("subprotocol", [None, "consumers.v1+json"])
async def test_methods_are_told_by_their_names(subprotocol: str | None) -> None:
    """With what they raised, over `consumers.v1` as well."""
    observer = Watching()
    app = App([WebSocketRoute("/", Chat)], observers=[observer])
    offered = [subprotocol] if subprotocol else []

    def framed(message: dict[str, object]) -> dict[str, object]:
        return {"type": "message", "message": message} if subprotocol else message

    async with TestClient(app, raise_server_exceptions=False) as client:  # noqa: SIM117
        async with client.connect("/", subprotocols=offered) as ws:
            await ws.send_json(framed({"type": "say", "text": "hello"}))
            await ws.send_json(framed({"type": "say", "text": "rude"}))
            await ws.send_json(framed({"type": "fail"}))
            await client.settle()

    handled = [entry[1:] for entry in observer.told if entry[0] == "handled"]
    assert [(name, error and error.__name__) for name, error in handled] == [
        ("say", None),
        ("say", "MessageError"),
        ("fail", "RuntimeError"),
    ]
    assert observer.told[-2] == ("failed", RuntimeError)
    assert observer.told[-1][:3] == ("closed", 1011, "server")


async def test_a_refusal_is_told_with_its_status() -> None:
    """And parameters that do not fit, and a path that is none, are counted."""
    observer = Watching()
    routes = [WebSocketRoute("/n", Numbered), WebSocketRoute("/closed", Closed)]
    before = refused.copy()
    async with TestClient(App(routes, observers=[observer])) as client:
        for path in ("/n?number=x", "/closed", "/nowhere"):
            with pytest.raises(Refused):
                async with client.connect(path):
                    pass

    assert [entry for entry in observer.told if entry[0] == "refused"] == [
        ("refused", 400),
        ("refused", 429),
    ]
    assert (refused - before)["parameters"] == 1
    assert (refused - before)["not_found"] == 1


async def test_a_handshake_that_takes_too_long_is_counted() -> None:
    """By its reason, and told with 408."""

    class Slow(WebSocketConsumer):
        async def on_handshake(self) -> None:
            await anyio.sleep_forever()

    async def connect() -> None:
        with pytest.raises(Refused):
            async with client.connect("/"):
                pass

    observer, before = Watching(), refused["timeout"]
    app = App(
        [WebSocketRoute("/", Slow)],
        limits=Limits(handshake_timeout=7),
        observers=[observer],
    )
    async with TestClient(app) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(connect)
        await client.settle()
        await client.advance(7)

    assert observer.told[-1] == ("refused", 408)
    assert refused["timeout"] == before + 1


@pytest.mark.parametrize(
    ("observers", "expected"),
    [
        ([], Runtime),
        ([type("Ends", (Observer,), {"closed": lambda *_: None})()], ObservedRuntime),
        ([Watching()], WatchedRuntime),
    ],
)
async def test_who_does_not_ask_pays_nothing(
    observers: list[Observer], expected: type[Runtime]
) -> None:
    """Without observers the plain runtime runs; without one of messages, its loop."""
    app = App([WebSocketRoute("/", Seen)], observers=observers)
    async with TestClient(app) as client, client.connect("/") as ws:
        assert await ws.receive() == expected.__name__

    assert expected.run is Runtime.run
    watches = expected is WatchedRuntime
    assert (expected._handler is not Runtime._handler) == watches
    assert (expected.dispatching is not Runtime.dispatching) == watches


# On trio a talk takes some more instructions or less, of the event loop's.
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_message_costs_nothing_more_where_nobody_asks_for_it() -> None:
    """Instruction by instruction: with nobody, and with one who is told of ends.

    The control is an observer of messages.
    """
    nobody, ends, messages = [
        [
            await instructions(app_of(observers), CASES[case])
            for case in ("bare", "typed")
        ]
        for observers in ([], [ConnectionLog()], [Watching()])
    ]

    assert nobody == ends
    assert messages[0] > nobody[0]
    assert messages[1] > nobody[1]


async def test_a_connection_with_providers_is_told_too() -> None:
    """Once, though its end has an end."""

    async def pool() -> AsyncIterator[str]:
        yield "pool"

    class Asking(WebSocketConsumer):
        async def on_connect(
            self, pool: Annotated[str, Provide(pool, scope="connection")]
        ) -> None:
            await self.close()

    observer = Watching()
    app = App([WebSocketRoute("/", Asking)], observers=[observer])
    async with TestClient(app) as client, client.connect("/") as ws:
        await ws.receive_close()

    assert observer.names().count("closed") == 1
