"""Rules: who may connect."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import pytest
from starlette.authentication import AuthCredentials
from starlette.exceptions import HTTPException

from consumers import (
    App,
    ConfigurationError,
    Identity,
    Limits,
    WebSocket,
    WebSocketConsumer,
    WebSocketRoute,
)
from consumers.handshake.allow import authenticated, has_scopes
from consumers.handshake.refusals import refused
from consumers.testing import Refused, TestClient
from consumers_tests.framed import talking
from consumers_tests.routed import status_after


async def authenticate(connection: WebSocket) -> Identity | None:
    """Tokens are ``name`` or ``name:scope``."""
    token = connection.token
    if not token:
        return None
    name, _, scope = token.partition(":")
    connection.auth = AuthCredentials([scope] if scope else [])
    return Identity(name)


async def is_ann(connection: WebSocket) -> bool:
    await anyio.lowlevel.checkpoint()
    return bool(connection.user.identity == "ann")


class Hello(WebSocketConsumer):
    async def on_connect(self) -> None:
        await self.send("hello")


async def answer(allow: Any, query: str = "", **settings: Any) -> str | int:
    """Return what a connection gets, or the status that it is refused with."""
    settings["allow"] = allow
    app = App([WebSocketRoute("/", Hello, **settings)], authenticate=authenticate)
    async with TestClient(app) as client:
        try:
            async with client.connect(f"/{query}") as ws:
                return str(await ws.receive())
        except Refused as error:
            return error.status


@pytest.mark.parametrize(
    ("allow", "query", "expected"),
    [
        (None, "", "hello"),
        ((), "", "hello"),
        (authenticated, "", 401),
        (authenticated, "?token=bob", "hello"),
        (is_ann, "", 401),
        (is_ann, "?token=bob", 403),
        (is_ann, "?token=ann", "hello"),
        (has_scopes("admin"), "", 401),
        (has_scopes("admin"), "?token=ann", 403),
        (has_scopes("admin"), "?token=ann:admin", "hello"),
        (has_scopes("admin", "root"), "?token=ann:admin", 403),
        ((authenticated, is_ann), "?token=ann", "hello"),
        ([authenticated, is_ann], "?token=bob", 403),
        (lambda connection: None, "?token=bob", 403),
    ],
)
async def test_rules_allow_or_refuse(
    allow: Any, query: str, expected: str | int
) -> None:
    """All must say so; 401 where nobody is known, 403 where somebody may not."""
    assert await answer(allow, query) == expected


async def test_a_refusal_with_401_says_what_may_help() -> None:
    """As HTTP asks for; and both are counted."""
    before = dict(refused)
    app = App([WebSocketRoute("/", Hello, allow=is_ann)], authenticate=authenticate)
    async with TestClient(app) as client:
        for query in ("", "?token=bob"):
            with pytest.raises(Refused) as caught:
                async with client.connect(f"/{query}"):
                    raise AssertionError
            known = bool(query)
            assert ("www-authenticate" in dict(caught.value.headers)) is not known

    for reason in ("auth", "allow"):
        assert refused[reason] == before.get(reason, 0) + 1


async def test_a_class_may_have_rules() -> None:
    """Before its hooks, which are not entered where it refuses; a route may lift it."""
    entered: list[str] = []

    class Closed(WebSocketConsumer):
        allow = authenticated

        async def on_handshake(self) -> None:
            entered.append(self.path_params["who"])

        async def on_disconnect(self, code: int) -> None:
            entered.append("left")

    app = App(
        [
            WebSocketRoute("/closed/{who}", Closed),
            WebSocketRoute("/open/{who}", Closed, allow=None),
        ],
        authenticate=authenticate,
    )
    async with TestClient(app) as client:
        with pytest.raises(Refused):
            async with client.connect("/closed/a"):
                raise AssertionError
        async with client.connect("/open/b"):
            pass

    assert entered == ["b", "left"]


async def test_a_rule_serves_without_an_application() -> None:
    """In a table of Starlette's, and where a class has nothing but its messages."""

    class Echo(WebSocketConsumer):
        allow = authenticated

        async def on_receive(self, message: str) -> None:
            await self.send(message)

    async with TestClient(Echo) as client:
        with pytest.raises(Refused) as caught:
            async with client.connect("/"):
                raise AssertionError
        assert caught.value.status == 401
        async with client.connect("/", identity=Identity("ann")) as ws:
            await ws.send("hello")
            assert await ws.receive() == "hello"


async def test_a_view_has_rules_too() -> None:
    """As a setting of its route."""
    app = App(authenticate=authenticate)

    @app.websocket_route("/", allow=authenticated)
    async def hello(ws: WebSocket) -> None:
        await ws.send("hello")

    async with TestClient(app) as client:
        with pytest.raises(Refused):
            async with client.connect("/"):
                raise AssertionError
        async with client.connect("/?token=ann") as ws:
            assert await ws.receive() == "hello"


async def test_a_rule_may_refuse_in_its_own_words() -> None:
    """By an exception, as `authenticate` does."""

    def paid(connection: WebSocket) -> bool:
        raise HTTPException(402)

    assert await answer(paid) == 402


async def test_a_rule_has_the_handshake_s_deadline() -> None:
    """A database that does not answer costs a client the handshake, not a task."""

    async def slow(connection: WebSocket) -> bool:
        await anyio.sleep_forever()
        raise AssertionError

    app = App(
        [WebSocketRoute("/", Hello, allow=slow, limits=Limits(handshake_timeout=7))]
    )
    assert await status_after(app, 7) == 408


async def test_a_client_of_the_subprotocol_can_read_the_refusal() -> None:
    """4401 has it fetch a credential; and a newer one is asked about as the first."""

    class Speaking(WebSocketConsumer):
        value_type = "json"
        allow = has_scopes("admin")

        async def on_receive(self, message: Any) -> None:
            await self.send(self.auth.scopes)

    app = App([WebSocketRoute("/", Speaking)], authenticate=authenticate)
    async with TestClient(app) as client:
        async with client.connect("/", subprotocols=["consumers.v1+json"]) as ws:
            assert '"code":4401' in await ws.receive()
        async with talking(client, "/?token=ann:admin") as peer:
            await peer.send("refresh", id=1, token="ann")
            answer = await peer.receive()
            assert (answer["type"], answer["code"]) == ("error", "not_allowed")
            await peer.send("message", message=None)
            assert (await peer.receive())["message"] == ["admin"]


@pytest.mark.parametrize(
    "wrong",
    ["admin", lambda: True, lambda one, two: True, Identity, (authenticated, 1)],
)
def test_a_rule_is_a_function_of_a_connection(wrong: Any) -> None:
    """Told when the class is made."""
    with pytest.raises(ConfigurationError, match="allow must be a function") as caught:
        type("Wrong", (WebSocketConsumer,), {"allow": wrong})

    assert str(caught.value) == (
        "Wrong: allow must be a function of a connection, or a tuple of some, "
        f"got {wrong!r}"
    )


async def test_a_rule_may_be_anything_that_can_be_called() -> None:
    """An object, a partial function."""

    class Owner:
        def __call__(self, connection: WebSocket) -> bool:
            return True

    def named(name: str, connection: WebSocket) -> bool:
        return bool(connection.user.identity == name)

    assert await answer(Owner()) == "hello"
    assert await answer(partial(named, "ann"), "?token=ann") == "hello"


@pytest.mark.parametrize("wrong", [(), (1,)])
def test_scopes_are_texts(wrong: Any) -> None:
    """At least one, else everybody had all of them."""
    with pytest.raises(TypeError, match="must get the names of scopes"):
        has_scopes(*wrong)
