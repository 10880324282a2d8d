"""`WebSocketConsumer`: the class by itself, its work, its groups."""

from __future__ import annotations

from typing import Any

import anyio
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute as StarletteRoute

from consumers import (
    App,
    ConfigurationError,
    Groups,
    Internal,
    Limits,
    StateError,
    WebSocketConsumer,
    WebSocketRoute,
    intercepts,
)
from consumers.testing import ClientConnection, Refused, TestClient
from consumers_tests.doubles import Journal, serving
from consumers_tests.excesses import Excesses


class Said(msgspec.Struct):
    text: str


class Tick(msgspec.Struct, Internal):
    number: int


class Echo(WebSocketConsumer):
    """Names what the module defines further down."""

    async def on_receive(self, message: Later) -> None:
        await self.send_json(message)


class Later(msgspec.Struct):
    text: str


# -- the class -------------------------------------------------------------------------


async def test_an_annotation_may_name_what_is_defined_later() -> None:
    """It is read when the class is routed, at the latest."""
    assert "_plan" not in vars(Echo) or Echo._plan is Echo.prepare()
    async with serving(Echo) as client, client.connect("/") as ws:
        await ws.send('{"text":"a"}')
        assert await ws.receive(Later) == Later("a")


def test_an_annotation_that_is_never_defined_is_told() -> None:
    """Routing the class raises, and names what is missing."""

    class Broken(WebSocketConsumer):
        async def on_receive(self, message: Nowhere) -> None:  # type: ignore[name-defined]  # noqa: F821
            """Never called."""

    with pytest.raises(ConfigurationError, match="name 'Nowhere' is not defined"):
        WebSocketRoute("/", Broken)


def test_a_mistake_is_told_when_the_class_is_made() -> None:
    """Not when it is routed, and not when a client comes."""
    with pytest.raises(ConfigurationError, match="Wrong: concurrency must be"):
        type("Wrong", (WebSocketConsumer,), {"concurrency": 0})


async def test_the_class_is_an_asgi_application() -> None:
    """Starlette's own routing table takes it, path parameters included."""

    class Greeter(WebSocketConsumer):
        async def on_connect(self, name: str) -> None:
            await self.send(f"hello {name}")

    app = Starlette(routes=[StarletteRoute("/{name}", Greeter)])
    async with TestClient(app) as client, client.connect("/ada") as ws:
        assert await ws.receive() == "hello ada"


async def test_one_instance_serves_one_connection() -> None:
    """Attributes set in a hook belong to the connection."""

    class Counter(WebSocketConsumer):
        count = 0

        async def on_receive(self, message: str) -> None:
            self.count += 1
            await self.send(f"{self.count}")

    async with (
        serving(Counter) as client,
        client.connect("/") as one,
        client.connect("/") as two,
    ):
        for ws, expected in ((one, "1"), (one, "2"), (two, "1")):
            await ws.send("")
            assert await ws.receive() == expected


# -- work ------------------------------------------------------------------------------


async def test_work_can_be_cancelled_by_its_handle() -> None:
    """Cancelling it is no failure, and the connection goes on."""
    journal = Journal()

    class Working(WebSocketConsumer):
        async def on_connect(self) -> None:
            self.work = self.start_soon(self.wait, "a", name="waiting")

        async def wait(self, word: str) -> None:
            try:
                journal.add(f"began {word}")
                await anyio.sleep_forever()
            finally:
                journal.add("ended")

        async def on_receive(self, message: str) -> None:
            self.work.cancel()
            await self.send("cancelled")

    async with serving(Working) as client, client.connect("/") as ws:
        await journal.wait_for("began a")
        await ws.send("")
        assert await ws.receive() == "cancelled"
        await journal.wait_for("ended")


async def test_no_work_starts_after_the_end() -> None:
    """In `on_disconnect` the error names what outlives a connection."""
    errors: list[str] = []

    class Late(WebSocketConsumer):
        async def on_disconnect(self, code: int) -> None:
            try:
                self.start_soon(anyio.sleep_forever)
            except StateError as error:
                errors.append(str(error))

    async with serving(Late) as client, client.connect("/") as ws:
        await ws.close()
        await client.settle()

    assert errors == [
        (
            "can't start_soon: the connection has ended (code 1000); on_disconnect can "
            "clean up and publish"
        )
    ]


# -- joining and leaving ---------------------------------------------------------------


class Member(WebSocketConsumer):
    send_type = "json"

    async def on_connect(self) -> None:
        await self.join("lobby", "news", presence={"seat": 1})

    async def on_receive(self, message: str) -> None:
        await getattr(self, message)("lobby")


async def test_joining_twice_is_being_a_member_once() -> None:
    """A publication arrives once, and leaving once is enough."""
    groups = Groups()
    async with serving(Member, groups=groups) as client, client.connect("/") as ws:
        await ws.send("join")
        await client.settle()
        assert await groups.count("lobby") == 1
        await groups.publish("lobby", 1)
        assert await ws.receive(int) == 1
        await ws.send("leave")
        await client.settle()
        assert (await groups.count("lobby"), await groups.count("news")) == (0, 1)
        await ws.send("leave")
        await ws.receive_nothing()


async def test_nothing_is_joined_before_accept() -> None:
    """The error says what to do first."""

    class Early(WebSocketConsumer):
        async def on_handshake(self) -> None:
            await self.join("lobby")

    groups = Groups()
    async with serving(Early, quiet=True, groups=groups) as client:
        with pytest.raises(Refused, match="500"):
            async with client.connect("/"):
                """Never open."""

        assert await groups.count("lobby") == 0


class Snapshot(WebSocketConsumer):
    """Joins when it is told to, and publishes to itself before the snapshot is out."""

    send_type = "json"
    limits = Limits(outbox_messages=3)

    async def on_receive(self, message: str) -> None:
        async with self.joining("lobby", presence="late"):
            for number in range(int(message)):
                await self.publish("lobby", number)
            if self.query_params.get("fail"):
                raise ValueError("no snapshot")
            await self.send("snapshot")
        await self.publish("lobby", "after")


async def test_publications_wait_for_the_snapshot() -> None:
    """What is published while it is made comes behind it, in order."""
    async with serving(Snapshot) as client, client.connect("/") as ws:
        await ws.send("2")

        assert [await ws.receive(Any) for _ in range(4)] == ["snapshot", 0, 1, "after"]


async def test_a_failed_snapshot_leaves_the_group() -> None:
    """Nothing that was held is delivered, and the membership ends."""
    groups = Groups()
    async with (
        serving(Snapshot, quiet=True, groups=groups) as client,
        client.connect("/?fail=1") as ws,
    ):
        await ws.send("1")
        assert (await ws.receive_close()).code == 1011

    assert await groups.count("lobby") == 0


async def test_a_failed_snapshot_that_is_caught_leaves_the_group_too() -> None:
    """The connection goes on, without the group and without what was held for it."""

    class Caught(Snapshot):
        async def on_receive(self, message: str) -> None:
            try:
                await super().on_receive(message)
            except ValueError:
                await self.send("sorry")

    groups = Groups()
    async with (
        serving(Caught, groups=groups) as client,
        client.connect("/?fail=1") as ws,
    ):
        await ws.send("1")
        assert await ws.receive() == '"sorry"'
        assert await groups.count("lobby") == 0
        await groups.publish("lobby", "unheard")
        await ws.receive_nothing()


async def test_what_waits_for_a_snapshot_is_bounded(excesses: Excesses) -> None:
    """More than may wait for a slow client ends the connection with 1013."""
    async with serving(Snapshot, quiet=True) as client, client.connect("/") as ws:
        await ws.send("4")
        assert (await ws.receive_close()).code == 1013

    assert "closed with 1013" in excesses.line


# -- publications ----------------------------------------------------------------------


class Screened(WebSocketConsumer):
    """Sees, changes and drops publications."""

    send_type = "json"

    async def on_connect(self) -> None:
        await self.join("lobby")

    @intercepts
    async def hear(self, publication: Said) -> Said | dict[str, str] | None:
        match publication.text:
            case "drop":
                return None
            case "change":
                return {"text": "changed"}
            case "more":
                await self.send("before")
                async with anyio.create_task_group() as group:
                    group.start_soon(self.send_json, "it")
            case "fail":
                raise ValueError("an interceptor's bug")
            case "close":
                await self.close(4000)
                return None
        return publication

    @intercepts
    async def tick(self, publication: Tick) -> int:
        return publication.number


async def heard(ws: ClientConnection, count: int) -> list[Any]:
    """Return so many messages."""
    return [await ws.receive(Any) for _ in range(count)]


async def test_interceptors_see_change_and_drop() -> None:
    """Each publication of their type passes through them, and others do not."""
    groups = Groups()
    async with serving(Screened, groups=groups) as client, client.connect("/") as ws:
        for text in ("keep", "drop", "change"):
            await groups.publish("lobby", Said(text))
        await groups.publish("lobby", "plain")

        assert await heard(ws, 3) == [{"text": "keep"}, {"text": "changed"}, "plain"]


async def test_an_interceptor_may_send() -> None:
    """What it and its tasks send comes before what it returns; nothing overtakes."""
    groups = Groups()
    async with serving(Screened, groups=groups) as client, client.connect("/") as ws:
        await groups.publish("lobby", "first")
        await groups.publish("lobby", Said("more"))
        await groups.publish("lobby", "last")

        assert await heard(ws, 5) == [
            "first",
            "before",
            "it",
            {"text": "more"},
            "last",
        ]


async def test_an_interceptor_may_close() -> None:
    """The connection ends with its code."""
    groups = Groups()
    async with serving(Screened, groups=groups) as client, client.connect("/") as ws:
        await groups.publish("lobby", Said("close"))

        assert (await ws.receive_close()).code == 4000


async def test_an_interceptors_failure_is_its_connections() -> None:
    """That connection is closed with 1011, and the other gets all."""
    groups = Groups()
    app = App(
        [WebSocketRoute("/a", Screened), WebSocketRoute("/b", Member)], groups=groups
    )
    async with (
        TestClient(app, raise_server_exceptions=False) as client,
        client.connect("/a") as failing,
        client.connect("/b") as other,
    ):
        await groups.publish("lobby", Said("fail"))
        await groups.publish("lobby", "more")

        assert (await failing.receive_close()).code == 1011
        assert await heard(other, 2) == [{"text": "fail"}, "more"]


async def test_internal_publications_reach_interceptors_alone() -> None:
    """A client gets what an interceptor makes of them, and else nothing."""
    groups = Groups()
    app = App(
        [WebSocketRoute("/a", Screened), WebSocketRoute("/b", Member)], groups=groups
    )
    async with (
        TestClient(app) as client,
        client.connect("/a") as screened,
        client.connect("/b") as plain,
    ):
        await groups.publish("lobby", Tick(7))
        await groups.publish("lobby", "next")

        assert await heard(screened, 2) == [7, "next"]
        assert await heard(plain, 1) == ["next"]
