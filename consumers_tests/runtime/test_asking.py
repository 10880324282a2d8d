"""Requests of the server's: who asks the client gets its answer, or learns why not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import msgspec
import pytest
from anyio.lowlevel import checkpoint

from consumers import (
    ConnectionClosed,
    InvalidMessage,
    Limits,
    MessageError,
    StateError,
    WebSocketConsumer,
    receives,
)
from consumers_tests.doubles import Journal, serving
from consumers_tests.framed import JSON, MSGPACK, Peer, framed

both_codecs = pytest.mark.parametrize("protocol", [JSON, MSGPACK])


class Question(msgspec.Struct, tag="question"):
    text: str


class Answer(msgspec.Struct):
    text: str


class Quiz(msgspec.Struct, tag="quiz"):
    pass


class Note(msgspec.Struct, tag="note"):
    text: str


def asking(**options: Any) -> tuple[type[WebSocketConsumer], Journal]:
    """Return a class that asks its client, and what became of that."""
    journal = Journal()

    class Asking(WebSocketConsumer):
        @receives(**options)
        async def quiz(self, message: Quiz) -> str:
            return await self.ask()

        @receives
        async def note(self, message: Note) -> None:
            journal.add(message.text)

        async def ask(self) -> str:
            try:
                answer = await self.request(Question("why?"), returns=Answer)
            except Exception as error:
                journal.add(type(error), getattr(error, "code", None))
                raise
            except anyio.get_cancelled_exc_class():
                journal.add("cancelled")
                raise
            finally:
                session = self._runtime.session("look")
                journal.add(f"left {len(session.asking)}")
            journal.add(answer)
            return str(answer.text)

    return Asking, journal


async def answered(peer: Peer) -> int:
    """Take the server's request, and return its id."""
    frame = await peer.receive()
    assert frame["type"] == "request"
    assert frame["message"] == {"type": "question", "text": "why?"}
    return int(frame["id"])


places = pytest.mark.parametrize(
    "options", [{}, {"concurrency": 2}], ids=["main", "lane"]
)


@both_codecs
@places
async def test_the_answer_is_returned(protocol: str, options: dict[str, Any]) -> None:
    """As the type that was asked for; meanwhile the handler is not done."""
    consumer, journal = asking(**options)

    async with framed(consumer, protocol) as (_, peer):
        await peer.send("request", id=1, message={"type": "quiz"})
        number = await answered(peer)
        await peer.send("reply", id=number, message={"text": "because"})
        assert await peer.receive() == {"type": "reply", "id": 1, "message": "because"}

    assert journal == ["left 0", Answer("because")]


@places
async def test_an_error_of_the_client_is_raised(options: dict[str, Any]) -> None:
    """With its code and detail; here nobody catches it, and it answers the client."""
    consumer, journal = asking(**options)

    async with framed(consumer) as (_, peer):
        await peer.send("request", id=1, message={"type": "quiz"})
        number = await answered(peer)
        await peer.send("error", id=number, code="unknown_type", detail=[1])
        assert await peer.receive() == {
            "type": "error",
            "id": 1,
            "code": "unknown_type",
            "detail": [1],
        }

    assert journal == [MessageError, "unknown_type", "left 0"]


async def test_an_answer_of_another_type_is_the_clients_fault() -> None:
    """It raises what a wrong message raises: uncaught it closes with 1008."""
    consumer, journal = asking()

    async with framed(consumer) as (_, peer):
        await peer.send("request", id=1, message={"type": "quiz"})
        number = await answered(peer)
        await peer.send("reply", id=number, message={"text": 42})
        goodbye, code = await peer.end()

    assert (goodbye["reconnect"], code) == (False, 1008)
    assert journal[0] is InvalidMessage


async def test_answers_go_to_whom_they_are_for() -> None:
    """Several may be asked at once; what is answered twice, or unasked, is ignored."""
    journal = Journal()

    class Asking(WebSocketConsumer):
        async def on_connect(self) -> None:
            for text in "ab":
                self.start_soon(self.ask, text)

        async def ask(self, text: str) -> None:
            journal.add((text, await self.request(text)))

    async with framed(Asking) as (client, peer):
        ids = {frame["message"]: frame["id"] for frame in await peer.take(2)}
        await peer.send("reply", id=99, message="unasked")
        await peer.send("error", code="unasked")
        await peer.send("reply", id=ids["b"], message=["for", "b"])
        await peer.send("reply", id=ids["b"], message="twice")
        await peer.send("reply", id=ids["a"], message=None)
        await client.settle()

    assert journal == [("b", ["for", "b"]), ("a", None)]


@pytest.mark.parametrize("where", ["on_connect", "start_soon", "on_receive"])
async def test_any_hook_may_ask(where: str) -> None:
    """Also one before which no message is read."""
    journal = Journal()

    class Asking(WebSocketConsumer):
        async def on_connect(self) -> None:
            if where == "on_connect":
                await self.ask()
            elif where == "start_soon":
                self.start_soon(self.ask)

        async def on_receive(self, message: str) -> None:
            await self.ask()

        async def ask(self) -> None:
            journal.add(await self.request("why?"))

    async with framed(Asking) as (client, peer):
        if where == "on_receive":
            await peer.send("message", message="ask me")
        number = (await peer.receive())["id"]
        await peer.send("reply", id=number, message="because")
        await client.settle()

    assert journal == ["because"]


async def test_who_asks_is_heard_at_once_while_a_handler_runs() -> None:
    """Without the second look of the watchdog, which is up to 60 ms away."""
    consumer, journal = asking()

    async with framed(consumer) as (_, peer):
        await peer.send("message", message={"type": "quiz"})
        number = await answered(peer)
        await peer.send("reply", id=number, message={"text": "because"})
        with anyio.fail_after(5):
            while Answer("because") not in journal:
                await checkpoint()


@places
async def test_who_is_cancelled_tells_the_client(options: dict[str, Any]) -> None:
    """It gets a cancel; what it answers after that is ignored."""
    consumer, journal = asking(**options)

    async with framed(consumer) as (client, peer):
        await peer.send("request", id=1, message={"type": "quiz"})
        number = await answered(peer)
        await peer.send("cancel", id=1)
        frames = await peer.take(2)
        assert {"type": "cancel", "id": number} in frames
        assert {"type": "error", "id": 1, "code": "cancelled"} in frames
        await peer.send("reply", id=number, message={"text": "late"})
        await client.settle()
        await peer.nothing()

    assert journal == ["cancelled", "left 0"]


async def test_a_timeout_of_the_asker_tells_the_client() -> None:
    """A deadline in the handler, as any other cancellation."""
    journal = Journal()

    class Asking(WebSocketConsumer):
        @receives(timeout=3.0)
        async def quiz(self, message: Quiz) -> str:
            answer: str = await self.request("why?")
            return answer

    async with framed(Asking) as (client, peer):
        await peer.send("request", id=1, message={"type": "quiz"})
        number = (await peer.receive())["id"]
        await client.advance(3)
        frames = await peer.take(2)
        assert {"type": "cancel", "id": number} in frames
        assert {"type": "error", "id": 1, "code": "timeout"} in frames

    assert journal == []


@places
@pytest.mark.parametrize("leave", ["close", "drop"])
async def test_who_asks_learns_that_the_client_left(
    leave: str, options: dict[str, Any]
) -> None:
    """At once, and not after finish_timeout; silently for everybody else."""
    consumer, journal = asking(**options)

    async with framed(consumer) as (client, peer):
        await peer.send("message", message={"type": "quiz"})
        await answered(peer)
        await getattr(peer.ws, leave)()
        await client.settle()
        assert journal == [
            ConnectionClosed,
            1000 if leave == "close" else 1006,
            "left 0",
        ]


async def test_who_asks_in_a_task_is_cancelled_when_the_client_leaves() -> None:
    """As all work of `start_soon` is."""
    consumer, journal = asking()

    class Starting(consumer):  # type: ignore[misc, valid-type]
        async def on_connect(self) -> None:
            self.start_soon(self.ask)

    async with framed(Starting) as (client, peer):
        await answered(peer)
        await peer.ws.drop()
        await client.settle()

    assert "left 0" in journal
    assert not [entry for entry in journal if isinstance(entry, Answer)]


async def _end(consumer: WebSocketConsumer) -> None:
    consumer.end(4000)


@pytest.mark.parametrize(
    "end",
    [
        lambda consumer: consumer.close(4000),
        _end,
    ],
    ids=["close", "end"],
)
async def test_who_asks_while_the_server_closes_is_not_left_waiting(
    end: Callable[[Any], Any],
) -> None:
    """No answer will be read: the handler learns it at once, and the close follows."""
    sessions: list[Any] = []
    consumer, journal = asking()

    class Closing(consumer):  # type: ignore[misc, valid-type]
        async def on_connect(self) -> None:
            sessions.append(self._runtime._dispatch)
            self.start_soon(self.close_later)

        async def close_later(self) -> None:
            await journal.wait_for("close")
            await end(self)

    async with framed(Closing) as (client, peer):
        await peer.send("message", message={"type": "quiz"})
        await answered(peer)
        journal.add("close")
        await client.settle()
        assert len(sessions[0].asking) == 0
        assert journal[1:3] == [ConnectionClosed, 4000]
        frames = []
        while (frame := await peer.receive())["type"] != "goodbye":
            frames.append(frame)
        assert (await peer.ws.receive_close()).code == 4000


async def test_a_plain_client_can_not_be_asked() -> None:
    """The error says what to look at first."""
    journal = Journal()

    class Asking(WebSocketConsumer):
        value_type = "json"

        async def on_connect(self) -> None:
            with pytest.raises(StateError, match=r"look at self\.protocol first"):
                await self.request("why?")
            journal.add(self.protocol)

    async with serving(Asking) as client, client.connect("/") as ws:
        await ws.receive_nothing()

    assert journal == [None]


async def test_a_client_that_floods_who_asks_it_is_closed() -> None:
    """Its answer is behind more messages than are read ahead, so that nobody gets it.

    The heartbeat finds that out: the connection ends, and the handler with it.
    """
    consumer, journal = asking()

    class Small(consumer):  # type: ignore[misc, valid-type]
        limits = Limits(inbox=4, heartbeat=20, heartbeat_timeout=5)

    async with framed(Small) as (client, peer):
        await peer.send("message", message={"type": "quiz"})
        number = await answered(peer)
        for index in range(6):
            await peer.send("message", message={"type": "note", "text": str(index)})
        await peer.send("reply", id=number, message={"text": "late"})
        await client.settle()
        for _ in range(4):  # the last messages may have been read in the first 20 s
            await client.advance(20)
        frame = await peer.receive()
        while frame["type"] == "ping":
            frame = await peer.receive()
        assert (frame["type"], frame["code"]) == ("goodbye", 4408)

    assert "left 0" in journal


async def test_some_messages_before_the_answer_do_no_harm() -> None:
    """Control: as many as are read ahead wait, and the answer overtakes them."""
    consumer, journal = asking()

    class Small(consumer):  # type: ignore[misc, valid-type]
        limits = Limits(inbox=4)

    async with framed(Small) as (client, peer):
        await peer.send("message", message={"type": "quiz"})
        number = await answered(peer)
        for index in range(3):
            await peer.send("message", message={"type": "note", "text": str(index)})
        await peer.send("reply", id=number, message={"text": "because"})
        await client.settle()

    assert journal == ["left 0", Answer("because"), "0", "1", "2"]
