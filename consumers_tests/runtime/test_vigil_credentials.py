"""Credentials that end, and new ones in their place."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import anyio.to_thread
import msgspec
import pytest
from starlette.exceptions import HTTPException

from consumers import (
    App,
    Groups,
    Identity,
    Limits,
    WebSocketConsumer,
    WebSocketRoute,
    receives,
)
from consumers.testing import TestClient
from consumers_tests.framed import Peer, talking
from consumers_tests.groups.scripted_layer import ScriptedLayer


class Work(msgspec.Struct, tag="work"):
    pass


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


async def test_a_refresh_may_be_of_another_session() -> None:
    """That one's end closes the connection from now on, and the old one's does not."""

    async def by_session(connection: Any) -> Identity | None:
        return Identity("ann", session=connection.token)

    app = App([WebSocketRoute("/", Whose)], authenticate=by_session)
    async with TestClient(app) as client, talking(client, "/?token=one") as peer:
        assert await app.groups.disconnect(session="two") == 0
        await refresh(peer, "two")
        assert await app.groups.disconnect(session="one") == 0
        assert await whose(peer) == ["ann", "two"]
        close = anyio.to_thread.run_sync
        assert await close(lambda: app.groups.sync.disconnect(session="two")) == 1
        assert (await peer.end())[1] == 1008


async def test_a_cancel_comes_too_late_for_a_credential_that_was_taken() -> None:
    """Else the connection had it, and could not be found by its session."""

    async def by_session(connection: Any) -> Identity:
        return Identity("ann", session=connection.token)

    layer = ScriptedLayer()
    groups = Groups(layer=lambda: layer)
    app = App([WebSocketRoute("/", Whose)], groups=groups, authenticate=by_session)
    async with TestClient(app) as client, talking(client, "/?token=a") as peer:
        await client.settle()  # until it is found by the first one
        gate = layer.blocked["subscribe"] = anyio.Event()
        await peer.send("refresh", id=1, token="b")
        await client.settle()
        await peer.send("cancel", id=1)
        await client.settle()
        gate.set()
        assert (await peer.receive())["type"] == "reply"
        await peer.nothing()
        await groups.disconnect(session="b", code=4000)
        assert (await peer.end())[1] == 4000
