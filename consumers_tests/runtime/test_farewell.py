"""How a connection ends: on_disconnect once, what it learns, what it may do."""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from consumers import (
    App,
    CloseEvent,
    Identity,
    Limits,
    StateError,
    WebSocketConsumer,
    WebSocketRoute,
)
from consumers.testing import ClientConnection, ServerStyle, TestClient
from consumers_tests.doubles import Journal, both_servers, serving
from consumers_tests.excesses import Excesses


async def _raise(*_: Any) -> None:
    raise ValueError("a bug")


class Ending(WebSocketConsumer):
    """Ends as the client says."""

    limits = Limits(idle_timeout=60)

    async def on_receive(self, message: str) -> None:
        match message:
            case "close":
                await self.close(4000, "enough")
            case "raise":
                raise ValueError("a bug")
            case "task":
                self.start_soon(_raise)
            case "reject":
                await self.reject()


End = Callable[[TestClient, ClientConnection, Any], Awaitable[None]]


async def _client_closes(client: TestClient, ws: ClientConnection, app: App) -> None:
    await ws.close(4123, "bye")


async def _network_fails(client: TestClient, ws: ClientConnection, app: App) -> None:
    await ws.drop()


async def _own_close(client: TestClient, ws: ClientConnection, app: App) -> None:
    await ws.send("close")


async def _hook_raises(client: TestClient, ws: ClientConnection, app: App) -> None:
    await ws.send("raise")


async def _task_raises(client: TestClient, ws: ClientConnection, app: App) -> None:
    await ws.send("task")


async def _rejected(client: TestClient, ws: ClientConnection, app: App) -> None:
    await ws.send("reject")


async def _malformed(client: TestClient, ws: ClientConnection, app: App) -> None:
    await ws.send(b"")


async def _idle(client: TestClient, ws: ClientConnection, app: App) -> None:
    await client.advance(60)


async def _kicked(client: TestClient, ws: ClientConnection, app: App) -> None:
    assert await app.groups.disconnect(user="42", code=4001, reason="out") == 1


async def _shutdown(client: TestClient, ws: ClientConnection, app: App) -> None:
    for call in client._calls:
        call.cancel()


@both_servers
@pytest.mark.parametrize(
    ("end", "code", "reason", "initiator"),
    [
        (_client_closes, 4123, "bye", "client"),
        (_network_fails, 1006, "", "network"),
        (_own_close, 4000, "enough", "server"),
        (_hook_raises, 1011, "", "server"),
        (_task_raises, 1011, "", "server"),
        (_rejected, 1008, "", "server"),
        (_malformed, 1003, None, "server"),
        (_idle, 1001, "idle for too long", "server"),
        (_kicked, 4001, "out", "server"),
        (_shutdown, 1012, "", "server"),
    ],
)
async def test_on_disconnect_runs_once_and_knows_how_it_ended(
    end: End, code: int, reason: str | None, initiator: str, server: ServerStyle
) -> None:
    """However it ended, on_disconnect ran once, and close_event tells how."""
    journal: list[tuple[int, CloseEvent | None]] = []

    class Noting(Ending):
        async def on_disconnect(self, code: int) -> None:
            await checkpoint()
            journal.append((code, self.close_event))

    app = App([WebSocketRoute("/", Noting)])
    async with (
        TestClient(app, raise_server_exceptions=False) as client,
        client.connect("/", identity=Identity("42"), server=server) as ws,
    ):
        await client.settle()
        await end(client, ws, app)
        closed = await ws.receive_close()

    if server is ServerStyle.HYPERCORN and end is _client_closes:
        code, reason, initiator = 1006, "", "network"  # all that it tells
    [(told, event)] = journal
    assert event is not None
    assert (told, event.code, event.initiator) == (code, code, initiator)
    assert reason is None or event.reason == reason
    if initiator == "server":
        assert (closed.code, closed.reason) == (code, event.reason)
        assert event.was_clean is None
    else:
        assert event.was_clean is (code != 1006)


@both_servers
async def test_on_disconnect_runs_if_on_connect_raised(server: ServerStyle) -> None:
    """An exception in on_connect closes with 1011, and the end still runs."""
    journal = Journal()

    class Broken(WebSocketConsumer):
        async def on_connect(self) -> None:
            raise ValueError("a bug")

        async def on_disconnect(self, code: int) -> None:
            journal.add(code)

    async with (
        serving(Broken, quiet=True) as client,
        client.connect("/", server=server) as ws,
    ):
        assert (await ws.receive_close()).code == 1011

    assert journal == [1011]


async def test_on_disconnect_runs_if_only_the_accept_was_entered() -> None:
    """A class with neither on_handshake nor on_connect gets its end too."""
    journal = Journal()

    class Plain(WebSocketConsumer):
        async def on_receive(self, message: str) -> None: ...

        async def on_disconnect(self, code: int) -> None:
            journal.add(code)

    async with serving(Plain) as client, client.connect("/") as ws:
        await ws.close()

    assert journal == [1000]


async def test_on_disconnect_comes_after_groups_and_tasks_have_ended() -> None:
    """Membership and tasks have ended by then, a task's clean-up included."""
    journal = Journal()

    class Member(WebSocketConsumer):
        async def on_connect(self) -> None:
            await self.join("room")
            self.start_soon(self.work)

        async def work(self) -> None:
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await checkpoint()
                journal.add("work has ended")

        async def on_disconnect(self, code: int) -> None:
            journal.add(await self.groups.count("room"))

    async with serving(Member) as client, client.connect("/"):
        await client.settle()

    assert journal == ["work has ended", 0]


async def test_in_on_disconnect_publishing_works_and_the_rest_raises() -> None:
    """It may publish; sending, closing, joining and start_soon are refused."""
    journal = Journal()

    class Member(WebSocketConsumer):
        async def on_connect(self) -> None:
            await self.join("room")

        async def on_disconnect(self, code: int) -> None:
            await self.publish("room", "bye")
            calls: list[Callable[[], Any]] = [
                lambda: self.send("x"),
                self.close,
                lambda: self.join("room"),
                self.receive,
                self.accept,
                self.reject,
            ]
            for call in calls:
                with pytest.raises(StateError):
                    await call()
            with pytest.raises(StateError):
                self.start_soon(self.work)
            await self.ensure_closed()
            journal.add(await self.groups.count("room"))

        async def work(self) -> None:
            journal.add("never")

    async with serving(Member) as client, client.connect("/") as other:
        async with client.connect("/"):
            await client.settle()

        assert await other.receive() == "bye"
        await other.close()

    assert journal == [1, 0]


async def test_on_disconnect_is_cancelled_after_disconnect_timeout(
    excesses: Excesses,
) -> None:
    """It has `disconnect_timeout` seconds; then it is cancelled, which is logged."""
    journal = Journal()

    class Slow(WebSocketConsumer):
        limits = Limits(disconnect_timeout=3)

        async def on_disconnect(self, code: int) -> None:
            try:
                journal.add("began")
                await anyio.sleep_forever()
            finally:
                journal.add("cancelled")

    async with serving(Slow) as client, client.connect("/") as ws:
        await ws.close()
        await client.advance(2.9)
        assert journal == ["began"]
        assert excesses.counted == {}
        await client.advance(0.1)

    assert journal == ["began", "cancelled"]
    assert excesses.counted == {"disconnect_timeout": 1}
    assert excesses.line.endswith("of Slow has its on_disconnect cancelled, after 3 s")


@pytest.mark.parametrize("server", ServerStyle, ids=lambda s: s.value)
async def test_on_disconnect_does_not_wait_for_a_goodbye_that_nobody_reads(
    server: ServerStyle,
) -> None:
    """A close frame that a stalled client does not take holds it up for a time."""
    journal = Journal()

    class Closing(WebSocketConsumer):
        limits = Limits(close_timeout=2)

        async def on_receive(self, message: str) -> None:
            raise ValueError("a bug")

        async def on_disconnect(self, code: int) -> None:
            journal.add(code)

    async with (
        serving(Closing, quiet=True) as client,
        client.connect("/", server=server) as ws,
    ):
        await ws.stall(0)
        await ws.send("")
        await client.advance(1.9)
        assert journal == []
        await client.advance(0.1)
        assert journal == [1011]


async def test_an_exception_in_on_disconnect_goes_to_the_server() -> None:
    """It is raised when all has ended, like that of any hook."""

    class Broken(WebSocketConsumer):
        async def on_disconnect(self, code: int) -> None:
            raise ValueError("in on_disconnect")

    async with serving(Broken) as client:
        with pytest.raises(ValueError, match="in on_disconnect"):
            async with client.connect("/"):
                pass


async def test_on_disconnect_finishes_under_a_cancelled_scope() -> None:
    """A scope that is cancelled around the server's call does not reach it."""
    journal = Journal()

    class Saving(WebSocketConsumer):
        async def on_disconnect(self, code: int) -> None:
            for _ in range(3):
                await checkpoint()
            journal.add(code)

    async with serving(Saving) as client, client.connect("/"):
        await client.settle()
        for call in client._calls:
            call.cancel()
        await client.settle()

    assert journal == [1012]


async def test_before_any_hook_a_departure_is_the_end_of_it() -> None:
    """A client that leaves before the first hook gets no on_disconnect."""
    journal = Journal()
    events = [{"type": "websocket.disconnect", "code": 1006}]

    class Hooked(WebSocketConsumer):
        async def on_connect(self) -> None:
            journal.add("on_connect")

        async def on_disconnect(self, code: int) -> None:
            journal.add("on_disconnect")

    async def receive() -> Any:
        return events.pop()

    async def send(event: Any) -> None:
        journal.add(event)

    await Hooked({"type": "websocket", "path": "/"}, receive, send)

    assert journal == []
