"""`Client`: what is sent and what comes, against a server that goes by a script."""

from __future__ import annotations

import math
from typing import Any

import anyio
import msgspec
import pytest
from anyio import create_task_group

from consumers.client import OfflineFull, Overflow, UnexpectedMessage
from consumers.clock import VirtualClock
from consumers.errors import MessageError, MessageNotEncodable, StateError
from consumers_tests.client.scripted import Server, pass_time


class Said(msgspec.Struct, tag="said"):
    text: str


class Left(msgspec.Struct, tag="left"):
    who: int


@pytest.mark.parametrize("codec", ["json", "msgpack"])
async def test_messages_and_a_request(server: Server, codec: Any) -> None:
    """What is sent is framed; what comes is of the types that are asked for."""
    async with server.client(codec=codec, messages=Said | Left) as client:
        peer = await server.accept()
        await client.ready()
        assert client.connection == "c-1"
        assert peer.subprotocol == f"consumers.v1+{codec}"
        await client.send(Said("hello"))
        said = {"type": "said", "text": "hello"}
        assert await peer.hear() == {"type": "message", "message": said}

        peer.say({"type": "message", "message": said})
        assert await client.receive() == Said("hello")

        async with create_task_group() as tasks:

            async def answer() -> None:
                frame = await peer.hear()
                assert frame["type"] == "request"
                assert 0 < len(frame["key"]) <= 128
                reply = {"type": "left", "who": frame["message"]["n"]}
                peer.say({"type": "reply", "id": frame["id"], "message": reply})

            tasks.start_soon(answer)
            assert await client.request({"n": 3}, returns=Left) == Left(3)


async def test_frames_in_an_array_and_frames_of_tomorrow(server: Server) -> None:
    """Several frames in one message come in order; unknown ones are left out."""
    async with server.client() as client:
        peer = await server.accept(extra="field")
        peer.say(
            {"type": "message", "message": 1},
            {"type": "news", "of": "tomorrow"},
            {"type": "message", "message": 2, "extra": True},
        )
        peer.say({"type": "news"})
        peer.say([])
        peer.say({"type": "message", "message": [3]})

        assert [await client.receive() for _ in range(3)] == [1, 2, [3]]
        assert client.state.name == "live"


async def test_an_error_is_raised_and_a_wrong_reply_too(server: Server) -> None:
    """What the server answers with an error is a MessageError; types are checked."""
    async with server.client() as client, create_task_group() as tasks:
        peer = await server.accept()

        async def answer() -> None:
            first, second, third = [(await peer.hear())["id"] for _ in range(3)]
            peer.say(
                {"type": "error", "id": first, "code": "no_room", "detail": {"a": 1}},
                {"type": "error", "id": second, "code": "internal"},
                {"type": "reply", "id": third, "message": {"type": "left", "who": "x"}},
            )

        tasks.start_soon(answer)
        found: list[Exception] = []
        async with create_task_group() as requests:

            async def ask() -> None:
                try:
                    await client.request("?", returns=Left)
                except Exception as error:
                    found.append(error)

            for _ in range(3):
                requests.start_soon(ask)
        errors = [each for each in found if isinstance(each, MessageError)]
        told = sorted((each.code, each.detail) for each in errors)
        assert told == [("internal", None), ("no_room", {"a": 1})]
        assert any(isinstance(each, UnexpectedMessage) for each in found)


async def test_a_deadline_cancels(server: Server, clock: VirtualClock) -> None:
    """A request that takes too long raises TimeoutError, and the server is told."""
    async with server.client(deadline=10.0) as client:
        peer = await server.accept()
        await client.ready()
        for deadline, seconds in ((None, 10.0), (3.0, 3.0)):
            async with create_task_group() as tasks:
                tasks.start_soon(pass_time, clock, seconds)
                with pytest.raises(TimeoutError, match=f"within {seconds:g} seconds"):
                    await client.request("?", deadline=deadline)
            number = (await peer.hear())["id"]
            assert await peer.hear() == {"type": "cancel", "id": number}


async def test_cancelling_a_request_cancels_it_at_the_server(server: Server) -> None:
    """Who gives up waiting has the server told; a late answer disturbs nobody."""
    async with server.client() as client:
        peer = await server.accept()
        async with create_task_group() as tasks:
            tasks.start_soon(client.request, "?")
            number = (await peer.hear())["id"]
            tasks.cancel_scope.cancel()
        assert await peer.hear() == {"type": "cancel", "id": number}
        peer.say({"type": "reply", "id": number, "message": 1})
        peer.say({"type": "reply", "id": 10**9, "message": 1})
        peer.say({"type": "message", "message": "still here"})
        assert await client.receive() == "still here"


async def test_requests_wait_for_their_turn(server: Server) -> None:
    """No more are unanswered than the server allows, and messages overtake them."""
    async with server.client() as client, create_task_group() as tasks:
        peer = await server.accept(requests=2)
        await client.ready()
        for number in range(3):
            tasks.start_soon(client.request, number)
        first, _ = await peer.hear(), await peer.hear()
        await client.send("quick")
        assert await peer.hear() == {"type": "message", "message": "quick"}
        await peer.hear_nothing()

        peer.say({"type": "reply", "id": first["id"], "message": None})
        assert (await peer.hear())["type"] == "request"
        tasks.cancel_scope.cancel()


async def test_a_request_given_up_counts_until_it_is_answered(server: Server) -> None:
    """The place of a cancelled request is free when the server has answered that."""
    async with server.client() as client, create_task_group() as tasks:
        peer = await server.accept(requests=1)
        async with create_task_group() as first:
            first.start_soon(client.request, "first")
            number = (await peer.hear())["id"]
            first.cancel_scope.cancel()
        assert (await peer.hear())["type"] == "cancel"
        tasks.start_soon(client.request, "second")
        await peer.hear_nothing()

        peer.say({"type": "error", "id": number, "code": "cancelled"})
        assert (await peer.hear())["message"] == "second"
        tasks.cancel_scope.cancel()


async def test_what_waits_offline_is_bounded_and_sent_in_order(server: Server) -> None:
    """Without a connection so many wait as were allowed; one more raises."""
    async with server.client(offline=3) as client:
        peer = await server.next()
        await client.send(1)
        async with create_task_group() as tasks:
            tasks.start_soon(client.request, 2)
            await anyio.wait_all_tasks_blocked()
            await client.send(3)
            with pytest.raises(OfflineFull, match="at most 3 messages"):
                await client.send(4)
            with pytest.raises(OfflineFull):
                await client.request(4)
            with pytest.raises(OfflineFull):
                async with client.stream(4):
                    raise AssertionError

            peer.welcome()
            heard = [await peer.hear() for _ in range(3)]
            assert [frame["message"] for frame in heard] == [1, 2, 3]
            tasks.cancel_scope.cancel()


async def test_a_request_given_up_offline_is_never_sent(server: Server) -> None:
    """What is cancelled before there is a connection leaves no trace."""
    async with server.client() as client:
        peer = await server.next()
        async with create_task_group() as tasks:
            tasks.start_soon(client.request, "?")
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        peer.welcome()
        await client.ready()
        await peer.hear_nothing()


async def test_sending_waits_for_a_slow_server(server: Server) -> None:
    """Over a live connection a full buffer makes the sender wait, and loses nothing."""
    async with server.client(offline=2) as client, create_task_group() as tasks:
        peer = await server.accept()
        await client.ready()
        peer.flows = anyio.Event()

        async def send() -> None:
            for number in range(6):
                await client.send(number)

        sending = tasks.start_soon(send)
        await anyio.wait_all_tasks_blocked()
        assert sending.status.name == "PENDING"

        peer.flows.set()
        assert [(await peer.hear())["message"] for _ in range(6)] == [*range(6)]


async def test_unread_pushes_are_lost_aloud(server: Server) -> None:
    """What is too much to be kept raises where it would have come, once."""
    async with server.client(unread=2) as client:
        peer = await server.accept()
        peer.say(*({"type": "message", "message": number} for number in range(5)))
        await client.ready()
        assert await client.receive() == 0
        assert await client.receive() == 1
        with pytest.raises(Overflow, match="at most 2 pushes"):
            await client.receive()
        peer.say({"type": "message", "message": 5})
        assert await client.receive() == 5


async def test_a_push_of_another_type_is_received(server: Server) -> None:
    """It raises, and the next one can be read."""
    async with server.client(messages=Said) as client:
        peer = await server.accept()
        peer.say({"type": "message", "message": {"type": "left", "who": 1}})
        peer.say({"type": "message", "message": {"type": "left", "who": 2}})
        peer.say({"type": "message", "message": {"type": "said", "text": "a"}})
        with pytest.raises(UnexpectedMessage, match="Said"):
            await client.receive()
        assert await client.receive(Left) == Left(2)
        assert await client.receive(Said | Left) == Said("a")


async def test_errors_of_what_nobody_waits_for(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """An error without an id is told to `on_error`, which logs by default."""
    told: list[MessageError] = []
    for settings in ({"on_error": told.append}, {}):
        async with server.client(**settings) as client:
            peer = await server.accept()
            peer.say({"type": "error", "code": "unknown_type", "detail": "x"})
            peer.say({"type": "message", "message": 1})
            await client.receive()
    assert [str(error) for error in told] == ["unknown_type: x"]
    assert caplog.messages == ["the server could not take a message: unknown_type: x"]


async def test_mistakes_of_the_caller(server: Server) -> None:
    """What can't be sent, a bad key, a second entry: each raises where it is made."""
    async with server.client() as client:
        with pytest.raises(MessageNotEncodable):
            await client.send(object())
        with pytest.raises(MessageNotEncodable):
            await client.request({1j})
        for key in ("", "x" * 129):
            with pytest.raises(ValueError, match="a key must have 1-128 characters"):
                await client.request(1, key=key)
        with pytest.raises(ValueError, match="a close code"):
            await client.close(1006)
        with pytest.raises(ValueError, match="a close reason"):
            await client.close(1000, "x" * 124)
        with pytest.raises(StateError, match="entered once"):
            await client.__aenter__()
        peer = await server.accept()
        async with create_task_group() as tasks:
            tasks.start_soon(lambda: client.request(1, key="mine", deadline=math.inf))
            assert (await peer.hear())["key"] == "mine"
            tasks.cancel_scope.cancel()
