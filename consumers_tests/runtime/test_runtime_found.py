"""What broke in a prototype of the runtime, one test for each finding."""

from typing import Annotated, Any, ClassVar

import anyio
import pytest
from anyio.lowlevel import checkpoint
from msgspec import Meta
from starlette.applications import Starlette
from starlette.routing import Mount

from consumers import App, StateError, WebSocketConsumer, WebSocketRoute
from consumers.runtime.runtime import Runtime
from consumers.runtime.watchdog import Watchdog
from consumers.testing import Refused, ServerStyle, TestClient
from consumers_tests.doubles import PATIENCE, Journal, both_servers, serving

ENOUGH = 100
"""Turns of a millisecond or more: together no less than the 0.1 s that are promised.

They are counted and not timed, since on a busy machine they take what they take.
"""


class Pushing(WebSocketConsumer):
    """Has a loop in on_connect that sends nothing and never ends."""

    turns: ClassVar[int]

    async def on_connect(self) -> None:
        while True:
            type(self).turns += 1
            await anyio.sleep(0.001)


@both_servers
async def test_a_loop_in_on_connect_ends_soon_after_the_client_has_left(
    server: ServerStyle,
) -> None:
    """Reading ahead covers every hook: no turn is taken long after the departure."""

    class Loop(Pushing):
        turns = 0

    async with serving(Loop) as client, client.connect("/", server=server) as ws:
        await client.settle()
        before = Loop.turns
        await ws.drop()
        with anyio.fail_after(PATIENCE):
            await client._calls[0].ended.wait()

    assert Loop.turns - before < ENOUGH


async def test_without_the_watchdog_such_a_loop_would_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Control: where nobody reads ahead the departure is not noticed."""
    monkeypatch.setattr(Watchdog, "_read_ahead", lambda self: None)

    class Loop(Pushing):
        turns = 0

    async with serving(Loop) as client, client.connect("/") as ws:
        await client.settle()
        before = Loop.turns
        await ws.drop()
        with anyio.fail_after(PATIENCE):
            while Loop.turns - before < ENOUGH:  # noqa: ASYNC110  it takes turns
                await anyio.sleep(0.01)
        client._calls[0].cancel()


async def test_a_departure_before_accept_cancels_the_handshake() -> None:
    """Reading ahead covers on_handshake too, in which nothing was accepted."""
    journal, left = Journal(), anyio.Event()
    connect = iter([{"type": "websocket.connect"}])

    class Slow(WebSocketConsumer):
        async def on_handshake(self) -> None:
            journal.add("began")
            try:
                await anyio.sleep_forever()
            finally:
                journal.add("cancelled")

        async def on_disconnect(self, code: int) -> None:
            journal.add(code)

    async def receive() -> Any:
        for event in connect:
            return event
        await left.wait()
        return {"type": "websocket.disconnect", "code": 1006}

    async def send(event: Any) -> None:
        journal.add(event)

    async def serve() -> None:
        await Slow({"type": "websocket", "path": "/"}, receive, send)

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(serve)
            await journal.wait_for("began")
            left.set()

    assert journal == ["began", "cancelled", 1006]


@pytest.mark.parametrize("ending", ["the client leaves", "own close", "an error"])
async def test_nobody_joins_from_teardown_on(ending: str) -> None:
    """Neither on_disconnect nor a dying task can become a member; none is leaked."""
    journal = Journal()

    class Joining(WebSocketConsumer):
        async def on_connect(self) -> None:
            self.start_soon(self.work)

        async def work(self) -> None:
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    try:
                        await self.join("room")
                    except Exception as error:
                        journal.add(type(error).__name__)

        async def on_receive(self, message: str) -> None:
            if ending == "own close":
                await self.close()
            else:
                raise ValueError("a bug")

        async def on_disconnect(self, code: int) -> None:
            with pytest.raises(StateError):
                await self.join("room")
            journal.add("on_disconnect")

    app = App([WebSocketRoute("/", Joining)])
    async with TestClient(app, raise_server_exceptions=False) as client:
        async with client.connect("/") as ws:
            await client.settle()
            if ending == "the client leaves":
                await ws.drop()
            else:
                await ws.send("end")
                await ws.receive_close()
        assert await app.groups.count("room") == 0

    assert journal == ["ConnectionClosed", "on_disconnect"]


async def test_only_our_own_group_is_opened() -> None:
    """A hook's own ExceptionGroup of one stays a group; a task's ValueError is bare."""
    group = ExceptionGroup("mine", [ValueError("inside")])

    class Grouped(WebSocketConsumer):
        async def on_connect(self) -> None:
            raise group

    class Bare(WebSocketConsumer):
        async def on_connect(self) -> None:
            self.start_soon(self.fail)

        async def fail(self) -> None:
            raise ValueError("alone")

    async with serving(Grouped) as client:
        with pytest.raises(ExceptionGroup) as raised:
            async with client.connect("/"):
                pass
    assert raised.value is group
    async with serving(Bare) as client:
        with pytest.raises(ValueError, match="alone"):
            async with client.connect("/"):
                await client.settle()


@both_servers
async def test_a_bare_except_does_not_get_a_refused_client_accepted(
    server: ServerStyle,
) -> None:
    """After a refusal nothing more is sent, and a swallowed one is raised again."""
    journal = Journal()

    class Swallowing(WebSocketConsumer):
        auto_accept = False

        async def on_handshake(self) -> None:
            try:
                await self.reject(403)
            except BaseException:
                journal.add("swallowed")
            await self.accept()
            journal.add("never")

    async with serving(Swallowing) as client:
        with pytest.raises(Refused, match="403"):
            async with client.connect("/", server=server):
                pass

    assert journal == ["swallowed"]


@both_servers
async def test_the_hook_that_closed_is_not_cancelled_and_knows_its_code(
    server: ServerStyle,
) -> None:
    """After `await self.close()` the hook awaits on, and the code is ours."""
    journal = Journal()

    class Closing(WebSocketConsumer):
        async def on_receive(self, message: str) -> None:
            await self.close(4000)
            for _ in range(5):
                await checkpoint()
            assert self.close_event is not None
            journal.add(self.close_event.code)

        async def on_disconnect(self, code: int) -> None:
            journal.add(code)

    async with serving(Closing) as client, client.connect("/", server=server) as ws:
        await ws.send("")
        await ws.receive_close()

    assert journal == [4000, 4000]


async def test_an_exit_in_a_task_ends_no_loop_before_the_connection_has_ended() -> None:
    """SystemExit of a task comes out of the application's call, after on_disconnect."""
    journal = Journal()

    class Exiting(WebSocketConsumer):
        async def on_connect(self) -> None:
            self.start_soon(self.exit)

        async def exit(self) -> None:
            raise SystemExit(3)

        async def on_disconnect(self, code: int) -> None:
            for _ in range(3):
                await checkpoint()
            journal.add(code)

    connect = iter([{"type": "websocket.connect"}])

    async def receive() -> Any:
        for event in connect:
            return event
        return await anyio.sleep_forever()

    async def send(event: Any) -> None:
        journal.add(event["type"])

    code: object = None
    try:
        await Exiting({"type": "websocket", "path": "/"}, receive, send)
    except SystemExit as error:
        code = error.code
    await checkpoint()

    assert code == 3
    assert journal == ["websocket.accept", "websocket.close", 1011]


async def test_a_parameter_named_path_survives_a_mount() -> None:
    """Starlette's Mount has a parameter `path` of its own; a route's is not lost."""

    class Files(WebSocketConsumer):
        async def on_connect(self, path: str) -> None:
            await self.send(path)

    app = Starlette(
        routes=[Mount("/files", App([WebSocketRoute("/{path:path}", Files)]))]
    )
    async with TestClient(app) as client, client.connect("/files/a/b") as ws:
        assert await ws.receive() == "a/b"


async def test_convertors_come_first_and_msgspec_second() -> None:
    """What a convertor does not take is no match (403); what msgspec refuses is 400."""

    class Page(WebSocketConsumer):
        async def on_connect(self, number: Annotated[int, Meta(ge=1)]) -> None:
            await self.send(repr(number))

    app = App([WebSocketRoute("/{number:int}", Page)])
    async with TestClient(app) as client:
        for path, status in (("/x", 403), ("/0", 400)):
            with pytest.raises(Refused) as refused:
                async with client.connect(path):
                    pass
            assert refused.value.status == status
        async with client.connect("/1") as ws:
            assert await ws.receive() == "1"


async def test_no_wrapper_stands_between_a_consumer_and_the_server() -> None:
    """Of Starlette's middleware, and of ours, nothing wraps a socket's `send`."""
    scope = {"type": "websocket", "path": "/", "query_string": b"", "headers": []}
    seen: list[Any] = []

    class Plain(WebSocketConsumer):
        async def on_connect(self) -> None:
            seen.extend([self._asgi_send, self._inbox._receive])
            await self.close()

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(event: Any) -> None: ...

    await App([WebSocketRoute("/", Plain)])(scope, receive, send)

    assert seen == [send, receive]


async def test_what_a_connection_costs_has_slots() -> None:
    """Beside the consumer, whose `__dict__` is the user's, nothing has one."""
    scope = {"type": "websocket", "path": "/"}

    async def nothing(*_: Any) -> Any: ...

    consumer = WebSocketConsumer(scope, nothing, nothing)
    runtime = Runtime(consumer)
    consumer.anything = "goes"  # type: ignore[attr-defined]

    for part in (runtime, consumer._inbox):
        assert not hasattr(part, "__dict__")


@both_servers
async def test_sixteen_publications_in_flight(server: ServerStyle) -> None:
    """Sixteen publishers at once: each member gets all, each publisher's in order."""

    class Member(WebSocketConsumer):
        async def on_connect(self) -> None:
            await self.join("room")

    app = App([WebSocketRoute("/", Member)])

    async def publish(name: str) -> None:
        for number in range(20):
            await app.groups.publish("room", f"{name} {number}")
            await checkpoint()

    async with (
        TestClient(app) as client,
        client.connect("/", server=server) as one,
        client.connect("/", server=server) as two,
    ):
        await client.settle()
        async with anyio.create_task_group() as group:
            for number in range(16):
                group.start_soon(publish, f"p{number}")
        for ws in (one, two):
            got = [str(await ws.receive()) for _ in range(16 * 20)]
            for number in range(16):
                mine = [text for text in got if text.startswith(f"p{number} ")]
                assert mine == [f"p{number} {each}" for each in range(20)]
