"""Crowd: how many connections there may be, and that each gives up its place."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anyio
import pytest
from starlette.authentication import UnauthenticatedUser
from starlette.middleware import Middleware

from consumers import App, Identity, Limits, WebSocketConsumer, WebSocketRoute
from consumers.handshake.crowd import Crowd, Crowds, Place, address_of
from consumers.handshake.refusals import refused
from consumers.testing import Refused, TestClient
from consumers_tests.excesses import Excesses


class Listening(WebSocketConsumer):
    async def on_receive(self, message: str) -> None: ...


class From:
    """A middleware that has clients come from the address that a header names."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = dict(scope.get("headers", ()))
        if b"x-from" in headers:
            scope["client"] = (headers[b"x-from"].decode(), 1)
        await self.app(scope, receive, send)


@asynccontextmanager
async def serving(bounds: Limits, **options: Any) -> AsyncIterator[TestClient]:
    """Serve two paths with these limits: one of the application's, one of its own."""

    class Own(Listening):
        limits = Limits(connections=1)

    routes = [WebSocketRoute("/", Listening), WebSocketRoute("/own", Own)]
    middleware = [Middleware(From)]
    app = App(routes, limits=bounds, middleware=middleware, **options)
    async with TestClient(app) as client:
        yield client
    for crowd in app.crowds._by_limits.values():
        assert (crowd.total, crowd.addresses, crowd.users) == (0, {}, {})


async def refusal(client: TestClient, path: str = "/", **options: Any) -> Refused:
    """Connect, and return how that is refused."""
    with pytest.raises(Refused) as caught:
        async with client.connect(path, **options):
            pass
    return caught.value


async def opened(
    client: TestClient, stack: AsyncExitStack, count: int, **options: Any
) -> list[Any]:
    """Open so many connections."""
    return [
        await stack.enter_async_context(client.connect("/", **options))
        for _ in range(count)
    ]


@pytest.mark.parametrize("most", [3, None])
async def test_connections_in_all(most: int | None, excesses: Excesses) -> None:
    """The last that may come is served, the next refused with 503; off, it is not."""
    before = refused["limit_total"]
    async with serving(Limits(connections=most)) as client:
        async with AsyncExitStack() as stack:
            first, *_ = await opened(client, stack, 3)
            if most is None:
                await opened(client, stack, 1)
                assert excesses.counted == {}
                return
            assert excesses.counted == {}
            full = await refusal(client)
            assert (full.status, full.headers["retry-after"]) == (503, "5")
            await first.close()
            await client.settle()
            await opened(client, stack, 1)
            assert (await refusal(client)).status == 503
        async with client.connect("/"):
            pass
    assert refused["limit_total"] == before + 2
    assert excesses.counted == {"connections": 2}
    assert excesses.line == ("connection refused with 503: limits.connections allows 3")


@pytest.mark.parametrize("most", [2, None])
async def test_connections_per_address(most: int | None) -> None:
    """Each address has as many; one more is refused with 429, and others are not."""
    async with (
        serving(Limits(connections_per_address=most)) as client,
        AsyncExitStack() as stack,
    ):
        for address in ("192.0.2.1", "192.0.2.2", "2001:db8:0:1::1"):
            await opened(client, stack, 2, headers={"x-from": address})
        again: dict[str, Any] = {"headers": {"x-from": "2001:db8:0:1::ffff"}}
        if most is None:
            await opened(client, stack, 1, **again)
        else:
            full = await refusal(client, **again)
            assert (full.status, full.headers["retry-after"]) == (429, "5")
        await opened(client, stack, 1, headers={"x-from": "2001:db8:0:2::1"})


@pytest.mark.parametrize("most", [2, None])
async def test_connections_per_user(most: int | None) -> None:
    """Each user has as many, wherever they come from; who is unknown has no bound."""
    async with (
        serving(Limits(connections_per_user=most)) as client,
        AsyncExitStack() as stack,
    ):
        for name in ("anna", "bert"):
            await opened(client, stack, 2, identity=Identity(name))
        if most is None:
            await opened(client, stack, 1, identity=Identity("anna"))
        else:
            full = await refusal(client, identity=Identity("anna"))
            assert (full.status, full.headers["retry-after"]) == (429, "5")
        await opened(client, stack, 3)


class Named(WebSocketConsumer):
    """Who it is, the query says: a hook takes its word for it."""

    async def on_handshake(self, name: str = "") -> None:
        self.user = Identity(name) if name else UnauthenticatedUser()


class Accepting(Named):
    auto_accept = False

    async def on_connect(self) -> None:
        await self.accept()


@pytest.mark.parametrize("kind", [Named, Accepting])
async def test_a_user_whom_a_hook_sets_is_counted(
    kind: type[WebSocketConsumer],
) -> None:
    """In place of whoever it was before, as the handshake is accepted."""
    bounds = Limits(connections_per_user=1)
    app = App([WebSocketRoute("/", kind)], limits=bounds)
    anna: dict[str, Any] = {"identity": Identity("anna")}
    async with TestClient(app) as client:
        users = app.crowds.of(bounds).users
        async with client.connect("/?name=bert", **anna):
            assert users == {"bert": 1}
            for options in ({}, anna):
                full = await refusal(client, "/?name=bert", **options)
                assert (full.status, full.headers["retry-after"]) == (429, "5")
                assert users == {"bert": 1}
            async with client.connect("/?name=anna"), client.connect("/"):
                assert users == {"anna": 1, "bert": 1}
        async with client.connect("/", **anna):
            assert users == {}
    assert (app.crowds.of(bounds).total, users) == (0, {})


async def test_a_client_of_the_subprotocol_is_told_when_to_return() -> None:
    """It gets a goodbye with the seconds, and a close that its script can read."""
    async with (
        serving(Limits(connections=1)) as client,
        client.connect("/"),
        client.connect("/", subprotocols=["consumers.v1+json"]) as ws,
    ):
        goodbye = await ws.receive_json()
        assert (goodbye["code"], goodbye["after"]) == (4503, 5)
        assert (await ws.receive_close()).code == 4503


async def test_a_class_with_limits_of_its_own_has_a_crowd_of_its_own() -> None:
    """Its connections count for its limits, and not for the application's."""
    async with (
        serving(Limits(connections=1)) as client,
        client.connect("/"),
        client.connect("/own"),
    ):
        assert (await refusal(client, "/own")).status == 503
        assert (await refusal(client)).status == 503


@pytest.mark.parametrize("end", ["drop", "raise", "reject", "cancel"])
async def test_each_end_gives_up_the_place(end: str) -> None:
    """However a connection ends its place is free again, and is so once."""
    bounds = Limits(connections=1, connections_per_address=1, connections_per_user=1)
    entered = anyio.Event()

    class Ending(WebSocketConsumer):
        async def on_handshake(self) -> None:
            if end == "reject":
                await self.reject(418)

        async def on_connect(self) -> None:
            entered.set()
            if end == "raise":
                raise ValueError("on purpose")
            if end == "cancel":
                await anyio.sleep_forever()

    app = App([WebSocketRoute("/", Ending)], limits=bounds)
    statuses: list[int] = []

    async def connect(client: TestClient) -> None:
        try:
            async with client.connect("/", identity=Identity("anna")) as ws:
                if end == "drop":
                    await ws.drop()
                elif end != "reject":
                    await ws.receive_close()
        except Refused as error:
            statuses.append(error.status)

    async with TestClient(app, raise_server_exceptions=False) as client:
        for _ in range(2):
            entered = anyio.Event()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(connect, client)
                if end == "cancel":
                    await entered.wait()
                    crowd = app.crowds.of(bounds)
                    assert (crowd.total, crowd.users["anna"]) == (1, 1)
                    tasks.cancel_scope.cancel()
    crowd = app.crowds.of(bounds)
    assert (crowd.total, crowd.addresses, crowd.users) == (0, {}, {})
    assert statuses == ([418, 418] if end == "reject" else [])


@pytest.mark.parametrize(
    ("client", "counted_by"),
    [
        (None, None),
        (("192.0.2.1", 5), "192.0.2.1"),
        (("::ffff:192.0.2.1", 5), "192.0.2.1"),
        (("2001:db8:1:2:3:4:5:6", 5), "2001:db8:1:2::/64"),
        (("fe80::1%eth0", 5), "fe80::/64"),
        (("testclient", 5), "testclient"),
        (("a:b", 5), "a:b"),
    ],
)
def test_what_clients_are_counted_by(client: Any, counted_by: str | None) -> None:
    """IPv6 by the network that one household has; what is no address as it is."""
    assert address_of({"client": client}) == counted_by


def test_a_place_is_given_up_once() -> None:
    """A second time nothing happens, nor can it be taken for a user any more."""
    crowd = Crowd(Limits(connections_per_user=1, connections_per_address=5))
    places = [Place(crowd, {"client": ("192.0.2.1", 5)}) for _ in range(2)]
    places[0].take_as("anna")
    places[0].take_as("anna")
    for _ in range(3):
        places[0].give_up()
    places[0].take_as("anna")

    assert (crowd.total, crowd.users, crowd.addresses) == (1, {}, {"192.0.2.1": 1})


def test_equal_limits_have_a_crowd_each() -> None:
    """Two classes with the same numbers do not count for each other."""
    crowds, one, other = Crowds(), Limits(connections=1), Limits(connections=1)

    assert crowds.of(one) is crowds.of(one)
    assert crowds.of(one) is not crowds.of(other)
