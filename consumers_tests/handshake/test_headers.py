"""Headers and subprotocols: what may go into the answer to a handshake."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.handshake.headers import Headers, checked_headers, checked_subprotocol


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (None, []),
        ({}, []),
        ({"X-Name": "Value"}, [(b"x-name", b"Value")]),
        ([("a", "1"), ("A", "2")], [(b"a", b"1"), (b"a", b"2")]),
        ([(b"Set-Cookie", b"a=b")], [(b"set-cookie", b"a=b")]),
        ({"a": " b "}, [(b"a", b"b")]),
        ({"a": ""}, [(b"a", b"")]),
        ({"a": "x\ty"}, [(b"a", b"x\ty")]),
        ({"a": "é"}, [(b"a", b"\xe9")]),
    ],
)
def test_headers_become_what_asgi_wants(
    headers: Headers | None, expected: list[tuple[bytes, bytes]]
) -> None:
    """A mapping or pairs, of text or bytes, become pairs with lower-case names."""
    assert checked_headers(headers) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("", "a"),
        ("a b", "c"),
        ("a:", "c"),
        ("a\r\n", "c"),
        ("a", "b\r\nset-cookie: c=d"),
        ("a", "b\nc"),
        ("a", "b\x00c"),
        ("a", "b\x7fc"),
        (b"a", b"b\rc"),
    ],
)
def test_what_would_split_a_response_is_refused(
    name: str | bytes, value: str | bytes
) -> None:
    """A name is a token, a value has no control characters (RFC 9110 5.5, 5.6.2)."""
    with pytest.raises(ValueError, match="a header must be a token and a value"):
        checked_headers([(name, value)])


@given(st.text() | st.binary(), st.text() | st.binary())
def test_nothing_that_passes_can_split_a_response(
    name: str | bytes, value: str | bytes
) -> None:
    """Whatever a header holds, it is refused or fits on one line."""
    try:
        [(sent_name, sent_value)] = checked_headers([(name, value)])
    except ValueError:
        return

    line = sent_name + b": " + sent_value
    assert line.splitlines() == [line]
    assert b"\0" not in line
    assert sent_name == sent_name.lower() != b""


@pytest.mark.parametrize(
    "name",
    [
        "Sec-WebSocket-Protocol",
        "sec-websocket-accept",
        "Sec-WebSocket-Extensions",
        "Upgrade",
        "connection",
    ],
)
def test_the_handshakes_own_headers_are_refused(name: str) -> None:
    """What the server writes into its answer is not written twice (RFC 6455 4.2.2)."""
    with pytest.raises(ValueError, match=r"accept\(subprotocol=\.\.\.\)"):
        checked_headers({name: "x"})


def test_text_beyond_latin1_is_refused() -> None:
    """A header can't carry what Latin-1 can't."""
    with pytest.raises(ValueError, match="must be Latin-1 text, got '☃'; encode it"):
        checked_headers({"a": "☃"})


@pytest.mark.parametrize("subprotocol", [None, "chat.v2"])
def test_an_offered_subprotocol_or_none(subprotocol: str | None) -> None:
    """One of those that the client offers may be chosen, or none."""
    assert checked_subprotocol(subprotocol, ["chat.v1", "chat.v2"]) == subprotocol


@pytest.mark.parametrize("subprotocol", ["chat.v3", "", "chat.v1, chat.v2", "CHAT.V1"])
def test_a_subprotocol_that_was_not_offered_is_refused(subprotocol: str) -> None:
    """What the client did not offer can't be chosen (RFC 6455 4.2.2)."""
    with pytest.raises(ValueError, match="a subprotocol must be one that the client"):
        checked_subprotocol(subprotocol, ["chat.v1", "chat.v2"])


def test_a_token_is_no_subprotocol_to_choose() -> None:
    """Nor does the error tell it, which may get into a log."""
    with pytest.raises(ValueError, match=r"got '.redacted.' and the offer") as caught:
        checked_subprotocol("bearer.abc", ["chat"])

    assert "abc" not in str(caught.value)
