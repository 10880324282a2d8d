"""`joining`: a snapshot, and then every change since it was taken."""

from contextlib import suppress
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from consumers import App, Limits, WebSocketConsumer, WebSocketRoute
from consumers.testing import ServerStyle, TestClient
from consumers_tests.doubles import both_servers, serving


@both_servers
async def test_joining_leaves_no_gap_and_no_double(server: ServerStyle) -> None:
    """The snapshot comes first, then every change that was made since, once."""
    state: list[str] = []

    class Watching(WebSocketConsumer):
        send_type = "json"

        async def on_connect(self) -> None:
            async with self.joining("room"):
                snapshot = list(state)
                for _ in range(5):
                    await checkpoint()
                await self.send(snapshot)

    app = App([WebSocketRoute("/", Watching)])

    async def change() -> None:
        for number in range(30):
            state.append(str(number))
            await app.groups.publish("room", str(number))
            await checkpoint()

    async with TestClient(app) as client, anyio.create_task_group() as group:
        group.start_soon(change)
        async with client.connect("/", server=server) as ws:
            seen: list[Any] = list(await ws.receive(list))
            while len(seen) < 30:
                seen.append(await ws.receive_json())

    assert seen == [*map(str, range(30))]


async def test_two_may_join_at_once_and_send_a_snapshot_each() -> None:
    """A change comes after both, though one of them is out before it."""
    go_on = anyio.Event()

    class Twice(WebSocketConsumer):
        async def on_connect(self) -> None:
            self.start_soon(self.show, "late", go_on)
            await checkpoint()
            await self.show("soon")

        async def show(self, snapshot: str, gate: anyio.Event | None = None) -> None:
            async with self.joining("room"):
                if gate is not None:
                    await gate.wait()
                await self.send(snapshot)

    app = App([WebSocketRoute("/", Twice)])
    async with TestClient(app) as client, client.connect("/") as ws:
        assert await ws.receive() == "soon"
        await app.groups.publish("room", "change")
        await ws.receive_nothing()
        go_on.set()
        assert await ws.receive() == "late"
        assert await ws.receive() == "change"
        await app.groups.publish("room", "another")
        assert await ws.receive() == "another"


async def test_what_joining_holds_is_bounded() -> None:
    """A snapshot that takes too long in a busy room costs its connection 1013."""
    go_on = anyio.Event()

    class Slow(WebSocketConsumer):
        limits = Limits(outbox_messages=3)

        async def on_connect(self) -> None:
            async with self.joining("room"):
                await go_on.wait()

    app = App([WebSocketRoute("/", Slow)])
    async with TestClient(app) as client, client.connect("/") as ws:
        await client.settle()
        for number in range(4):
            await app.groups.publish("room", str(number))
        go_on.set()

        assert (await ws.receive_close()).code == 1013
        assert await app.groups.count("room") == 0


async def test_a_snapshot_that_fails_leaves_again() -> None:
    """After an exception in the block it is no member, and nothing held goes out."""

    class Failing(WebSocketConsumer):
        async def on_connect(self) -> None:
            with suppress(LookupError):
                async with self.joining("room"):
                    await self.publish("room", "held")
                    raise LookupError
            await self.send(str(await self.groups.count("room")))

    async with serving(Failing) as client, client.connect("/") as ws:
        assert await ws.receive() == "0"
        await ws.receive_nothing()
