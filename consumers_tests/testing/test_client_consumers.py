"""The client drives consumers: identities, providers, timers, faults."""

from collections.abc import Iterator
from typing import Annotated, ClassVar

import anyio
import pytest

from consumers import (
    App,
    Identity,
    Limits,
    Provide,
    WebSocketConsumer,
    WebSocketRoute,
    sleep,
)
from consumers.testing import Closed, Refused, ServerStyle, TestClient


class Echo(WebSocketConsumer):
    async def on_receive(self, message: str) -> None:
        await self.send(f"You said: {message}")


async def test_a_consumer_class_is_an_application() -> None:
    """`TestClient(Consumer)` needs no table of routes."""
    async with TestClient(Echo) as client, client.connect("/any/path") as ws:
        await ws.send("hello")
        assert await ws.receive() == "You said: hello"


async def test_a_refusal_shows_which_parameter_is_wrong() -> None:
    """A refused handshake shows the status and the body with all errors."""

    class Table(WebSocketConsumer):
        async def on_connect(self, number: int, seats: int = 1) -> None:
            raise AssertionError("not connected")

    app = App([WebSocketRoute("/table/{number}", Table)])
    async with TestClient(app) as client:
        with pytest.raises(Refused, match=r"400: b'.*number") as caught:
            async with client.connect("/table/x?seats=y"):
                pass
        assert set(caught.value.json()["errors"]) == {"number", "seats"}
        with pytest.raises(Refused, match="403"):
            async with client.connect("/nowhere"):
                pass


async def test_an_identity_goes_past_authenticate() -> None:
    """`identity=` says who connects; `authenticate` is asked for all others."""

    class Who(WebSocketConsumer):
        async def on_connect(self) -> None:
            await self.send(self.user.display_name)

    async def authenticate(connection: object) -> Identity | None:
        return Identity("from the header")

    app = App([WebSocketRoute("/", Who)], authenticate=authenticate)
    async with TestClient(app) as client:
        async with client.connect("/", identity=Identity("anna")) as ws:
            assert await ws.receive() == "anna"
        async with client.connect("/") as ws:
            assert await ws.receive() == "from the header"


async def test_providers_are_overridden() -> None:
    """What a provider's factory makes can be replaced, with its teardown."""
    closed = []

    def database() -> str:
        raise AssertionError("no test touches the real one")

    def fake() -> Iterator[str]:
        yield "fake"
        closed.append("fake")

    class Query(WebSocketConsumer):
        async def on_connect(self, db: Annotated[str, Provide(database)]) -> None:
            await self.send(db)

    async with (
        TestClient(Query, overrides={database: fake}) as client,
        client.connect("/") as ws,
    ):
        assert await ws.receive() == "fake"

    assert closed == ["fake"]


async def test_an_exception_of_a_hook_surfaces() -> None:
    """A hook's exception is raised where the test waits; the client sees 1011."""

    class Divides(WebSocketConsumer):
        async def on_receive(self, message: str) -> None:
            await self.send(str(1 / int(message)))

    async with TestClient(Divides) as client:
        async with client.connect("/") as ws:
            await ws.send("0")
            with pytest.raises(ZeroDivisionError) as caught:
                await ws.receive()
        assert caught.traceback[-1].name == "on_receive"

    async with (
        TestClient(Divides, raise_server_exceptions=False) as client,
        client.connect("/") as ws,
    ):
        await ws.send("0")
        with pytest.raises(Closed, match="1011"):
            await ws.receive()


async def test_timeouts_go_by_the_client_s_time() -> None:
    """A limit of an hour passes at once."""

    class Idle(Echo):
        limits: ClassVar[Limits | None] = Limits(idle_timeout=3600)

    async with TestClient(Idle) as client, client.connect("/") as ws:
        await client.advance(3599)
        await ws.send("still here")
        assert await ws.receive() == "You said: still here"
        await client.advance(3599)
        await ws.receive_nothing()
        await client.advance(1)
        assert (await ws.receive_close()).code == 1001


async def test_periodic_work_goes_by_the_client_s_time() -> None:
    """A loop around `consumers.sleep` runs as often as the time that passes says."""

    class Ticker(WebSocketConsumer):
        async def on_connect(self) -> None:
            self.start_soon(self.tick)

        async def tick(self) -> None:
            while True:
                await sleep(60)
                await self.send("tick")

    async with TestClient(Ticker) as client, client.connect("/") as ws:
        await client.advance(3600)
        assert [await ws.receive() for _ in range(60)] == ["tick"] * 60
        await ws.receive_nothing()


@pytest.mark.parametrize("server", ServerStyle)
@pytest.mark.parametrize("fault", ["drop", "close"])
async def test_a_busy_hook_is_cancelled_after_finish_timeout(
    fault: str, server: ServerStyle
) -> None:
    """The hook goes on when the client leaves, until `finish_timeout` has passed."""
    ended = anyio.Event()
    codes = []

    class Busy(WebSocketConsumer):
        finish_timeout = 5.0

        async def on_receive(self, message: str) -> None:
            try:
                await anyio.sleep_forever()
            finally:
                ended.set()

        async def on_disconnect(self, code: int) -> None:
            codes.append(code)

    async with TestClient(Busy) as client, client.connect("/", server=server) as ws:
        await ws.send("work")
        await client.settle()
        await getattr(ws, fault)()
        await client.advance(4.9)
        assert not ended.is_set()
        await client.advance(0.1)
        assert ended.is_set()

    clean = fault == "close" and server is ServerStyle.UVICORN
    assert codes == [1000 if clean else 1006]


@pytest.mark.parametrize("server", ServerStyle)
async def test_a_loop_of_sends_ends_when_the_client_leaves(server: ServerStyle) -> None:
    """Whatever the server's `send` does after that, the consumer's ends its hook."""

    class Pushing(WebSocketConsumer):
        async def on_connect(self) -> None:
            while True:
                await self.send("x")

    async with TestClient(Pushing) as client, client.connect("/", server=server) as ws:
        assert await ws.receive() == "x"
        await ws.stall()
        await client.settle()
        await ws.drop()


async def test_a_stalled_client_makes_send_wait() -> None:
    """A consumer's `send` waits for a client that does not read."""
    sent = []

    class Counting(WebSocketConsumer):
        async def on_receive(self, message: str) -> None:
            for number in range(10):
                await self.send(str(number))
                sent.append(number)

    async with TestClient(Counting) as client, client.connect("/") as ws:
        await ws.stall(buffer=3)
        await ws.send("go")
        await client.settle()
        assert sent == [0, 1, 2]
        await ws.resume()
        assert [await ws.receive() for _ in range(10)] == [str(n) for n in range(10)]
