"""What goes over the wire: messages, codes, refusals."""

from __future__ import annotations

import json

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Response

from .live import PATIENCE, Live, closed, new_key, serve, vanish

MIB = 1024 * 1024


def refused(live: Live, path: str) -> Response:
    """Return the answer to a handshake that is refused."""
    with pytest.raises(InvalidStatus) as caught, live.connect(path):
        pass
    return caught.value.response


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_messages_come_and_go(live: Live, style: str, compression: str | None) -> None:
    """Text, bytes and messages of 1 MiB come back as they were sent."""
    path = f"/{style}/echo/{new_key()}"
    with live.connect(path, compression=compression) as client:
        for message in ("", "grüß dich", b"\x00\xff", "x" * MIB, b"\x01" * MIB):
            client.send(message)

            assert client.recv(timeout=PATIENCE) == message


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, ""), (1001, "tab closed"), (3999, "ü"), (4123, "bye")]
)
def test_the_clients_code_reaches_the_application(
    live: Live, style: str, code: int, reason: str
) -> None:
    """Code and reason of the client's close are those of on_disconnect and receive."""
    key = new_key()
    with live.connect(f"/{style}/echo/{key}") as client:
        client.close(code, reason)

        assert live.told(key) == (code, reason)


@pytest.mark.parametrize("reset", [False, True])
def test_a_client_that_vanishes_has_a_code_too(
    live: Live, style: str, reset: bool
) -> None:
    """Without a close frame the code is one that can't have been sent."""
    key = new_key()
    with live.connect(f"/{style}/echo/{key}") as client:
        client.send("here")
        assert client.recv(timeout=PATIENCE) == "here"
        vanish(client, reset)

        assert live.told(key) in [(1005, ""), (1006, "")]


def test_a_client_that_leaves_is_no_error(
    kind: str, style: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is logged where a client leaves with 1000 or 1001, on any server."""
    with serve(kind) as live:
        for code in (1000, 1001):
            key = new_key()
            with live.connect(f"/{style}/echo/{key}") as client:
                client.close(code)
            assert live.told(key) == (code, "")

    # Other servers end connections of the tests before.
    logged = [r for r in caplog.records if r.thread == live.served.thread]
    assert [r.getMessage() for r in logged if r.levelname != "INFO"] == []


def test_our_code_reaches_the_client(live: Live, style: str) -> None:
    """Code and reason of our close are the client's, and those of the close event."""
    key = new_key()
    with live.connect(f"/{style}/close/{key}/4001/done") as client:
        assert closed(client) == (4001, "done")

    assert live.told(key) == (4001, "done")


def test_a_refusal_has_status_headers_and_body(live: Live, style: str) -> None:
    """`reject` answers the handshake with what it was given."""
    answer = refused(live, f"/{style}/reject/{new_key()}/429")

    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "5"
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.body) == {"why": "full"}


def test_an_http_exception_is_a_refusal(live: Live, style: str) -> None:
    """An `HTTPException` before accept refuses with its status, detail and headers."""
    answer = refused(live, f"/{style}/raise/{new_key()}/418")

    assert (answer.status_code, answer.body) == (418, b"because")
    assert answer.headers["x-why"] == "so"


def test_a_server_without_denial_responses_says_403(live: Live, style: str) -> None:
    """Where the server can send no other, each refusal is a 403 without a body."""
    answer = refused(live, f"/{style}/reject/{new_key()}/429?plain")

    assert (answer.status_code, answer.body) == (403, b"")


def test_wrong_parameters_are_named(live: Live, style: str) -> None:
    """A handshake whose parameters can't be converted gets 400 and all of them."""
    path = f"/{style}/parameters/{new_key()}"
    answer = refused(live, f"{path}/large?limit=none")

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json"
    assert b"size" in answer.body
    assert b"limit" in answer.body
    with live.connect(f"{path}/3?limit=0.5") as client:
        assert client.recv(timeout=PATIENCE) == "3 0.5"


def test_no_route_is_403(live: Live) -> None:
    """A path that nothing serves refuses the handshake with 403."""
    assert refused(live, "/nowhere").status_code == 403


def test_a_refusal_may_be_a_close(live: Live) -> None:
    """With refusals="close" the client is accepted, and closed with 4000 + status."""
    with live.connect(f"/class/reject-as-close/{new_key()}/403") as client:
        assert closed(client)[0] == 4403


def test_the_subprotocol_is_chosen(live: Live, style: str) -> None:
    """The client learns the subprotocol that `accept` was given."""
    path = f"/{style}/subprotocol"
    with live.connect(path, subprotocols=["a", "b"]) as client:
        assert client.subprotocol == "b"


def test_an_error_closes_with_1011(live: Live, style: str) -> None:
    """An exception in a hook closes with 1011, and its text stays here."""
    key = new_key()
    with live.connect(f"/{style}/boom/{key}") as client:
        client.send("boom")

        assert closed(client) == (1011, "")

    if style == "class":
        assert live.told(key)[0] == 1011


@pytest.mark.parametrize(
    ("path", "message", "text", "code"),
    [
        ("/push-only/x", "anything", None, 1003),
        ("/typed/text", b"bytes", None, 1003),
        ("/typed/bytes", "text", None, 1003),
        ("/typed/struct", "{", None, 1007),
        ("/typed/msgpack", b"\xc1", None, 1007),
        ("/typed/text", b"\xff\xfe", True, 1007),
        ("/typed/struct", '{"type": "order", "item": 1, "count": 2}', None, 1008),
        ("/typed/union", '{"type": "unknown"}', None, 1008),
        ("/typed/text", "x" * (MIB + 1), None, 1009),
    ],
)
def test_a_malformed_message_is_the_clients_fault(
    live: Live, path: str, message: str | bytes, text: bool | None, code: int
) -> None:
    """The code says what was wrong: the frame, the encoding, the schema, the size."""
    with live.connect(path) as client:
        if path.startswith("/push"):
            client.recv(timeout=PATIENCE)
        client.send(message, text=text)

        if live.kind == "wsproto" and text:
            # uvicorn drops the connection there, without a close frame.
            with pytest.raises(ConnectionClosed):
                client.recv(timeout=PATIENCE)
        else:
            assert closed(client)[0] == code
