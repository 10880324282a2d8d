"""Permission: who may join the groups of a pattern."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from consumers import (
    App,
    ConfigurationError,
    Group,
    Groups,
    Identity,
    NotAllowed,
    WebSocketConsumer,
    WebSocketRoute,
    subscribes,
)
from consumers.handshake.allow import authenticated
from consumers.testing import TestClient
from consumers_tests.framed import talking


async def owns(connection: WebSocketConsumer, shop: int) -> bool:
    await anyio.lowlevel.checkpoint()
    return bool(connection.user.identity == f"owner-{shop}")


orders = Group("orders.{shop}.{kind}", allow=(authenticated, owns))
shops = Group("shops")


class Joining(WebSocketConsumer):
    value_type = "json"

    async def on_receive(self, message: list[str]) -> None:
        try:
            await self.join(shops, *message)
        except NotAllowed as error:
            await self.send(str(error))
        else:
            await self.send("joined")

    @subscribes(orders)
    async def order(self, shop: int, kind: str) -> str:
        return f"{kind} of {shop}"


def application() -> App:
    return App([WebSocketRoute("/", Joining)], groups=Groups(declared=[orders, shops]))


@pytest.mark.parametrize(
    ("user", "group", "answer"),
    [
        ("owner-1", "orders.1.new", "joined"),
        ("owner-2", "orders.1.new", "group 'orders.1.new' is not open"),
        (None, "orders.1.new", "group 'orders.1.new' is not open"),
        ("owner-1", "orders.x.new", "group 'orders.x.new': Expected `int`"),
        (None, "elsewhere", "joined"),
    ],
)
async def test_rules_are_asked_on_joining(
    user: str | None, group: str, answer: str
) -> None:
    """With the parameters of the group; who may not is a member of none of them."""
    app = application()
    identity = None if user is None else Identity(user)
    async with (
        TestClient(app) as client,
        client.connect("/", identity=identity) as ws,
    ):
        await ws.send_json([group])
        assert (await ws.receive_json()).startswith(answer)
        members = int(answer == "joined")
        assert await app.groups.count(shops) == members
        assert await app.groups.count(group) == members


@pytest.mark.parametrize(("user", "kind"), [("owner-1", "reply"), ("bob", "error")])
async def test_rules_are_asked_of_subscribers(user: str, kind: str) -> None:
    """Before the class's own method, which says what they get."""
    async with (
        TestClient(application()) as client,
        talking(client, "/", identity=Identity(user)) as peer,
    ):
        await peer.send("subscribe", id=1, group="orders.1.new")
        answer = await peer.receive()

    if kind == "error":
        assert (answer["type"], answer["code"]) == ("error", "not_allowed")
    else:
        assert (answer["type"], answer["snapshot"]) == ("subscribed", "new of 1")


async def test_uncaught_it_closes() -> None:
    """With 1008, which a client does not return after."""

    class Hello(WebSocketConsumer):
        async def on_connect(self) -> None:
            await self.join(orders(1, "new"))

    async with TestClient(Hello) as client, client.connect("/") as ws:
        closed = await ws.receive_close()

    assert (closed.code, closed.reason) == (1008, "not allowed")


async def test_a_source_s_groups_have_rules_too() -> None:
    """As any other's."""
    groups = Groups()

    @groups.source("ticks.{shop}", allow=owns)
    async def ticks(shop: int) -> AsyncIterator[str]:
        yield f"tick of {shop}"

    class Ticking(WebSocketConsumer):
        async def on_connect(self, shop: int) -> None:
            await self.join(ticks(shop))

    app = App([WebSocketRoute("/{shop}", Ticking)], groups=groups)
    async with TestClient(app) as client:
        async with client.connect("/1", identity=Identity("owner-1")) as ws:
            assert await ws.receive() == "tick of 1"
        async with client.connect("/1", identity=Identity("owner-2")) as ws:
            assert (await ws.receive_close()).code == 1008


class Callable:
    """An object that is a rule."""

    def __call__(self, connection: Any, room: str) -> bool:
        return room == "lobby"


async def test_a_rule_may_be_an_object() -> None:
    """One that can be called."""
    room = Group("room.{room}", allow=Callable())

    class Rooms(WebSocketConsumer):
        async def on_connect(self, name: str) -> None:
            await self.join(room(name))
            await self.send("in")

    async with TestClient(App([WebSocketRoute("/{name}", Rooms)])) as client:
        async with client.connect("/lobby") as ws:
            assert await ws.receive() == "in"
        async with client.connect("/office") as ws:
            assert (await ws.receive_close()).code == 1008


def undefined(connection: Any, shop: Nowhere) -> bool:  # type: ignore[name-defined]  # noqa: F821
    raise AssertionError


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("admin", "must be a function of a connection"),
        (Callable, "must be a function of a connection"),
        (lambda: True, "must take 'connection'"),
        (lambda connection, other: True, "parameters of group 'a.{b}' by their names"),
        (undefined, "must be defined before it"),
    ],
)
def test_a_rule_takes_what_the_pattern_has(rule: Any, said: str) -> None:
    """Told when the group is declared."""
    with pytest.raises(ConfigurationError, match=said.replace("{", "\\{")):
        Group("a.{b}", allow=rule)
