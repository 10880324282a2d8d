"""Who is on the other side: `Identity`, `authenticate`, and Starlette's middleware."""

import base64
import binascii
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest
from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
    BaseUser,
    SimpleUser,
)
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection

from consumers import (
    App,
    ConfigurationError,
    Groups,
    Identity,
    Limits,
    WebSocket,
    WebSocketConsumer,
    WebSocketRoute,
)
from consumers.testing import Refused, TestClient
from consumers_tests.routed import status_after


class Who(WebSocketConsumer):
    """Says who it is."""

    async def on_connect(self) -> None:
        await self.send(f"{self.user.display_name!r} {self.user.is_authenticated}")


async def by_token(ws: WebSocket) -> Identity | None:
    """Know whoever has a token."""
    token = ws.query_params.get("token")
    if token == "wrong":
        raise HTTPException(401, "wrong token")
    if token == "banned":
        await ws.reject(403, "banned")
    return Identity(token, name=token.title()) if token else None


app = App([WebSocketRoute("/", Who)], authenticate=by_token)


# -- identities -----------------------------------------------------------------------


def test_an_identity_is_a_user() -> None:
    """It has what Starlette's users have."""
    identity = Identity("42", data={"plan": "free"})

    assert isinstance(identity, BaseUser)
    assert identity.is_authenticated
    assert (identity.identity, identity.display_name) == ("42", "42")
    assert Identity("42", name="Ada").display_name == "Ada"
    assert identity.data == {"plan": "free"}


@pytest.mark.parametrize("key", ["", 42, None])
def test_a_key_is_a_text(key: Any) -> None:
    """Numbers are not turned into text behind anyone's back."""
    with pytest.raises(TypeError) as caught:
        Identity(key)

    assert str(caught.value) == (
        f"an identity's key must be a non-empty string, got {key!r}; write str(user.id)"
    )


def test_an_expiry_has_a_time_zone() -> None:
    """Without one nobody knows when it is."""
    naive = datetime(2030, 1, 1)
    with pytest.raises(ValueError, match="with a time zone") as caught:
        Identity("42", naive)

    assert str(caught.value) == (
        f"an identity's expiry must be a time with a time zone, got {naive!r}; write "
        "datetime.now(UTC) + lifetime"
    )
    assert Identity("42", datetime(2030, 1, 1, tzinfo=UTC)).expires is not None


def test_a_session_is_a_text_and_a_secret() -> None:
    """Whoever has it is let in, so it is not shown."""
    assert "s3cret" not in repr(Identity("42", session="s3cret"))
    with pytest.raises(TypeError, match=r"write str\(session.id\)"):
        Identity("42", session=42)  # type: ignore[arg-type]


# -- authenticate ---------------------------------------------------------------------


async def test_authenticate_says_who_it_is() -> None:
    """What it returns is `self.user`; `None` leaves somebody unknown."""
    async with TestClient(app) as client:
        async with client.connect("/?token=ada") as ws:
            assert await ws.receive() == "'Ada' True"
        async with client.connect("/") as ws:
            assert await ws.receive() == "'' False"


@pytest.mark.parametrize(
    ("token", "status", "body"),
    [("wrong", 401, b"wrong token"), ("banned", 403, b"banned")],
)
async def test_authenticate_may_refuse(token: str, status: int, body: bytes) -> None:
    """By an exception or by `reject`, before accept."""
    async with TestClient(app) as client:
        with pytest.raises(Refused) as caught:
            async with client.connect(f"/?token={token}"):
                raise AssertionError

    assert (caught.value.status, caught.value.body) == (status, body)


async def test_a_test_may_say_who_it_is() -> None:
    """An identity of the client's comes before `authenticate`."""
    eve = Identity("eve")
    async with (
        TestClient(app) as client,
        client.connect("/?token=wrong", identity=eve) as ws,
    ):
        assert await ws.receive() == "'eve' True"


async def test_hooks_and_parameters_come_after_authenticate() -> None:
    """`on_handshake` knows the user; wrong parameters are refused without asking."""
    asked: list[str] = []

    async def authenticate(ws: WebSocket) -> Identity:
        asked.append(ws.url.path)
        return Identity("42")

    class Shop(WebSocketConsumer):
        async def on_handshake(self, shop: int) -> None:
            if self.user.identity == "42":
                await self.reject(402)

    shops = App([WebSocketRoute("/{shop}", Shop)], authenticate=authenticate)
    async with TestClient(shops) as client:
        for path, status in (("/x", 400), ("/1", 402)):
            with pytest.raises(Refused) as caught:
                async with client.connect(path):
                    raise AssertionError
            assert caught.value.status == status

    assert asked == ["/1"]


async def test_authenticate_must_return_an_identity() -> None:
    """A row of the database, say, is refused with what to write."""

    async def authenticate(ws: WebSocket) -> Any:
        return {"id": 42}

    wrong = App([WebSocketRoute("/", Who)], authenticate=authenticate)
    async with TestClient(wrong) as client:
        with pytest.raises(TypeError) as caught:
            async with client.connect("/"):
                raise AssertionError

    assert str(caught.value) == (
        "authenticate must return an Identity or None, got {'id': 42}; "
        "write Identity(str(user.id), data=user)"
    )


def test_authenticate_is_asynchronous() -> None:
    """A plain function is refused with the table; an object with such a call is not."""

    def plain(ws: WebSocket) -> None: ...

    class Authenticating:
        async def __call__(self, ws: WebSocket) -> None: ...

    with pytest.raises(ConfigurationError) as caught:
        App(authenticate=plain)  # type: ignore[arg-type]

    assert str(caught.value) == (
        f"authenticate must be 'async def', got {plain!r}; "
        "write async def authenticate(connection) -> Identity | None"
    )
    App(authenticate=Authenticating())


async def test_authenticate_has_a_deadline() -> None:
    """A user database that does not answer costs a client the handshake, not a task."""

    async def authenticate(ws: WebSocket) -> Identity | None:
        await anyio.sleep_forever()
        raise AssertionError

    slow = App(
        [WebSocketRoute("/", Who)],
        authenticate=authenticate,
        limits=Limits(handshake_timeout=7),
    )
    assert await status_after(slow, 7) == 408


async def test_user_and_auth_can_be_set() -> None:
    """A handshake may find out by itself; what it sets, groups go by."""
    groups = Groups()

    class Own(WebSocketConsumer):
        async def on_handshake(self) -> None:
            assert self.auth is None
            self.user, self.auth = Identity("42"), {"scopes": ["read"]}

        async def on_connect(self) -> None:
            await self.send(f"{self.user.identity} {self.auth}")

    own = App([WebSocketRoute("/", Own)], groups=groups)
    async with TestClient(own) as client, client.connect("/") as ws:
        assert await ws.receive() == "42 {'scopes': ['read']}"
        await groups.publish_to_user("42", "hello")
        assert await ws.receive() == "hello"


# -- Starlette's middleware -----------------------------------------------------------


class Basic(AuthenticationBackend):
    """Takes any password."""

    async def authenticate(
        self, conn: HTTPConnection[Any]
    ) -> tuple[AuthCredentials, BaseUser] | None:
        header = conn.headers.get("authorization")
        if header is None:
            return None
        try:
            name = base64.b64decode(header.removeprefix("Basic ")).decode()
        except (ValueError, binascii.Error) as error:
            raise AuthenticationError("not Basic") from error
        return AuthCredentials(["authenticated"]), SimpleUser(name.partition(":")[0])


class WithScopes(WebSocketConsumer):
    async def on_connect(self) -> None:
        await self.send(f"{self.user.display_name!r} {self.auth.scopes}")


behind = App(
    [WebSocketRoute("/", WithScopes)],
    middleware=[Middleware(AuthenticationMiddleware, backend=Basic())],
)


async def test_starlette_s_middleware_says_who_it_is() -> None:
    """Its user and credentials are `self.user` and `self.auth`."""
    header = "Basic " + base64.b64encode(b"ada:secret").decode()
    async with TestClient(behind) as client:
        async with client.connect("/", headers={"authorization": header}) as ws:
            assert await ws.receive() == "'ada' ['authenticated']"
            await behind.groups.publish_to_user("ada", "a word")
            assert await ws.receive() == "a word"
        async with client.connect("/") as ws:
            assert await ws.receive() == "'' []"


async def test_starlette_s_middleware_refuses() -> None:
    """An error of its backend closes before accept, which a client sees as 403."""
    async with TestClient(behind) as client:
        with pytest.raises(Refused) as caught:
            async with client.connect("/", headers={"authorization": "Basic é"}):
                raise AssertionError

    assert caught.value.status == 403
