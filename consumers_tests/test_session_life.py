"""Signs of life, credentials that end, and the goodbye before every close."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import msgspec
import pytest
from starlette.exceptions import HTTPException

from consumers import (
    App,
    Group,
    History,
    Identity,
    Limits,
    WebSocketConsumer,
    WebSocketRoute,
    receives,
)
from consumers.testing import TestClient
from consumers_tests.doubles import Journal
from consumers_tests.framed import JSON, MSGPACK, Peer, framed, talking

HEARTBEAT = Limits(heartbeat=20.0, heartbeat_timeout=5.0)
PING, PONG = {"type": "ping"}, {"type": "pong"}


class Work(msgspec.Struct, tag="work"):
    pass


class Quiet(WebSocketConsumer):
    value_type = "json"
    limits = HEARTBEAT

    async def on_receive(self, message: Any) -> None:
        pass


# -- heartbeats ------------------------------------------------------------------------


async def test_a_silent_client_is_pinged_and_then_closed() -> None:
    """After one heartbeat, and `timeout` later; it should come back."""
    async with framed(Quiet) as (client, peer):
        await client.advance(19.9)
        await peer.nothing()
        await client.advance(0.1)
        assert await peer.receive() == PING
        await client.advance(4.9)
        await peer.nothing()
        await client.advance(0.1)
        goodbye, code = await peer.end()

    assert goodbye == {"type": "goodbye", "code": 4408, "reconnect": True}
    assert code == 4408


@pytest.mark.parametrize("protocol", [JSON, MSGPACK])
async def test_who_answers_stays(protocol: str) -> None:
    """However long it says nothing else: one ping a heartbeat."""
    async with framed(Quiet, protocol) as (client, peer):
        for _ in range(5):
            await client.advance(20)
            assert await peer.receive() == PING
            await peer.send("pong")
            await client.settle()


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "message", "message": 1},
        {"type": "cancel", "id": 3},
        {"type": "pong"},
        {"type": "what is this?"},
        ["nothing"],
    ],
    ids=str,
)
@pytest.mark.parametrize("when", ["before the ping", "after it"])
async def test_any_frame_is_a_sign_of_life(frame: Any, when: str) -> None:
    """Also one that is refused. Who is heard of is not pinged."""
    async with framed(Quiet) as (client, peer):
        await client.advance(19)
        if when == "after it":
            await client.advance(1)
            assert await peer.receive() == PING
        await peer.send_raw(frame)
        await client.advance(6)
        assert peer.ws.closed is None
        await peer.send("ping")
        while (await peer.receive()) != PONG:
            pass


async def test_a_ping_of_the_client_is_answered_at_once() -> None:
    """While a handler runs, too."""

    class Busy(WebSocketConsumer):
        @receives
        async def work(self, message: Work) -> None:
            await anyio.sleep_forever()

    async with framed(Busy) as (client, peer):
        await peer.send("ping")
        assert await peer.receive() == PONG
        await peer.send("request", id=1, message={"type": "work"})
        await client.settle()
        await peer.send("ping")
        assert await peer.receive() == PONG
        await peer.send("cancel", id=1)
        assert (await peer.receive())["code"] == "cancelled"


@pytest.mark.parametrize("waiting", [0, 1, 8], ids=["none", "one", "full"])
async def test_a_long_handler_closes_nobody(waiting: int) -> None:
    """However many messages wait behind it, so that its pongs are not read."""
    journal, gate = Journal(), anyio.Event()

    class Busy(WebSocketConsumer):
        limits = Limits(heartbeat=20.0, heartbeat_timeout=5.0, inbox=4)

        @receives
        async def work(self, message: Work) -> None:
            journal.add("begin")
            await gate.wait()

    async with framed(Busy) as (client, peer):
        await peer.send("message", message={"type": "work"})
        await journal.wait_for("begin")
        await peer.send("ping")
        assert await peer.receive() == PONG  # it is read ahead now
        for _ in range(waiting):
            await peer.send("message", message={"type": "work"})
        await client.settle()
        await client.advance(20)  # it has said something in these
        for _ in range(6):
            await client.advance(20)
            assert await peer.receive() == PING  # by which it knows that we are there
            await peer.send("pong")
            await client.settle()
        assert peer.ws.closed is None
        gate.set()
        await client.settle()

    assert journal == ["begin"] * (1 + waiting)


async def test_who_reads_nothing_is_closed() -> None:
    """The ping can't be sent, and nor can the close: neither waits for ever."""
    journal = Journal()

    class Pushing(Quiet):
        async def on_connect(self) -> None:
            self.start_soon(self.push)

        async def push(self) -> None:
            while True:
                await self.send("more")

        async def on_disconnect(self, code: int) -> None:
            journal.add(code)

    async with framed(Pushing) as (client, peer):
        await peer.ws.stall(0)
        await client.advance(40)

    assert journal == [4408]


async def test_without_a_heartbeat_nobody_is_pinged() -> None:
    """And nobody is closed for silence."""

    class Still(Quiet):
        limits = Limits(heartbeat=None)

    async with framed(Still) as (client, peer):
        await client.advance(100_000)
        await peer.nothing()
        await peer.send("ping")
        assert await peer.receive() == PONG


# -- credentials -----------------------------------------------------------------------

_SOON = 100.0


async def authenticate(connection: Any) -> Identity | None:
    """Tokens are ``name`` or ``name:seconds``."""
    token = connection.token
    if not token:
        return None
    name, _, seconds = token.partition(":")
    if name == "nobody":
        raise HTTPException(401, "this token is nobody's")
    expires = datetime.now(UTC) + timedelta(seconds=float(seconds)) if seconds else None
    return Identity(name, expires=expires)


class Whose(WebSocketConsumer):
    value_type = "json"
    limits = Limits(heartbeat=None)

    async def on_receive(self, message: Any) -> None:
        await self.send([self.user.display_name, self.token])


def application(**options: Any) -> TestClient:
    return TestClient(
        App([WebSocketRoute("/", Whose)], **{"authenticate": authenticate, **options})
    )


async def refresh(peer: Peer, token: str, id: int = 1) -> dict[str, Any]:  # noqa: A002
    await peer.send("refresh", id=id, token=token)
    return await peer.receive()


async def whose(peer: Peer) -> Any:
    await peer.send("message", message="whose?")
    return (await peer.receive())["message"]


async def test_an_expired_credential_closes() -> None:
    """With 4401 when it ends, which the first frame has told."""
    async with application() as client, talking(client, "/?token=ann:100") as peer:
        assert peer.welcome["expires"] == pytest.approx(100, abs=5)
        await client.advance(90)
        await peer.nothing()
        await client.advance(10)
        goodbye, code = await peer.end()

    assert goodbye == {"type": "goodbye", "code": 4401, "reconnect": False}
    assert code == 4401


async def test_one_that_has_expired_before_closes_at_once() -> None:
    """After the first frame."""
    async with application() as client, talking(client, "/?token=ann:-10") as peer:
        assert peer.welcome["expires"] == 0
        assert (await peer.end())[1] == 4401


async def test_one_that_does_not_expire_is_not_told() -> None:
    """Nor is that of somebody unknown."""
    async with application() as client:
        for query in ("", "?token=ann"):
            async with talking(client, f"/{query}") as peer:
                assert "expires" not in peer.welcome


async def test_a_refresh_extends() -> None:
    """The new one counts from now on, for `authenticate` and `self.token` too."""
    async with application() as client, talking(client, "/?token=ann:100") as peer:
        await client.advance(50)
        answer = await refresh(peer, "ann:200")
        assert answer["message"]["expires"] == pytest.approx(200, abs=5)
        await client.advance(100)
        assert await whose(peer) == ["ann", "ann:200"]
        await client.advance(100)
        assert (await peer.end())[1] == 4401


async def test_a_refresh_may_take_the_end_away_and_give_it_again() -> None:
    """Each counts from when it was given."""
    async with application() as client, talking(client, "/?token=ann:100") as peer:
        assert await refresh(peer, "ann") == {
            "type": "reply",
            "id": 1,
            "message": {"expires": None},
        }
        await client.advance(50)
        assert (await refresh(peer, "ann:100", 2))["type"] == "reply"
        await client.advance(90)
        await peer.nothing()
        await client.advance(10)
        assert (await peer.end())[1] == 4401


async def test_a_refresh_may_shorten() -> None:
    """Whoever issues tokens decides that."""
    async with application() as client, talking(client, "/?token=ann:1000") as peer:
        await refresh(peer, "ann:100")
        await client.advance(100)
        assert (await peer.end())[1] == 4401


@pytest.mark.parametrize("token", ["bob:1000", "nobody", ""])
async def test_a_refused_refresh_changes_nothing(token: str) -> None:
    """Another user, a wrong one, none: the old credential counts on until its end."""
    async with application() as client, talking(client, "/?token=ann:100") as peer:
        answer = await refresh(peer, token)
        assert (answer["type"], answer["id"]) == ("error", 1)
        assert answer["code"] == "not_allowed"
        assert await whose(peer) == ["ann", "ann:100"]
        await client.advance(100)
        assert (await peer.end())[1] == 4401


async def test_somebody_unknown_does_not_become_somebody_by_a_refresh() -> None:
    """A new connection does it; what this one was allowed is not asked again."""
    async with application() as client, talking(client, "/") as peer:
        assert (await refresh(peer, "ann"))["code"] == "not_allowed"
        assert (await whose(peer))[1] is None


async def test_a_rejection_in_authenticate_closes() -> None:
    """As everywhere after accept; `HTTPException` refuses the new credential alone."""

    async def reject(connection: Any) -> Identity | None:
        if connection.token != "ann:100":
            await connection.reject(401, "who are you?")
        return await authenticate(connection)

    async with (
        application(authenticate=reject) as client,
        talking(client, "/?token=ann:100") as peer,
    ):
        await peer.send("refresh", id=1, token="bob")
        goodbye, code = await peer.end()

    assert (goodbye["reconnect"], code) == (False, 1008)


async def test_without_authenticate_a_token_is_only_kept() -> None:
    """A middleware has told who it is; nothing ends."""
    async with application(authenticate=None) as client, talking(client, "/") as peer:
        answer = await refresh(peer, "new")
        assert answer == {"type": "reply", "id": 1, "message": {"expires": None}}
        assert (await whose(peer))[1] == "new"


async def test_a_refresh_does_not_wait_for_a_handler() -> None:
    """A connection must not end because its credential waits behind a message."""
    gate = anyio.Event()

    class Busy(WebSocketConsumer):
        @receives(concurrency=1)
        async def work(self, message: Work) -> None:
            await gate.wait()

    app = App([WebSocketRoute("/", Busy)], authenticate=authenticate)
    async with TestClient(app) as client, talking(client, "/?token=ann:100") as peer:
        await peer.send("message", message={"type": "work"})
        await client.settle()
        assert (await refresh(peer, "ann:200"))["type"] == "reply"
        gate.set()


# -- goodbye ---------------------------------------------------------------------------


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
