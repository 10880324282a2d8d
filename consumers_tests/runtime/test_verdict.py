"""What hooks and tasks raise: who is told what, and in which form."""

import logging
from typing import Any

import anyio
import msgspec
import pytest
from anyio.lowlevel import checkpoint
from starlette.exceptions import HTTPException

from consumers import App, InvalidMessage, WebSocketConsumer
from consumers.errors import was_logged
from consumers.testing import TestClient
from consumers_tests.doubles import PATIENCE, Journal, serving


async def serve(consumer: type[WebSocketConsumer], *messages: str) -> list[Any]:
    """Serve one connection as a server does; return the events that it sent.

    Raises:
        BaseException: What a server gets from the application, as it is.
    """
    events = [{"type": "websocket.receive", "text": message} for message in messages]
    events.insert(0, {"type": "websocket.connect"})
    sent: list[Any] = []

    async def receive() -> Any:
        await checkpoint()
        if not events:
            await anyio.sleep_forever()
        return events.pop(0)

    async def send(event: Any) -> None:
        sent.append(event)

    with anyio.fail_after(PATIENCE):
        scope = {"type": "websocket", "path": "/", "headers": []}
        await consumer(scope, receive, send)
    return sent


class Journaled(WebSocketConsumer):
    """Notes its end."""

    journal: Journal

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        cls.journal = Journal()

    async def on_disconnect(self, code: int) -> None:
        self.journal.add(code)


async def test_the_server_gets_the_user_s_own_exception(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is the object that was raised, in no group; it is logged once, with the id."""
    bug = ValueError("a bug")
    ids = []

    class Broken(Journaled):
        async def on_receive(self, message: str) -> None:
            ids.append(self.id)
            raise bug

    with caplog.at_level(logging.ERROR), pytest.raises(ValueError, match="bug") as info:
        await serve(Broken, "")

    assert info.value is bug
    assert Broken.journal == [1011]
    assert was_logged(bug)
    [record] = caplog.records
    assert record.name == "consumers"
    assert ids[0] in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[1] is bug


async def test_the_client_learns_1011_without_text() -> None:
    """Nothing of an exception goes to the client but the code."""

    class Broken(WebSocketConsumer):
        async def on_receive(self, message: str) -> None:
            raise ValueError("secret")

    async with serving(Broken, quiet=True) as client, client.connect("/") as ws:
        await ws.send("")
        closed = await ws.receive_close()

    assert (closed.code, closed.reason) == (1011, "")


async def test_a_group_that_the_user_raised_stays_one() -> None:
    """An exception group of a hook's own arrives as that group, one inside or more."""
    group = ExceptionGroup("mine", [ValueError("one")])

    class Broken(Journaled):
        async def on_receive(self, message: str) -> None:
            raise group

    with pytest.raises(ExceptionGroup) as info:
        await serve(Broken, "")

    assert info.value is group


async def test_several_failures_come_as_one_group() -> None:
    """A hook, a task and on_disconnect that fail are all told."""

    class Broken(WebSocketConsumer):
        async def on_connect(self) -> None:
            self.start_soon(self.work)
            await checkpoint()
            await checkpoint()
            raise ValueError("in the hook")

        async def work(self) -> None:
            try:
                await anyio.sleep_forever()
            finally:
                raise TypeError("in the task")

        async def on_disconnect(self, code: int) -> None:
            raise LookupError("in on_disconnect")

    with pytest.raises(ExceptionGroup) as info:
        await serve(Broken)

    assert [type(each) for each in info.value.exceptions] == [
        ValueError,
        TypeError,
        LookupError,
    ]


async def test_what_is_known_is_taken_out_of_a_group() -> None:
    """Of a group that holds a refusal and a bug the server gets the bug, in a group."""

    class Broken(WebSocketConsumer):
        async def on_receive(self, message: str) -> None:
            raise ExceptionGroup("both", [HTTPException(400), ValueError("a bug")])

    with pytest.raises(ExceptionGroup) as info:
        await serve(Broken, "")

    assert [type(each) for each in info.value.exceptions] == [ValueError]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("where", ["hook", "task", "on_disconnect"])
async def test_an_exit_passes_through_after_the_end(
    kind: type[BaseException], where: str
) -> None:
    """KeyboardInterrupt and SystemExit end the connection with 1011, and go on."""
    journal = Journal()

    class Exiting(WebSocketConsumer):
        async def on_connect(self) -> None:
            if where == "hook":
                raise kind
            if where == "task":
                self.start_soon(self.exit)
            if where == "on_disconnect":
                await self.close()

        async def exit(self) -> None:
            raise kind

        async def on_disconnect(self, code: int) -> None:
            await checkpoint()
            journal.add(code)
            if where == "on_disconnect":
                raise kind

    raised: BaseException | None = None
    try:
        await serve(Exiting)
    except BaseException as error:
        raised = error

    assert type(raised) is kind
    assert journal == [1000 if where == "on_disconnect" else 1011]


@pytest.mark.parametrize(
    ("annotation", "message", "code"),
    [
        (str, b"bytes", 1003),
        (bytes, "text", 1003),
        (dict, "{", 1007),
        (int, '"text"', 1008),
        (dict, b"{}", 1003),
    ],
)
async def test_a_malformed_message_is_the_client_s_fault(
    annotation: Any, message: str | bytes, code: int
) -> None:
    """It closes with the code that says what was wrong, and is raised to nobody."""

    async def on_receive(self: WebSocketConsumer, message: Any) -> None:
        raise AssertionError("it must not be handled")

    on_receive.__annotations__["message"] = annotation
    consumer: type[Journaled] = type(
        "Reading", (Journaled,), {"on_receive": on_receive}
    )
    async with serving(consumer) as client, client.connect("/") as ws:
        await ws.send(message)
        assert (await ws.receive_close()).code == code

    assert consumer.journal == [code]


async def test_a_malformed_message_closes_a_view_the_same_way() -> None:
    """In pull style it can be caught; uncaught, the code is not 1011 either."""
    app = App()

    @app.websocket_route("/catching", value_type="json")
    async def catching(ws: Any) -> None:
        with pytest.raises(InvalidMessage):
            await ws.receive()
        await ws.send("go on")

    @app.websocket_route("/not", value_type="json")
    async def not_catching(ws: Any) -> None:
        await ws.receive()

    @app.websocket_route("/nested", value_type="json")
    async def nested(ws: Any) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(ws.receive)

    async with TestClient(app) as client:
        async with client.connect("/catching") as ws:
            await ws.send("{")
            assert await ws.receive_json() == "go on"
        for path in ("/not", "/nested"):
            async with client.connect(path) as ws:
                await ws.send("{")
                assert (await ws.receive_close()).code == 1007


async def test_an_answer_that_can_t_be_encoded_is_our_fault() -> None:
    """What a hook sends and its codec can't is an error of the hook: 1011."""

    class Sending(WebSocketConsumer):
        async def on_receive(self, message: dict[str, int]) -> None:
            await self.send(object())

    async with serving(Sending, quiet=True) as client, client.connect("/") as ws:
        await ws.send("{}")
        assert (await ws.receive_close()).code == 1011


async def test_validation_errors_of_the_user_s_own_are_errors() -> None:
    """A msgspec error that a hook raises itself is no fault of the client's message."""

    class Validating(WebSocketConsumer):
        async def on_receive(self, message: str) -> None:
            msgspec.json.decode(message, type=int)

    with pytest.raises(msgspec.ValidationError):
        await serve(Validating, '"text"')
