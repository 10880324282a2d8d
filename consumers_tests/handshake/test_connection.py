"""What is known of a connection from its handshake."""

from typing import Any

import pytest
from starlette.authentication import AuthCredentials, SimpleUser

from consumers.errors import StateError
from consumers.handshake.connection import Connection
from consumers.handshake.identity import Identity


def connection(**scope: Any) -> Connection:
    return Connection(
        {"type": "websocket", "path": "/", "headers": [], "query_string": b"", **scope}
    )


def test_each_connection_has_an_id() -> None:
    """It is the same each time, and another one's is another."""
    one, two = connection(), connection()

    assert one.id == one.id
    assert one.id != two.id


def test_the_request_is_starlettes() -> None:
    """The URL, headers, cookies and query are read as Starlette reads them."""
    made = connection(
        path="/chat",
        query_string=b"a=1&a=2",
        headers=[(b"host", b"testserver"), (b"cookie", b"b=3")],
        scheme="ws",
    )

    assert str(made.url) == "ws://testserver/chat?a=1&a=2"
    assert made.query_parameters.getlist("a") == ["1", "2"]
    assert made.query_parameters == made.query_params
    assert made.cookies == {"b": "3"}
    assert made.headers["Host"] == "testserver"


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ({}, []),
        ({"subprotocols": None}, []),
        ({"subprotocols": ("b", "a")}, ["b", "a"]),
        ({"subprotocols": ["bearer.abc", "b"]}, ["b"]),
    ],
)
def test_offered_subprotocols(scope: dict[str, Any], expected: list[str]) -> None:
    """They come in the client's order, and are none where the server tells nothing."""
    assert connection(**scope).subprotocols == expected


def test_the_session_needs_its_middleware() -> None:
    """With it, it is the scope's; without, the error shows the line that is missing."""
    assert connection(session={"a": 1}).session == {"a": 1}
    with pytest.raises(StateError, match=r"Middleware\(SessionMiddleware, secret_key="):
        _ = connection().session


def test_the_user_is_somebody_or_nobody() -> None:
    """It can be set, comes from a middleware, or is somebody unknown."""
    made = connection()
    assert not made.user.is_authenticated
    assert made.user.display_name == ""
    assert made.user.identity == ""
    made.user = Identity("42")

    assert made.user.identity == "42"
    assert made.scope["user"] is made.user
    assert connection(user=SimpleUser("ada")).user.display_name == "ada"


def test_the_credentials_are_the_middlewares() -> None:
    """They can be set, and are `None` without a middleware."""
    made = connection()
    assert made.auth is None
    made.auth = AuthCredentials(["staff"])

    assert made.scope["auth"].scopes == ["staff"]


@pytest.mark.parametrize(
    ("headers", "query", "token"),
    [
        ([], b"", None),
        ([(b"authorization", b"Bearer abc")], b"", "abc"),
        ([(b"authorization", b"bearer  abc ")], b"", "abc"),
        ([(b"authorization", b"Basic abc")], b"", None),
        ([(b"authorization", b"Bearer")], b"", None),
        ([(b"authorization", b"Basic abc")], b"token=def", "def"),
        ([(b"authorization", b"Bearer abc")], b"token=def", "abc"),
        ([], b"token=d%20ef&token=g", "g"),
        ([], b"token=", ""),
    ],
)
def test_a_token_comes_from_the_header_or_the_query(
    headers: Any, query: bytes, token: str | None
) -> None:
    """What a client can set at all comes first; browsers can set the query alone."""
    assert connection(headers=headers, query_string=query).token == token


def test_a_token_may_come_as_a_subprotocol() -> None:
    """After the header and before the query, which gets into logs."""
    offered = {"subprotocols": ["chat", "bearer.a%2Fb"]}
    header = [(b"authorization", b"Bearer abc")]

    assert connection(**offered).token == "a/b"
    assert connection(**offered, query_string=b"token=def").token == "a/b"
    assert connection(**offered, headers=header).token == "abc"
