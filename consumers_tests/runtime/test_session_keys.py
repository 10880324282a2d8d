"""Idempotency keys: what is sent again has its effect, and its answer, once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import msgspec
import pytest

from consumers import (
    App,
    Group,
    Groups,
    History,
    Identity,
    MessageError,
    NotAllowed,
    WebSocketConsumer,
    WebSocketRoute,
    receives,
)
from consumers.runtime.answered import Answered, _current
from consumers.testing import TestClient
from consumers_tests.doubles import Journal
from consumers_tests.framed import talking
from consumers_tests.valkey import Valkey

ROOM = Group("room", history=History(size=100))
PLAIN = Group("plain")


class Do(msgspec.Struct, tag="do"):
    how: str = "return"


class Count(msgspec.Struct, tag="count"):
    pass


def counting(
    journal: Journal, gate: Callable[[], anyio.Event] | None = None
) -> type[WebSocketConsumer]:
    """Return a class that notes each time that it works on a request."""

    class Counting(WebSocketConsumer):
        finish_timeout = 1.0

        @receives(timeout=10.0)
        async def do(self, message: Do) -> int:
            journal.add(self.idempotency_key)
            number = len(journal)
            await self.publish(ROOM, number)
            await self.publish(ROOM, number + 100)
            await self.publish(PLAIN, number)
            if message.how == "wait" and gate is not None:
                await gate().wait()
            if number > 1:  # whatever went wrong at first does not now
                return number
            if message.how == "error":
                raise MessageError("no_such_room", {"room": number})
            if message.how == "not_allowed":
                raise NotAllowed("the attic")
            if message.how == "exception":
                raise ZeroDivisionError
            if message.how == "sleep":
                await anyio.sleep_forever()
            return number

        @receives
        async def count(self, message: Count) -> AsyncIterator[int]:
            journal.add(self.idempotency_key)
            yield len(journal)

    return Counting


@asynccontextmanager
async def serving(
    journal: Journal,
    gate: Callable[[], anyio.Event] | None = None,
    url: str = "memory://",
) -> AsyncIterator[tuple[TestClient, App]]:
    consumer = counting(journal, gate)

    class Other(consumer):  # type: ignore[misc, valid-type]
        pass

    app = App(
        [WebSocketRoute("/", consumer), WebSocketRoute("/other", Other)],
        groups=Groups(url, [ROOM, PLAIN]),
    )
    async with TestClient(app, raise_server_exceptions=False) as client:
        yield client, app


def do(how: str = "return") -> dict[str, str]:
    return {"type": "do", "how": how}


async def again(
    client: TestClient, how: str = "return", **options: Any
) -> dict[str, Any]:
    """Send the request again, over another connection."""
    async with talking(client, **options) as peer:
        return await peer.ask(9, do(how), key="k-1")


async def test_without_a_key_it_is_done_each_time() -> None:
    """Control."""
    journal = Journal()

    async with serving(journal) as (client, _), talking(client) as peer:
        assert [(await peer.ask(i, do()))["message"] for i in (1, 2)] == [1, 2]

    assert journal == [None, None]


async def test_a_key_that_was_answered_gets_the_same_answer() -> None:
    """Over the same connection and over another, with any id."""
    journal = Journal()

    async with serving(journal) as (client, _):
        async with talking(client) as peer:
            first = await peer.ask(1, do(), key="k-1")
            second = await peer.ask(1, do(), key="k-1")
        third = await again(client)

    assert first == second == {"type": "reply", "id": 1, "message": 1}
    assert third == {"type": "reply", "id": 9, "message": 1}
    assert len(journal) == 1
    assert journal[0].endswith(":k-1")


@pytest.mark.parametrize("how", ["error", "not_allowed"])
async def test_an_error_of_the_application_is_an_answer(how: str) -> None:
    """It is given again, too, with its detail."""
    journal = Journal()

    async with serving(journal) as (client, _):
        async with talking(client) as peer:
            first = await peer.ask(1, do(how), key="k-1")
        second = await again(client, how)

    assert first["type"] == "error"
    assert {**first, "id": 9} == second
    assert len(journal) == 1


async def test_after_a_timeout_it_is_worked_on_again() -> None:
    """Whether it had an effect is not known to anybody."""
    journal = Journal()

    async with serving(journal) as (client, _), talking(client) as peer:
        await peer.send("request", id=1, message=do("sleep"), key="k-1")
        await client.advance(10)
        assert (await peer.receive())["code"] == "timeout"
        assert (await again(client, "sleep"))["message"] == 2


async def test_after_an_exception_it_is_worked_on_again() -> None:
    """Who is told `internal` may try once more, and has to connect for that."""
    journal = Journal()

    async with serving(journal) as (client, _):
        async with talking(client) as peer:
            assert (await peer.ask(1, do("exception"), key="k-1"))["code"] == "internal"
            assert (await peer.end())[1] == 1011
        assert (await again(client, "exception"))["message"] == 2


async def test_after_a_cancel_it_is_worked_on_again() -> None:
    """Who has cancelled may change their mind."""
    journal = Journal()

    async with serving(journal) as (client, _), talking(client) as peer:
        await peer.send("request", id=1, message=do("sleep"), key="k-1")
        await client.settle()
        await peer.send("cancel", id=1)
        assert (await peer.receive())["code"] == "cancelled"
        assert (await peer.ask(2, do("sleep"), key="k-1"))["message"] == 2


async def test_another_user_and_another_class_have_keys_of_their_own() -> None:
    """A key that leaks does not show one user another's answer."""
    journal = Journal()

    async with serving(journal) as (client, _):
        answers = [
            await again(client),
            await again(client, identity=Identity("ann")),
            await again(client, identity=Identity("bob")),
            await again(client, path="/other"),
            await again(client, identity=Identity("ann")),
        ]

    assert [answer["message"] for answer in answers] == [1, 2, 3, 4, 2]
    assert len(set(journal)) == 4


async def test_names_can_not_be_put_together_to_make_anothers_key() -> None:
    """Whatever users are called, and whatever a key has in it."""
    journal = Journal()

    async with serving(journal) as (client, _):
        async with talking(client, identity=Identity("a:b")) as peer:
            one = await peer.ask(1, do(), key="c")
        async with talking(client, identity=Identity("a")) as peer:
            other = await peer.ask(1, do(), key="b:c")

    assert (one["message"], other["message"]) == (1, 2)
    assert journal[0] != journal[1]


async def test_who_repeats_it_while_it_is_worked_on_waits_for_the_answer() -> None:
    """Over another connection, after the first one broke; and both get it."""
    journal, gate = Journal(), anyio.Event()
    answers = []

    async with (
        serving(journal, lambda: gate) as (client, _),
        talking(client) as first,
        talking(client) as second,
    ):
        for number, peer in enumerate((first, second), 1):
            await peer.send("request", id=number, message=do("wait"), key="k-1")
            await client.settle()
        await second.nothing()
        gate.set()
        answers = [await first.receive(), await second.receive()]

    assert [(each["id"], each["message"]) for each in answers] == [(1, 1), (2, 1)]
    assert len(journal) == 1


async def test_what_a_broken_connection_works_on_is_finished_for_the_next() -> None:
    """Within finish_timeout: its effect is had, and told to who comes back."""
    journal, gate = Journal(), anyio.Event()

    async with serving(journal, lambda: gate) as (client, _), talking(client) as first:
        await first.send("request", id=1, message=do("wait"), key="k-1")
        await client.settle()
        await first.ws.drop()
        await client.settle()
        async with talking(client) as second:
            await second.send("request", id=1, message=do("wait"), key="k-1")
            await second.nothing()
            gate.set()
            assert (await second.receive())["message"] == 1

    assert len(journal) == 1


async def test_what_a_broken_connection_could_not_finish_is_done_by_the_next() -> None:
    """After finish_timeout it is cancelled, and who waits for it takes over."""
    journal, gates = Journal(), [anyio.Event(), anyio.Event()]
    gates[1].set()

    async with (
        serving(journal, lambda: gates[len(journal) - 1]) as (client, _),
        talking(client) as first,
    ):
        await first.send("request", id=1, message=do("wait"), key="k-1")
        await client.settle()
        await first.ws.drop()
        await client.settle()
        async with talking(client) as second:
            await second.send("request", id=1, message=do("wait"), key="k-1")
            await second.nothing()
            await client.advance(1.0)
            assert (await second.receive())["message"] == 2

    assert len(set(journal)) == 1


async def test_answers_are_forgotten_after_five_minutes() -> None:
    """By the clock, and not before."""
    journal = Journal()

    async with serving(journal) as (client, _):
        await again(client)
        await client.advance(299)
        assert (await again(client))["message"] == 1
        await client.advance(2)
        assert (await again(client))["message"] == 2


async def test_streams_have_no_keys() -> None:
    """Each time is another stream."""
    journal = Journal()

    async with serving(journal) as (client, _), talking(client) as peer:
        for number in (1, 2):
            item = await peer.ask(1, {"type": "count"}, key="k-1")
            assert item == {"type": "item", "id": 1, "message": number}
            assert (await peer.receive())["type"] == "done"


# -- publications ----------------------------------------------------------------------


async def published(app: App) -> list[Any]:
    return [each.message for each in (await app.groups.history(ROOM)).publications]


async def test_publications_are_made_once_by_the_key() -> None:
    """Where the work is done again, what was published by then is not repeated."""
    journal = Journal()

    async with serving(journal) as (client, app):
        async with talking(client) as peer:
            await peer.ask(1, do("exception"), key="k-1")
            await peer.end()
        assert await published(app) == [1, 101]
        assert (await again(client, "exception"))["message"] == 2
        assert await published(app) == [1, 101]
        async with talking(client) as peer:
            await peer.ask(1, do(), key="k-2")
        assert await published(app) == [1, 101, 3, 103]


async def test_two_processes_publish_once(valkey: Valkey) -> None:
    """Each works on it, since neither knows the other's answer; subscribers get one."""
    one, two = Journal(), Journal()
    url = f"{valkey.url}?prefix=keys"

    async with (
        serving(one, url=url) as (client, app),
        serving(two, url=url) as (other, _),
    ):
        listening = app.groups.subscribe(PLAIN)
        async with listening, talking(client) as peer, talking(other) as second:
            assert (await peer.ask(1, do(), key="k-1"))["message"] == 1
            _current.set(Answered())  # another process has not seen the answer
            assert (await second.ask(1, do(), key="k-1"))["message"] == 1
            await second.ask(2, do(), key="k-2")
            got = [(await anext(listening)).message for _ in range(2)]
        assert await published(app) == [1, 101, 2, 102]

    assert one == two[:1]
    assert got == [1, 2]


class Chain(WebSocketConsumer):
    """Publishes in a task that a handler starts."""

    @receives
    async def do(self, message: Do) -> str:
        self.start_soon(self.later, self.idempotency_key)
        return "started"

    async def later(self, key: str) -> None:
        assert self.idempotency_key == key
        await self.publish(ROOM, "later")


async def test_the_key_goes_on_in_what_a_handler_starts() -> None:
    """And a key of the caller's own comes before it."""
    app = App([WebSocketRoute("/", Chain)], groups=Groups("memory://", [ROOM]))
    async with TestClient(app) as client:
        for _ in range(2):
            async with talking(client) as peer:
                answer = await peer.ask(1, do(), key="k-1")
                assert answer["message"] == "started"
                await client.settle()
        assert await published(app) == ["later"]


async def test_after_the_request_there_is_no_key() -> None:
    """The next message on the connection has its own, or none."""
    journal = Journal()

    async with serving(journal) as (client, _), talking(client) as peer:
        await peer.ask(1, do(), key="k-1")
        await peer.ask(2, do())
        await peer.send("message", message=do())
        await client.settle()

    assert [key is None for key in journal] == [False, True, True]
