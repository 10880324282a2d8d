"""Answering: what a sender is told that did wrong, and what ends the connection."""

import logging
from typing import Annotated, Any

import anyio
import pytest
from starlette.exceptions import HTTPException, WebSocketException

from consumers import (
    InvalidMessage,
    MessageError,
    NotAllowed,
    Provide,
    WebSocketConsumer,
    receives,
)
from consumers.testing import ServerStyle
from consumers_tests.doubles import Journal, both_servers, serving
from consumers_tests.replying import Ask, Chat, Receipt, Say, asked

# -- what the client does wrong -------------------------------------------------------


@both_servers
@pytest.mark.parametrize(
    ("message", "code", "detail"),
    [
        ({"type": "say", "text": 1}, "invalid_message", "`$.text`"),
        ({"type": "say"}, "invalid_message", "missing required field `text`"),
        ({"text": "hi"}, "invalid_message", "missing required field `type`"),
        ({"type": "sya", "text": "x"}, "unknown_type", "expected ask, rename, say"),
        ({"type": 7}, "invalid_message", "`$.type`"),
        ({"cancel": None}, "invalid_message", "missing required field `type`"),
        ({"cancel": 1.5}, "invalid_message", "missing required field `type`"),
        ([1], "invalid_message", "Expected `object`, got `array`"),
        (None, "invalid_message", "Expected `object`, got `null`"),
    ],
)
async def test_a_message_that_does_not_fit_is_answered(
    message: Any, code: str, detail: str, server: ServerStyle
) -> None:
    """Its sender is told what is wrong, with its id if it has one, and stays."""
    async with serving(Chat) as client, client.connect("/", server=server) as ws:
        await ws.send_json(message)
        answer = await ws.receive_json()
        assert answer["error"]["code"] == code
        assert detail in answer["error"]["detail"]
        assert "id" not in answer
        if isinstance(message, dict) and "cancel" not in message:
            answer = await asked(ws, {**message, "id": "q"})
            assert (answer["id"], answer["error"]["code"]) == ("q", code)
        assert await asked(ws, {"type": "rename", "name": "x"})


@both_servers
@pytest.mark.parametrize(
    ("sent", "code"), [("{", 1007), (b"{}", 1003), ('{"type": "say"', 1007)]
)
async def test_what_is_no_message_closes(
    sent: str | bytes, code: int, server: ServerStyle
) -> None:
    """What can't be read at all ends the connection, and no error goes to the log."""
    async with serving(Chat) as client, client.connect("/", server=server) as ws:
        await ws.send(sent)
        assert (await ws.receive_close()).code == code


async def test_a_class_with_one_type_still_wants_its_tag() -> None:
    """An object without one is no message of it, though it has no fields to miss."""

    class Single(WebSocketConsumer):
        @receives("list")
        async def list(self, rooms: int = 1) -> int:
            return rooms

    async with serving(Single) as client, client.connect("/") as ws:
        for message in ({}, {"rooms": 2}, {"type": ""}, {"type": "", "nothing": 0}):
            answer = await asked(ws, message)
            assert answer["error"]["code"] == "invalid_message"
        answer = await asked(ws, {"type": "lists"})
        assert answer["error"]["code"] == "unknown_type"
        assert await asked(ws, {"type": "list", "rooms": 2}) == 2


# -- errors ---------------------------------------------------------------------------


class Failing(WebSocketConsumer):
    """Raises what the test says."""

    error: BaseException

    @receives
    async def say(self, message: Say) -> Receipt:
        if message.text == "raise":
            raise self.error
        return Receipt(message.text)


def failing(error: BaseException, **settings: Any) -> type[Failing]:
    """Return a class one of whose messages raises this."""
    return type("Failing", (Failing,), {"error": error, **settings})


@both_servers
@pytest.mark.parametrize("concurrency", [1, 2])
@pytest.mark.parametrize(
    ("error", "content"),
    [
        (MessageError("no_room"), {"code": "no_room"}),
        (MessageError("no", {"left": [1]}), {"code": "no", "detail": {"left": [1]}}),
        (NotAllowed("a secret reason"), {"code": "not_allowed"}),
    ],
)
async def test_errors_for_the_sender_keep_the_connection(
    error: Exception, content: Any, concurrency: int, server: ServerStyle
) -> None:
    """MessageError and NotAllowed answer, with the id if there is one."""
    consumer = failing(error, concurrency=concurrency)

    async with serving(consumer) as client, client.connect("/", server=server) as ws:
        assert await asked(ws, {"type": "say", "text": "raise"}) == {"error": content}
        answer = await asked(ws, {"type": "say", "text": "raise", "id": 1})
        assert answer == {"id": 1, "error": content}
        assert (await asked(ws, {"type": "say", "text": "x", "id": 1}))["id"] == 1


@both_servers
@pytest.mark.parametrize("concurrency", [1, 2])
async def test_other_exceptions_end_the_connection(
    server: ServerStyle, concurrency: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Who asked gets `internal` and nothing of the exception; it is logged once."""
    error = ValueError("a secret")
    consumer = failing(error, concurrency=concurrency)
    raised: list[BaseException] = []

    with caplog.at_level(logging.ERROR, "consumers"):
        try:
            async with (
                serving(consumer) as client,
                client.connect("/", server=server) as ws,
            ):
                answer = await asked(ws, {"type": "say", "text": "raise", "id": 1})
                assert answer == {"id": 1, "error": {"code": "internal"}}
                end = await ws.receive_close()
                assert (end.code, end.reason) == (1011, "")
        except ValueError as caught:
            raised.append(caught)

    assert raised == [error]
    assert [record.exc_info and record.exc_info[1] for record in caplog.records] == [
        error
    ]


async def test_without_an_id_nothing_is_said_of_an_exception() -> None:
    """The close says it all."""
    consumer = failing(ValueError("a secret"))

    async with serving(consumer, quiet=True) as client, client.connect("/") as ws:
        await ws.send({"type": "say", "text": "raise"})
        assert (await ws.receive_close()).code == 1011


@pytest.mark.parametrize("concurrency", [1, 2])
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (HTTPException(404), 1008),
        (WebSocketException(4321), 4321),
        (InvalidMessage(1007, "not what was asked for"), 1007),
    ],
)
async def test_exceptions_that_close(
    error: Exception, code: int, concurrency: int
) -> None:
    """Those that have a close code close with it, and are no failure."""
    consumer = failing(error, concurrency=concurrency)

    async with serving(consumer) as client, client.connect("/") as ws:
        await ws.send({"type": "say", "text": "raise", "id": 1})
        assert (await ws.receive_close()).code == code


async def test_a_reply_that_can_t_be_encoded_is_a_failure() -> None:
    """Who asked gets `internal`, and the connection ends."""

    class Strange(WebSocketConsumer):
        @receives
        async def say(self, message: Say) -> Any:
            return object()

    async with serving(Strange, quiet=True) as client, client.connect("/") as ws:
        answer = await asked(ws, {"type": "say", "text": "", "id": 1})
        assert answer == {"id": 1, "error": {"code": "internal"}}
        assert (await ws.receive_close()).code == 1011


@both_servers
@pytest.mark.parametrize("concurrency", [1, 2])
async def test_an_exception_after_the_client_left_is_not_lost(
    server: ServerStyle, concurrency: int
) -> None:
    """Though nobody can be answered, it is logged and goes to the server."""
    go_on = anyio.Event()

    class Late(WebSocketConsumer):
        @receives
        async def say(self, message: Say) -> None:
            await go_on.wait()
            raise ValueError("a bug")

    async def talk() -> None:
        async with serving(Late) as client, client.connect("/", server=server) as ws:
            await ws.send({"type": "say", "text": "", "id": 1})
            await client.settle()
            await ws.drop()
            await client.settle()
            go_on.set()

    Late.concurrency = concurrency
    with pytest.raises(ValueError, match="a bug"):
        await talk()


async def test_an_exception_does_not_wait_for_a_client_that_reads_nothing() -> None:
    """What is said of it waits for `limits.close_timeout` at most."""
    journal = Journal()

    class Stuck(WebSocketConsumer):
        @receives
        async def say(self, message: Say) -> None:
            raise ValueError("a bug")

        async def on_disconnect(self, code: int) -> None:
            journal.add(code)

    async with serving(Stuck, quiet=True) as client, client.connect("/") as ws:
        await ws.stall(0)
        await ws.send({"type": "say", "text": "", "id": 1})
        await client.advance(4)
        assert journal == []
        await client.advance(7)
        await client.settle()
        assert journal == [1011]


@pytest.mark.parametrize("concurrency", [1, 2])
@pytest.mark.parametrize(
    ("kind", "messages"),
    [
        (str, ["no", "x"]),
        (bytes, [b"no", b"x"]),
        (dict[str, str], [{"a": "no"}, {"a": "x"}]),
    ],
    ids=str,
)
async def test_on_receive_answers_errors_too(
    kind: Any, messages: list[Any], concurrency: int
) -> None:
    """However many it handles at once, MessageError and NotAllowed keep the client."""

    async def on_receive(self: WebSocketConsumer, message: object) -> None:
        if "no" in str(message):
            raise MessageError("no_room", 7)
        raise NotAllowed("a secret reason")

    on_receive.__annotations__["message"] = kind
    hooks = {"on_receive": on_receive, "concurrency": concurrency}
    consumer = type("Receiving", (WebSocketConsumer,), hooks)

    async with serving(consumer) as client, client.connect("/") as ws:
        await ws.send(messages[0])
        error = {"code": "no_room", "detail": 7}
        assert await ws.receive_json() == {"error": error}
        await ws.send(messages[1])
        assert await ws.receive_json() == {"error": {"code": "not_allowed"}}


@pytest.mark.parametrize("concurrency", [1, 2])
async def test_an_exception_after_close_is_the_one_that_is_raised(
    concurrency: int,
) -> None:
    """That nobody can be told of it any more does not stand in its place."""

    class Failing(WebSocketConsumer):
        @receives
        async def say(self, message: Say) -> None:
            await self.close(4000)
            raise ValueError("a bug")

    async def talk() -> None:
        async with serving(Failing) as client, client.connect("/") as ws:
            await ws.send({"type": "say", "text": "", "id": 1})
            assert (await ws.receive_close()).code == 4000

    Failing.concurrency = concurrency
    with pytest.raises(ValueError, match="a bug"):
        await talk()


async def test_errors_of_providers_answer_too() -> None:
    """What a method asks for may say that its sender may not."""

    async def refuses() -> str:
        raise NotAllowed("a secret reason")

    async def lacks() -> str:
        raise MessageError("no_database")

    class Providing(WebSocketConsumer):
        @receives
        async def say(
            self, message: Say, db: Annotated[str, Provide(refuses)]
        ) -> None: ...

        @receives
        async def ask(
            self, message: Ask, db: Annotated[str, Provide(lacks)]
        ) -> None: ...

    async with serving(Providing) as client, client.connect("/") as ws:
        answer = await asked(ws, {"type": "say", "text": "", "id": 1})
        assert answer == {"id": 1, "error": {"code": "not_allowed"}}
        answer = await asked(ws, {"type": "ask", "text": ""})
        assert answer == {"error": {"code": "no_database"}}
