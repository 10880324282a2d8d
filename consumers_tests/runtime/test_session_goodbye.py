"""The goodbye before every close: whether to come back, and when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from consumers import (
    App,
    Group,
    History,
    Identity,
    Limits,
    WebSocketConsumer,
    WebSocketRoute,
)
from consumers.testing import TestClient
from consumers_tests.framed import framed, talking

HEARTBEAT = Limits(heartbeat=20.0, heartbeat_timeout=5.0)
PONG = {"type": "pong"}


class Quiet(WebSocketConsumer):
    value_type = "json"
    limits = HEARTBEAT

    async def on_receive(self, message: Any) -> None:
        pass


async def ended(
    end: Callable[[WebSocketConsumer], Any], *, quiet: bool = False
) -> tuple[dict[str, Any], int]:
    """Return goodbye and code where a handler ends the connection."""

    class Ending(WebSocketConsumer):
        async def on_receive(self, message: str) -> None:
            await end(self)

    async with framed(Ending, quiet=quiet) as (_, peer):
        await peer.send("message", message="end")
        return await peer.end()


@pytest.mark.parametrize(
    ("arguments", "options", "goodbye"),
    [
        ((), {}, {"code": 1000, "reconnect": False}),
        ((4000, "why"), {}, {"code": 4000, "reconnect": False}),
        ((4000,), {"retry": True}, {"code": 4000, "reconnect": True}),
        ((4000,), {"retry": 7}, {"code": 4000, "reconnect": True, "after": 7}),
        ((4000,), {"retry": 0.5}, {"code": 4000, "reconnect": True, "after": 0.5}),
        ((4000,), {"retry": 0}, {"code": 4000, "reconnect": True, "after": 0}),
        ((1012,), {}, {"code": 1012, "reconnect": True}),
        ((1012,), {"retry": False}, {"code": 1012, "reconnect": False}),
    ],
    ids=str,
)
async def test_close_says_whether_to_come_back(
    arguments: tuple[Any, ...], options: dict[str, Any], goodbye: dict[str, Any]
) -> None:
    """By the code, or as the application says."""
    said, code = await ended(lambda consumer: consumer.close(*arguments, **options))

    assert said == {"type": "goodbye", **goodbye}
    assert code == goodbye["code"]


async def test_an_exception_says_goodbye() -> None:
    """With 1011, and to come back."""

    async def fail(consumer: WebSocketConsumer) -> None:
        raise ZeroDivisionError

    goodbye, code = await ended(fail, quiet=True)

    assert goodbye == {"type": "goodbye", "code": 1011, "reconnect": True}
    assert code == 1011


async def test_a_disconnected_user_is_told_not_to_come_back() -> None:
    """By the code that `groups.disconnect` was given."""
    app = App([WebSocketRoute("/", Quiet)])
    async with (
        TestClient(app) as client,
        talking(client, identity=Identity("ann")) as peer,
    ):
        await app.groups.disconnect(user="ann", reason="banned")
        goodbye, code = await peer.end()

    assert goodbye == {"type": "goodbye", "code": 1008, "reconnect": False}
    assert code == 1008


async def test_who_reads_too_slowly_is_told_to_come_back() -> None:
    """When it reads again, if it does so in time."""

    class Small(Quiet):
        limits = Limits(heartbeat=None, outbox_messages=3)

        async def on_connect(self) -> None:
            await self.join("room")

    app = App([WebSocketRoute("/", Small)])
    async with TestClient(app) as client, talking(client) as peer:
        await client.settle()
        await peer.ws.stall(0)
        for number in range(6):
            await app.groups.publish("room", number)
        await client.settle()
        await peer.ws.resume()
        frame = await peer.receive()
        while frame["type"] == "publication":
            frame = await peer.receive()
        assert (await peer.ws.receive_close()).code == 1013

    assert frame == {"type": "goodbye", "code": 1013, "reconnect": True}


async def test_goodbye_is_said_once() -> None:
    """Also where the close frame after it has to be tried again."""

    class Closing(WebSocketConsumer):
        async def on_receive(self, message: str) -> None:
            await self.close(4000)

    async with framed(Closing) as (client, peer):
        await peer.ws.stall(1)
        await peer.send("message", message="close")
        await client.advance(6)
        await peer.ws.resume()
        goodbye, code = await peer.end()

    assert (goodbye["code"], code) == (4000, 4000)


async def test_a_gap_closes_who_has_no_hook_for_it() -> None:
    """Whoever comes back subscribes with its position, and gets a snapshot."""
    from consumers.groups.publication import Kind, Publication

    log = Group("log", history=History())

    class Follower(Quiet):
        async def on_connect(self) -> None:
            await self.join(log)
            self.deliver(Publication("log", None, kind=Kind.GAP))

    async with framed(Follower) as (_, peer):
        goodbye, code = await peer.end()

    assert goodbye == {"type": "goodbye", "code": 1013, "reconnect": True}
    assert code == 1013


async def test_an_idle_client_is_told() -> None:
    """Frames count as messages here: a client with heartbeats is never idle."""

    class Idle(Quiet):
        limits = Limits(heartbeat=None, idle_timeout=30)

    async with framed(Idle) as (client, peer):
        await client.advance(20)
        await peer.send("ping")
        assert await peer.receive() == PONG
        await client.advance(30)
        goodbye, code = await peer.end()

    assert (goodbye["code"], goodbye["reconnect"], code) == (1001, True, 1001)


async def test_a_client_that_closes_gets_no_goodbye() -> None:
    """It knows."""
    async with framed(Quiet) as (client, peer):
        await peer.ws.close(1000)
        await client.settle()
        assert (await peer.ws.receive_close()).code == 1000


async def test_plain_clients_get_no_goodbye() -> None:
    """Nothing but the close frame, whatever `retry` says."""

    class Closing(WebSocketConsumer):
        async def on_connect(self) -> None:
            await self.close(4000, retry=5)

    app = App([WebSocketRoute("/", Closing)])
    async with TestClient(app) as client, client.connect("/") as ws:
        assert (await ws.receive_close()).code == 4000
