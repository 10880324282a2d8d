"""`Subscription`: what is published, over reconnects, in order and without doubles."""

from __future__ import annotations

from typing import Any

import anyio
import msgspec
import pytest
from anyio import create_task_group

from consumers.client import (
    Closed,
    Publication,
    Reconnect,
    Resubscribed,
    Subscription,
    UnexpectedMessage,
)
from consumers.clock import VirtualClock
from consumers.errors import MessageError, StateError, SubscriptionOverflow
from consumers.groups import Group
from consumers.history import Position
from consumers_tests.client.scripted import Peer, Server, pass_time

QUICK = Reconnect(min=1.0, max=4.0)


class Said(msgspec.Struct, tag="said"):
    text: str


def published(number: int | None, group: str = "g", epoch: str = "e") -> dict[str, Any]:
    """Return the frame of a publication that says its own number."""
    frame: dict[str, Any] = {"type": "publication", "group": group, "message": number}
    if number is not None:
        frame["position"] = f"{number}.{epoch}"
    return frame


async def subscribed(peer: Peer, *frames: Any, **answer: Any) -> Any:
    """Answer a subscribe, with what follows it; return the subscribe."""
    frame = await peer.hear()
    assert frame["type"] == "subscribe"
    answer = {"group": frame["group"], "recovered": False, **answer}
    peer.say({"type": "subscribed", "id": frame["id"], **answer}, *frames)
    return frame


async def numbers(subscription: Subscription[Any], most: int) -> list[Any]:
    """Read so many publications."""
    with anyio.fail_after(5):
        return [(await anext(subscription)).message for _ in range(most)]


async def test_a_subscription(server: Server) -> None:
    """It knows where it stands, has the snapshot, yields what comes, and leaves."""
    async with server.client() as client, create_task_group() as tasks:
        peer = await server.accept()
        await client.ready()
        said = {"type": "said", "text": "a"}
        tasks.start_soon(
            lambda: subscribed(peer, position="3.e", snapshot={"text": "b"})
        )
        group = Group("chat.{channel}")("lobby")
        async with client.subscribe(group, type=Said, snapshot=Said) as subscription:
            assert subscription.group == "chat.lobby"
            assert not subscription.recovered
            assert subscription.snapshot == Said("b")
            assert subscription.position == Position(3, "e")
            peer.say(
                {
                    "type": "publication",
                    "group": "chat.lobby",
                    "message": said,
                    "position": "4.e",
                },
                published(1, "other"),
            )
            # The application has put the client into another group by itself.
            assert await client.receive(int) == 1
            found = await anext(subscription)
            assert found == Publication(Said("a"), Position(4, "e"), "chat.lobby")
            assert subscription.position == Position(4, "e")
        frame = await peer.hear()
        assert (frame["type"], frame["group"]) == ("unsubscribe", "chat.lobby")
        peer.say(
            published(5, "chat.lobby"),
            {"type": "reply", "id": frame["id"], "message": None},
            published(6, "chat.lobby"),
        )
        assert await client.receive() == 6
        assert [item async for item in subscription] == []


async def test_it_resumes_where_it_was(server: Server, clock: VirtualClock) -> None:
    """After a reconnect it asks for what it missed, and drops what it had."""
    async with server.client(reconnect=QUICK) as client, create_task_group() as tasks:
        peer = await server.accept()
        tasks.start_soon(
            lambda: subscribed(peer, published(1), published(2), position="0.e")
        )
        async with client.subscribe("g") as subscription:
            assert await numbers(subscription, 1) == [1]
            peer.drop()
            await pass_time(clock, 1.0)
            peer = await server.accept()
            frame = await subscribed(
                peer,
                *(published(number) for number in (2, 3, 4, 4, 3, 5)),
                position="2.e",
                recovered=True,
            )
            assert frame["position"] == "2.e"
            assert await numbers(subscription, 4) == [2, 3, 4, 5]
            assert subscription.recovered
            peer.say(published(6))
            assert await numbers(subscription, 1) == [6]


async def test_a_gap_is_told_by_events(server: Server, clock: VirtualClock) -> None:
    """What could not be recovered is an event between publications, with a snapshot."""
    async with server.client(reconnect=QUICK) as client, create_task_group() as tasks:
        peer = await server.accept()
        tasks.start_soon(lambda: subscribed(peer, published(8), position="7.e"))
        async with client.subscribe("g") as subscription:
            await anyio.wait_all_tasks_blocked()
            peer.drop()
            await pass_time(clock, 1.0)
            peer = await server.accept()
            # A new epoch, and the latest publications, from before the position.
            await subscribed(
                peer,
                published(1, epoch="f"),
                published(2, epoch="f"),
                published(3, epoch="f"),
                position="2.f",
                snapshot=[1],
            )
            events = subscription.events()
            with anyio.fail_after(5):
                found = [await anext(events) for _ in range(5)]
            assert found[1] == Resubscribed(False, Position(2, "f"), [1])
            told = [each.message for each in found if isinstance(each, Publication)]
            assert told == [8, 1, 2, 3]
            assert subscription.snapshot == [1]
            await client.close()
            assert [event async for event in events] == []


async def test_since_a_position(server: Server) -> None:
    """A subscription can begin where another one has ended."""
    async with server.client() as client, create_task_group() as tasks:
        peer = await server.accept()
        frames: list[Any] = []

        async def answer() -> None:
            frames.append(await subscribed(peer, position="7.e", recovered=True))

        tasks.start_soon(answer)
        async with client.subscribe("g", since="7.e") as subscription:
            assert subscription.recovered
            assert frames[0]["position"] == "7.e"
        with pytest.raises(ValueError, match="expected a position"):
            client.subscribe("g", since="seven")


async def test_refusals_and_the_server_s_end_of_it(server: Server) -> None:
    """A refusal raises where the context is entered, an end where it is read."""
    async with server.client() as client, create_task_group() as tasks:
        peer = await server.accept()
        await client.ready()

        async def refuse() -> None:
            number = (await peer.hear())["id"]
            peer.say({"type": "error", "id": number, "code": "not_allowed"})

        tasks.start_soon(refuse)
        with pytest.raises(MessageError, match="not_allowed"):
            async with client.subscribe("g"):
                raise AssertionError
        await peer.hear_nothing()

        tasks.start_soon(subscribed, peer, published(1))
        async with client.subscribe("g") as subscription:
            ended = {"type": "unsubscribed", "group": "g", "code": "left", "detail": 1}
            peer.say(ended, published(2))
            assert await numbers(subscription, 1) == [1]
            with pytest.raises(MessageError, match="left: 1"):
                await anext(subscription)
        await peer.hear_nothing()


async def test_one_subscription_to_each_group(server: Server) -> None:
    """A second one is an error; after the first has left it is another one."""
    async with server.client() as client, create_task_group() as tasks:
        peer = await server.accept()
        tasks.start_soon(subscribed, peer)
        async with client.subscribe("g"):
            with pytest.raises(StateError, match="one subscription to each group"):
                async with client.subscribe("g"):
                    raise AssertionError
        assert (await peer.hear())["type"] == "unsubscribe"

        async def late() -> None:
            frame = await peer.hear()
            # What is still on its way to the first one is not for the second.
            peer.say(published(1))
            peer.say({"type": "subscribed", "id": 1, "group": "g", "recovered": True})
            answer = {"type": "subscribed", "group": "g", "recovered": False}
            peer.say({**answer, "id": frame["id"]}, published(2))

        tasks.start_soon(late)
        async with client.subscribe("g") as subscription:
            assert await numbers(subscription, 1) == [2]


async def test_no_answer_in_time(server: Server, clock: VirtualClock) -> None:
    """Entering raises TimeoutError at the client's deadline, and unsubscribes."""
    async with server.client(deadline=10.0) as client, create_task_group() as tasks:
        peer = await server.accept()
        await client.ready()
        tasks.start_soon(pass_time, clock, 10.0)
        with pytest.raises(TimeoutError, match="the subscription to g"):
            async with client.subscribe("g"):
                raise AssertionError
        assert (await peer.hear())["type"] == "subscribe"
        assert (await peer.hear())["type"] == "unsubscribe"


async def test_reading_too_slowly_ends_it(server: Server) -> None:
    """What was kept is yielded, then the error tells where to go on."""
    async with server.client(unread=2) as client, create_task_group() as tasks:
        peer = await server.accept()
        tasks.start_soon(lambda: subscribed(peer, position="0.e"))
        async with client.subscribe("g") as subscription:
            peer.say(*(published(number) for number in range(1, 6)))
            assert (await peer.hear())["type"] == "unsubscribe"
            assert await numbers(subscription, 2) == [1, 2]
            with pytest.raises(SubscriptionOverflow) as caught:
                await anext(subscription)
            assert caught.value.position == Position(2, "e")
        tasks.start_soon(
            lambda: subscribed(peer, published(3), position="2.e", recovered=True)
        )
        again = client.subscribe("g", since=caught.value.position)
        async with again as subscription:
            assert await numbers(subscription, 1) == [3]


async def test_a_passing_error_does_not_end_what_stood(
    server: Server, clock: VirtualClock
) -> None:
    """Resubscribing is tried again where the server only could not do it now."""
    async with server.client(reconnect=QUICK) as client, create_task_group() as tasks:
        peer = await server.accept()
        tasks.start_soon(subscribed, peer)
        async with client.subscribe("g") as subscription:
            peer.drop()
            await pass_time(clock, 1.0)
            peer = await server.accept()
            frame = await peer.hear()
            peer.say({"type": "error", "id": frame["id"], "code": "rate_limited"})
            await pass_time(clock, 8.0)
            await subscribed(peer, published(1), recovered=True)
            assert await numbers(subscription, 1) == [1]

            peer.drop()
            await pass_time(clock, 1.0)
            peer = await server.accept()
            frame = await peer.hear()
            peer.say({"type": "error", "id": frame["id"], "code": "not_allowed"})
            with pytest.raises(MessageError, match="not_allowed"):
                await anext(subscription)


async def test_leaving_before_it_is_asked_again(
    server: Server, clock: VirtualClock
) -> None:
    """A subscription that was left meanwhile is not asked for."""
    async with server.client(reconnect=QUICK) as client, create_task_group() as tasks:
        peer = await server.accept()
        tasks.start_soon(subscribed, peer)
        async with client.subscribe("g"):
            peer.drop()
            await pass_time(clock, 1.0)
            peer = await server.accept()
            frame = await peer.hear()
            peer.say({"type": "error", "id": frame["id"], "code": "timeout"})
            await anyio.wait_all_tasks_blocked()
        assert (await peer.hear())["type"] == "unsubscribe"
        await pass_time(clock, 8.0)
        await peer.hear_nothing()


async def test_types_that_do_not_fit(server: Server) -> None:
    """A publication raises and can be passed over; a snapshot ends it."""
    async with server.client() as client, create_task_group() as tasks:
        peer = await server.accept()
        tasks.start_soon(subscribed, peer, published(1, "g"), published(2, "g"))
        async with client.subscribe("g", type=str) as subscription:
            for _ in range(2):
                with pytest.raises(UnexpectedMessage):
                    await anext(subscription)
            assert subscription.position == Position(2, "e")
        assert (await peer.hear())["type"] == "unsubscribe"
        tasks.start_soon(lambda: subscribed(peer, snapshot={"text": 1}))
        with pytest.raises(UnexpectedMessage, match="Said"):
            async with client.subscribe("g", snapshot=Said):
                raise AssertionError
        assert (await peer.hear())["type"] == "unsubscribe"


async def test_a_client_that_is_closed_by_the_server(server: Server) -> None:
    """What is read then raises why."""
    async with server.client() as client, create_task_group() as tasks:
        peer = await server.accept()
        tasks.start_soon(subscribed, peer)
        async with client.subscribe("g") as subscription:
            peer.close_with(4403, "out")
            with pytest.raises(Closed, match=r"4403\): out"):
                await anext(subscription)


async def test_positions_that_are_none(server: Server, clock: VirtualClock) -> None:
    """A position that can't be read breaks the protocol."""
    async with server.client(reconnect=QUICK) as client, create_task_group() as tasks:
        peer = await server.accept()
        tasks.start_soon(subscribed, peer)
        async with client.subscribe("g"):
            peer.say({**published(1), "position": "later"})
            await peer.dropped.wait()
            assert peer.closed == (1007, "")
            assert client.state.code == 1006
