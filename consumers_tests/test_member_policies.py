"""Outbox policies, from the publisher to a client that does not read."""

import logging
from typing import Any

import anyio
import pytest
from anyio import wait_all_tasks_blocked

from consumers import (
    App,
    CloseWhenFull,
    Coalesce,
    DropNewest,
    DropOldest,
    Group,
    Groups,
    Limits,
    WebSocketConsumer,
    WebSocketRoute,
    intercepts,
)
from consumers.queues.policies import Policy
from consumers.testing import ServerStyle, TestClient
from consumers_tests.doubles import Journal, both_servers, wait_for
from consumers_tests.excesses import Excesses


def app_with(policy: Policy, kind: type[WebSocketConsumer]) -> App:
    """Return an application whose "room" has a policy, with `kind` at "/"."""
    groups = Groups(declared=[Group("room", outbox=policy)])
    return App([WebSocketRoute("/", kind)], groups=groups)


class Member(WebSocketConsumer):
    """Is in the room, may have three publications wait, and says how it went."""

    send_type = "json"
    limits = Limits(outbox_messages=3, close_timeout=1)

    async def on_connect(self) -> None:
        await self.join("room")

    async def on_receive(self, message: str) -> None:
        await self.send(self.dropped)


@both_servers
@pytest.mark.parametrize(
    ("policy", "expected", "counter"),
    [
        (DropOldest(), [0, 6, 7], "dropped_oldest"),
        (DropNewest(), [0, 1, 2], "dropped_newest"),
    ],
    ids=["oldest", "newest"],
)
async def test_a_slow_client_stays_and_misses_some(
    server: ServerStyle,
    policy: Policy,
    expected: list[int],
    counter: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is counted for the connection and in total, and logged once."""
    app = app_with(policy, Member)
    with caplog.at_level(logging.INFO, "consumers"):
        async with (
            TestClient(app) as client,
            client.connect("/", server=server) as stalled,
            client.connect("/", server=server) as other,
        ):
            await client.settle()
            await stalled.stall(0)
            for number in range(8):
                await app.groups.publish("room", number)
                assert await other.receive_json() == number
                await client.settle()
            await stalled.resume()
            assert [await stalled.receive_json() for _ in range(3)] == expected
            await stalled.send("how many?")
            assert await stalled.receive_json() == 5
            assert app.groups.statistics()[counter] == 5

    told = [line for line in caplog.messages if "reads too slowly" in line]
    assert len(told) == 1
    assert told[0].endswith("publications are dropped for new ones") or (
        told[0].endswith("new publications are dropped")
    )


@both_servers
async def test_a_slow_client_gets_the_last_per_key(server: ServerStyle) -> None:
    """What a newer one has replaced is not dropped: the client has what it needs."""
    app = app_with(Coalesce("user"), Member)
    async with (
        TestClient(app) as client,
        client.connect("/", server=server) as stalled,
    ):
        await client.settle()
        await stalled.stall(0)
        for x in range(10):
            for user in "ab":
                await app.groups.publish("room", {"user": user, "x": x})
                await client.settle()
        await stalled.resume()

        assert [await stalled.receive_json() for _ in range(3)] == [
            {"user": "a", "x": 0},
            {"user": "a", "x": 9},
            {"user": "b", "x": 9},
        ]
        await stalled.send("how many?")
        assert await stalled.receive_json() == 0
        assert app.groups.statistics()["superseded"] == 17


@both_servers
async def test_batches_for_a_slow_client_are_merged(server: ServerStyle) -> None:
    """It gets the latest per key in one message, when it reads again."""
    app = app_with(Coalesce("user", every=1, batch=True), Member)
    async with (
        TestClient(app) as client,
        client.connect("/", server=server) as stalled,
        client.connect("/", server=server) as other,
    ):
        await client.settle()
        await stalled.stall(0)
        for x in range(3):
            for user in "ab":
                await app.groups.publish("room", {"user": user, "x": x})
            await client.advance(1)
        await client.settle()
        await stalled.resume()

        got = [await stalled.receive_json() for _ in range(2)]
        assert got == [
            [{"user": "a", "x": 0}],
            [{"user": "a", "x": 2}, {"user": "b", "x": 2}],
        ]
        assert [len(await other.receive_json()) for _ in range(4)] == [1, 1, 2, 2]


async def test_who_moves_does_not_get_its_own_moves() -> None:
    """Excluded from its own item, it gets the batch without it."""

    class Cursor(WebSocketConsumer):
        value_type = "json"

        async def on_connect(self) -> None:
            await self.join("room")

        async def on_receive(self, message: Any) -> None:
            await self.publish("room", message, exclude_self=True)

    app = app_with(Coalesce("user", every=1, batch=True), Cursor)
    async with (
        TestClient(app) as client,
        client.connect("/") as ada,
        client.connect("/") as bob,
    ):
        await client.settle()
        await ada.send_json({"user": "ada", "x": 1})
        assert await bob.receive_json() == [{"user": "ada", "x": 1}]
        await ada.send_json({"user": "ada", "x": 2})
        await bob.send_json({"user": "bob", "x": 1})
        await ada.send_json({"user": "ada", "x": 3})
        await client.advance(1)

        assert await ada.receive_json() == [{"user": "bob", "x": 1}]
        assert await bob.receive_json() == [{"user": "ada", "x": 3}]


async def test_an_interceptor_gets_the_items_of_a_batch() -> None:
    """One by one, as it would get them without batches."""

    class Watching(Member):
        @intercepts
        async def hear(self, publication: dict) -> Any:  # type: ignore[type-arg]
            return publication["x"]

    app = app_with(Coalesce("user", every=1, batch=True), Watching)
    async with TestClient(app) as client, client.connect("/") as ws:
        await client.settle()
        for user in "abc":
            await app.groups.publish("room", {"user": user, "x": user})
        await client.advance(1)

        assert [await ws.receive_json() for _ in range(3)] == ["a", "b", "c"]


@both_servers
async def test_intercepted_publications_are_bounded_by_their_policy(
    server: ServerStyle,
) -> None:
    """They wait for the method as others wait for the client."""
    go_on = anyio.Event()

    class Slow(Member):
        @intercepts
        async def hear(self, publication: int) -> int:
            await wait_for(go_on)
            return publication

    app = app_with(DropOldest(messages=2), Slow)
    async with TestClient(app) as client, client.connect("/", server=server) as ws:
        await client.settle()
        for number in range(6):
            await app.groups.publish("room", number)
            await wait_all_tasks_blocked()
        go_on.set()

        assert [await ws.receive_json() for _ in range(3)] == [0, 4, 5]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [(DropOldest(), [3, 4, 5]), (DropNewest(), [0, 1, 2]), (Coalesce(), [5])],
    ids=["oldest", "newest", "coalesce"],
)
async def test_what_joining_holds_is_bounded_by_the_policy(
    policy: Policy, expected: list[int]
) -> None:
    """A snapshot that takes long does not cost the connection where it need not."""
    go_on = anyio.Event()

    class Slow(Member):
        async def on_connect(self) -> None:
            async with self.joining("room"):
                await wait_for(go_on)
                await self.send("snapshot")

    app = app_with(policy, Slow)
    async with TestClient(app) as client, client.connect("/") as ws:
        await client.settle()
        for number in range(6):
            await app.groups.publish("room", number)
        go_on.set()

        assert await ws.receive_json() == "snapshot"
        assert [await ws.receive_json() for _ in expected] == expected


# -- what is dropped when a connection ends --------------------------------------------


class Telling(Member):
    """Says at its end how many publications it did not get."""

    journal: Journal

    async def on_receive(self, message: str) -> None:
        if message == "close":
            await self.close(4000)

    async def on_disconnect(self, code: int) -> None:
        self.journal.add((code, self.dropped))


@both_servers
async def test_what_waits_for_who_is_closed_with_1013_is_counted(
    server: ServerStyle, caplog: pytest.LogCaptureFixture, excesses: Excesses
) -> None:
    """What waits, and the one for which there was no room."""

    class Closed(Telling):
        journal = Journal()

    app = app_with(CloseWhenFull(messages=2), Closed)
    with caplog.at_level(logging.INFO, "consumers"):
        async with (
            TestClient(app) as client,
            client.connect("/", server=server) as stalled,
        ):
            await client.settle()
            await stalled.stall(0)
            for number in range(6):
                await app.groups.publish("room", number)
                await client.settle()
            await client.advance(1)
            assert Closed.journal == [(1013, 3)]
            counted = app.groups.statistics()
            assert (counted["overflowed"], counted["given_up"]) == (1, 2)

    assert "CloseWhenFull of group room allows no more" in excesses.line
    assert caplog.text.count("which are dropped") == 1


@both_servers
@pytest.mark.parametrize(
    ("message", "code"), [(b"binary", 1003), ("x", 1007)], ids=["1003", "1007"]
)
async def test_what_waits_for_who_breaks_the_rules_is_counted(
    server: ServerStyle, message: Any, code: int
) -> None:
    """A connection that is closed for what its client sent drops what waits."""

    class Closed(Telling):
        journal = Journal()
        receive_type = "json"

    app = app_with(CloseWhenFull(), Closed)
    async with (
        TestClient(app) as client,
        client.connect("/", server=server) as stalled,
    ):
        await client.settle()
        await stalled.stall(0)
        for number in range(3):
            await app.groups.publish("room", number)
            await client.settle()
        if isinstance(message, bytes):
            await stalled.send_bytes(message)
        else:
            await stalled.send_text(message)
        await client.settle()
        await client.advance(1)
        await client.settle()

        assert Closed.journal == [(code, 2)]
        assert app.groups.statistics()["given_up"] == 2


@both_servers
async def test_what_waits_for_who_leaves_is_not_counted(server: ServerStyle) -> None:
    """A client that left does not want it."""

    class Closed(Telling):
        journal = Journal()

    app = app_with(CloseWhenFull(), Closed)
    async with TestClient(app) as client:
        async with client.connect("/", server=server) as stalled:
            await client.settle()
            await stalled.stall(0)
            for number in range(3):
                await app.groups.publish("room", number)
            await stalled.drop()
        await client.settle()

        assert Closed.journal == [(1006, 0)]
        assert app.groups.statistics()["given_up"] == 0


async def test_an_orderly_close_drops_nothing() -> None:
    """What was published before goes out before the close."""

    class Closed(Telling):
        journal = Journal()

    app = app_with(CloseWhenFull(), Closed)
    async with TestClient(app) as client, client.connect("/") as ws:
        await client.settle()
        await ws.stall(0)
        for number in range(3):
            await app.groups.publish("room", number)
        await ws.send("close")
        await client.settle()
        await ws.resume()
        assert [await ws.receive_json() for _ in range(3)] == [0, 1, 2]
        assert (await ws.receive_close()).code == 4000
        await client.settle()

        assert Closed.journal == [(4000, 0)]
