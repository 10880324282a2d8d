"""Refusals: in the form that the server and the application allow."""

from typing import Any

import msgspec
import pytest
from starlette.exceptions import HTTPException, WebSocketException

from consumers.errors import (
    InvalidMessage,
    InvalidParameters,
    MessageNotEncodable,
)
from consumers.handshake.refusal import Refusal, Refusals, closing_by, end_by, leaves

DENIAL = {"type": "websocket", "extensions": {"websocket.http.response": {}}}
PLAIN = {"type": "websocket"}


class Why(msgspec.Struct):
    text: str


async def sent(
    scope: dict[str, Any], form: Refusals, *arguments: Any
) -> list[dict[str, Any]]:
    """Return the events of a refusal."""
    events: list[Any] = []

    async def send(event: Any) -> None:
        events.append(event)

    async def receive() -> Any:
        raise AssertionError("a refusal reads nothing")

    await Refusal(scope, form, *arguments).send(receive, send)
    return events


@pytest.mark.parametrize(
    ("content", "body", "kind"),
    [
        (None, b"", b"text/plain; charset=utf-8"),
        ("", b"", b"text/plain; charset=utf-8"),
        ("who are you", b"who are you", b"text/plain; charset=utf-8"),
        ({"error": 1}, b'{"error":1}', b"application/json"),
        ([], b"[]", b"application/json"),
        (0, b"0", b"application/json"),
        (Why("late"), b'{"text":"late"}', b"application/json"),
    ],
)
async def test_a_denial_has_status_headers_and_content(
    content: object, body: bytes, kind: bytes
) -> None:
    """Text is sent as text, and every other value as JSON."""
    start, rest = await sent(DENIAL, "http", 401, content, {"X-Why": "é"})

    assert start["type"] == "websocket.http.response.start"
    assert start["status"] == 401
    assert (b"x-why", b"\xe9") in start["headers"]
    assert (b"content-type", kind) in start["headers"]
    assert (rest["type"], rest["body"]) == ("websocket.http.response.body", body)


@pytest.mark.parametrize("extensions", [None, {}, {"other": {}}])
async def test_a_server_without_denials_answers_403(extensions: Any) -> None:
    """A close before the accept is what every server knows."""
    scope = {"type": "websocket", "extensions": extensions}

    for each in (PLAIN, scope):
        assert await sent(each, "http", 401, "x") == [
            {"type": "websocket.close", "code": 1008}
        ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("slow down", "slow down"),
        (None, ""),
        ({"a": 1}, ""),
        ("é" * 61, "é" * 61),
        ("é" * 62, ""),
    ],
)
@pytest.mark.parametrize("scope", [DENIAL, PLAIN])
async def test_a_close_stands_for_the_status(
    scope: dict[str, Any], content: object, reason: str
) -> None:
    """Accepted and closed with 4000 + status, with the text where it fits."""
    assert await sent(scope, "close", 429, content) == [
        {"type": "websocket.accept", "headers": []},
        {"type": "websocket.close", "code": 4429, "reason": reason},
    ]


def test_headers_are_checked() -> None:
    """A refusal can't split the response any more than an acceptance can."""
    with pytest.raises(ValueError, match="a header must be"):
        Refusal(DENIAL, "http", 401, None, {"a": "b\r\nc: d"})


ERRORS: list[tuple[Exception, Any, Any]] = [
    (
        InvalidParameters({"a": "is missing"}),
        None,
        (400, {"errors": {"a": "is missing"}}, None),
    ),
    (HTTPException(404, "no room"), (1008, ""), (404, "no room", None)),
    (
        HTTPException(429, headers={"retry-after": "5"}),
        (1008, ""),
        (429, "Too Many Requests", {"retry-after": "5"}),
    ),
    (WebSocketException(4000, "why"), (4000, "why"), (403, "why", None)),
    (WebSocketException(4000), (4000, ""), (403, None, None)),
    (InvalidMessage(1007, "not JSON", "secret"), (1007, "not JSON"), None),
]


@pytest.mark.parametrize(("error", "closing", "refusal"), ERRORS)
def test_which_errors_end_a_connection_in_their_own_way(
    error: Exception, closing: object, refusal: object
) -> None:
    """After accept by code and reason, and before it by status, content and headers."""
    assert end_by(error)[1] == refusal
    assert end_by(error)[0] == closing or isinstance(error, InvalidParameters)
    assert end_by(KeyError()) == (None, None)


def test_groups_of_errors_are_looked_into() -> None:
    """The first known one counts if all are known; otherwise it is a failure."""
    known, other = InvalidMessage(1003, "x"), HTTPException(401)
    group = ExceptionGroup("a", [ExceptionGroup("b", [known]), other])

    assert list(leaves(group)) == [known, other]
    assert closing_by(known) == (1003, "x")
    assert closing_by(group) == (1003, "x")
    assert closing_by(KeyError()) == (1011, "")
    assert closing_by(ExceptionGroup("c", [known, KeyError()])) == (1011, "")


@pytest.mark.parametrize("scope", [DENIAL, PLAIN], ids=["denial", "plain"])
@pytest.mark.parametrize("form", ["http", "close"])
async def test_clients_of_the_subprotocol_get_a_frame(
    scope: dict[str, Any], form: Refusals
) -> None:
    """Accepted, told and closed, whatever form is set for others."""
    events: list[Any] = []

    async def send(event: Any) -> None:
        events.append(event)

    headers, json = {"Retry-After": "7"}, "consumers.v1+json"
    refusal = Refusal(scope, form, 429, {"why": "full"}, headers, protocol=json)
    await refusal.send(_unread, send)

    accept, goodbye, close = events
    assert accept["subprotocol"] == json
    assert msgspec.json.decode(goodbye["text"]) == {
        "type": "goodbye",
        "code": 4429,
        "reconnect": True,
        "after": 7,
        "detail": {"why": "full"},
    }
    assert (close["type"], close["code"]) == ("websocket.close", 4429)


async def test_what_has_no_form_in_a_frame_is_told_before_anything_is_sent() -> None:
    """It is the application's mistake, and the handshake is still open."""
    with pytest.raises(MessageNotEncodable):
        Refusal(PLAIN, "http", 400, object(), protocol="consumers.v1+json")


async def _unread() -> Any:
    raise AssertionError("a refusal reads nothing")
