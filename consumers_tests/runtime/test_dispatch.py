"""Dispatch: a message finds its method, and its sender gets the answer or an error."""

from collections.abc import AsyncIterator
from typing import Annotated

import anyio

from consumers import (
    MessageError,
    Provide,
    WebSocketConsumer,
    receives,
)
from consumers.testing import ServerStyle
from consumers_tests.doubles import Journal, both_servers, serving
from consumers_tests.replying import Ask, Chat, Receipt, Say, asked

# -- answers --------------------------------------------------------------------------


@both_servers
async def test_what_a_method_returns_is_the_reply(server: ServerStyle) -> None:
    """Without an id the reply comes by itself, and with one it is marked by it."""
    async with serving(Chat) as client, client.connect("/", server=server) as ws:
        plain = await asked(ws, {"type": "say", "text": "hi"})
        assert plain == {"type": "receipt", "text": "hi"}
        for name in (7, "a", 0, -1, ""):
            assert await asked(ws, {"type": "say", "text": "hi", "id": name}) == {
                "id": name,
                "reply": plain,
            }


@both_servers
async def test_none_is_no_reply_but_answers_an_id(server: ServerStyle) -> None:
    """A method that returns nothing answers nothing, or null to who gave an id."""
    async with serving(Chat) as client, client.connect("/", server=server) as ws:
        await ws.send({"type": "ask", "text": ""})
        await ws.receive_nothing()
        await ws.send({"type": "ask", "text": "", "id": None})
        await ws.receive_nothing()
        answer = await asked(ws, {"type": "ask", "text": "", "id": 1})
        assert answer == {"id": 1, "reply": None}


async def test_what_a_method_sends_comes_before_its_reply() -> None:
    """A push is not marked with the id of the message that is handled."""
    async with serving(Chat) as client, client.connect("/") as ws:
        await ws.send({"type": "ask", "text": "first", "id": 1})
        assert await ws.receive_json() == {"type": "receipt", "text": "first"}
        assert await ws.receive_json() == {"id": 1, "reply": None}


async def test_a_message_by_its_signature() -> None:
    """Fields that are not sent have the parameters' defaults; a list is not shared."""
    async with serving(Chat) as client, client.connect("/") as ws:
        for _ in range(2):
            assert await asked(ws, {"type": "rename", "name": "Ann"}) == [
                "Ann",
                False,
                [],
            ]
        assert await asked(
            ws, {"type": "rename", "name": "Bob", "loud": True, "tags": ["x"], "id": 1}
        ) == {"id": 1, "reply": ["Bob", True, ["x"]]}
        answer = await asked(ws, {"type": "rename", "name": "too long"})
        assert answer["error"]["code"] == "invalid_message"
        assert answer["error"]["detail"].endswith("`$.name`")


async def test_messages_as_msgpack() -> None:
    """With `value_type = "msgpack"` the same goes in binary messages."""

    class Packed(Chat):
        value_type = "msgpack"

        @receives("count")
        async def count(self, to: int) -> AsyncIterator[int]:
            for number in range(to):
                yield number

    async with serving(Packed) as client, client.connect("/") as ws:
        await ws.send_msgpack({"type": "say", "text": "hi", "id": 3})
        receipt = {"type": "receipt", "text": "hi"}
        assert await ws.receive_msgpack() == {"id": 3, "reply": receipt}
        await ws.send_msgpack({"type": "count", "to": 1, "id": "x"})
        assert await ws.receive_msgpack() == {"id": "x", "item": 0}
        assert await ws.receive_msgpack() == {"id": "x", "done": True}
        await ws.send_msgpack({"type": "nothing", "id": 4})
        assert (await ws.receive_msgpack())["error"]["code"] == "unknown_type"


async def test_one_method_for_a_union() -> None:
    """A method may take several types, and others take theirs."""

    class Both(WebSocketConsumer):
        @receives
        async def either(self, message: Say | Ask) -> str:
            return type(message).__name__

    async with serving(Both) as client, client.connect("/") as ws:
        assert await asked(ws, {"type": "say", "text": ""}) == "Say"
        assert await asked(ws, {"type": "ask", "text": ""}) == "Ask"


async def test_a_method_in_a_thread() -> None:
    """A plain `def` runs in a worker thread; what it returns is the reply."""

    class Threaded(WebSocketConsumer):
        @receives(thread=True)
        def say(self, message: Say) -> Receipt:
            anyio.from_thread.run(self.send, Receipt("push"))
            if message.text == "no":
                raise MessageError("no")
            return Receipt(message.text)

    async with serving(Threaded) as client, client.connect("/") as ws:
        assert await asked(ws, {"type": "say", "text": "x", "id": 1}) == {
            "type": "receipt",
            "text": "push",
        }
        answer = await ws.receive_json()
        assert answer == {"id": 1, "reply": {"type": "receipt", "text": "x"}}
        await asked(ws, {"type": "say", "text": "no", "id": 2})
        assert await ws.receive_json() == {"id": 2, "error": {"code": "no"}}


async def test_providers_of_a_method() -> None:
    """What a method asks for is made for each call, and torn down after it."""
    journal = Journal()

    async def database() -> AsyncIterator[str]:
        journal.add("begin")
        yield "db"
        journal.add("end")

    class Providing(WebSocketConsumer):
        @receives
        async def say(self, message: Say, db: Annotated[str, Provide(database)]) -> str:
            journal.add(message.text)
            return db

        @receives("put")
        async def put(self, text: str, db: Annotated[str, Provide(database)]) -> str:
            journal.add(text)
            return db + text

        @receives("list")
        async def list(
            self, text: str, *, db: Annotated[str, Provide(database)]
        ) -> AsyncIterator[str]:
            yield text
            yield db

    async with serving(Providing) as client, client.connect("/") as ws:
        assert await asked(ws, {"type": "say", "text": "hi"}) == "db"
        assert await asked(ws, {"type": "put", "text": "x"}) == "dbx"
        assert await asked(ws, {"type": "list", "text": "x"}) == "x"
        assert await ws.receive_json() == "db"
        await client.settle()

    calls = ["begin", "hi", "end", "begin", "x", "end", "begin", "end"]
    assert journal == calls


async def test_a_plain_client_has_no_idempotency_key() -> None:
    """Without the subprotocol nothing names a message beyond its connection."""

    class Keys(WebSocketConsumer):
        @receives
        async def say(self, message: Say) -> str | None:
            assert self.protocol is None
            return self.idempotency_key

    async with serving(Keys) as client, client.connect("/") as ws:
        answer = await asked(ws, {"type": "say", "text": "", "id": 1, "key": "k"})
        assert answer == {"id": 1, "reply": None}


async def test_what_a_class_sends_is_checked() -> None:
    """`send` takes what `sends` says and nothing else; replies say their own types."""

    class Sending(WebSocketConsumer):
        sends = Receipt

        @receives
        async def say(self, message: Say) -> str:
            await self.send(Receipt("a push"))
            return message.text

        @receives
        async def ask(self, message: Ask) -> None:
            await self.send(message)

    async with serving(Sending, quiet=True) as client, client.connect("/") as ws:
        assert await asked(ws, {"type": "say", "text": "x"}) == {
            "type": "receipt",
            "text": "a push",
        }
        assert await ws.receive_json() == "x"
        answer = await asked(ws, {"type": "ask", "text": "x", "id": 1})
        assert answer == {"id": 1, "error": {"code": "internal"}}
        assert (await ws.receive_close()).code == 1011


# -- ids ------------------------------------------------------------------------------


async def test_an_id_may_be_used_again_once_it_is_answered() -> None:
    """Until then it names what is asked, and another with it is refused."""
    go_on = anyio.Event()

    class Waiting(WebSocketConsumer):
        @receives(concurrency=2)
        async def say(self, message: Say) -> str:
            await go_on.wait()
            return message.text

    async with serving(Waiting) as client, client.connect("/") as ws:
        await ws.send({"type": "say", "text": "one", "id": 1})
        answer = await asked(ws, {"type": "say", "text": "two", "id": 1})
        error = {"code": "invalid_message", "detail": "id 1 is in use"}
        assert answer == {"error": error}  # with the id it would answer the first
        go_on.set()
        assert await ws.receive_json() == {"id": 1, "reply": "one"}
        assert await asked(ws, {"type": "say", "text": "3", "id": 1}) == {
            "id": 1,
            "reply": "3",
        }


async def test_ids_of_different_types_are_different() -> None:
    """The number 1 and the text "1" name two things."""
    go_on = anyio.Event()

    class Waiting(WebSocketConsumer):
        @receives(concurrency=2)
        async def say(self, message: Say) -> str:
            await go_on.wait()
            return message.text

    async with serving(Waiting) as client, client.connect("/") as ws:
        await ws.send({"type": "say", "text": "one", "id": 1})
        await ws.send({"type": "say", "text": "two", "id": "1"})
        await client.settle()
        go_on.set()
        answers = [await ws.receive_json() for _ in range(2)]

    assert sorted(answers, key=str) == [
        {"id": "1", "reply": "two"},
        {"id": 1, "reply": "one"},
    ]


async def test_close_in_a_method() -> None:
    """A method that closes runs on, and what it returns then goes nowhere."""
    journal = Journal()

    class Closing(WebSocketConsumer):
        @receives
        async def say(self, message: Say) -> Receipt:
            await self.close(4000, "enough")
            journal.add("ran on")
            return Receipt("late")

    for concurrency in (1, 2):
        Closing.concurrency = concurrency
        async with serving(Closing) as client, client.connect("/") as ws:
            await ws.send({"type": "say", "text": "", "id": 1})
            end = await ws.receive_close()
            assert (end.code, end.reason) == (4000, "enough")
        assert journal == ["ran on"] * concurrency
