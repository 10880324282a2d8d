"""Close codes: which travel, what a client does after one, what servers report."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.close import (
    CLOSE_CODES,
    MAX_REASON_BYTES,
    WEBSOCKET_CLOSE_CODES,
    CaughtCodes,
    CloseEvent,
    catches,
    check_code,
    check_reason,
    refusal_code,
    should_return,
)

TRAVELS = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}


@given(st.integers(-10, 6000) | st.integers())
def test_a_code_travels_or_is_refused(code: int) -> None:
    """1000-1003, 1007-1014 and 3000-4999 travel and nothing else (RFC 6455 7.4)."""
    if code in TRAVELS:
        assert check_code(code) == code
    else:
        with pytest.raises(ValueError, match="a close code must be 1000-1003"):
            check_code(code)


@pytest.mark.parametrize("code", [1004, 1005, 1006, 1015, 1016, 2999, 5000])
def test_reported_codes_never_travel(code: int) -> None:
    """Codes that are only ever reported are refused (RFC 6455 7.4.1)."""
    with pytest.raises(ValueError, match=f"got {code}; use 4000-4999"):
        check_code(code)


@pytest.mark.parametrize("code", [1000.0, "1000", None, True, 4000.0])
def test_a_code_is_a_whole_number(code: object) -> None:
    """What only equals a code, or is no number at all, is refused."""
    with pytest.raises(ValueError, match="a close code must be"):
        check_code(code)  # type: ignore[arg-type]


@given(st.text(max_size=MAX_REASON_BYTES + 2))
def test_a_reason_is_measured_in_bytes(reason: str) -> None:
    """A reason is at most 123 bytes of UTF-8, not characters (RFC 6455 5.5)."""
    if len(reason.encode()) <= 123:
        assert check_reason(reason) == reason
    else:
        with pytest.raises(ValueError, match="at most 123 bytes"):
            check_reason(reason)


def test_a_reason_is_text() -> None:
    """A reason of another type is the caller's fault."""
    with pytest.raises(TypeError, match="a close reason must be a string, got b'x'"):
        check_reason(b"x")  # type: ignore[arg-type]


def test_a_reason_that_utf8_cannot_carry_is_a_value_error() -> None:
    """Half of a surrogate pair has no form in UTF-8."""
    with pytest.raises(ValueError, match="surrogates"):
        check_reason("\ud800")


def test_the_registry_is_consistent() -> None:
    """Each row stands under its own code; those sent by nobody do not travel."""
    for code, row in CLOSE_CODES.items():
        assert row.code == code
        assert WEBSOCKET_CLOSE_CODES[code] == row.name
        assert (code in TRAVELS) is (row.sent_by != "nobody")


@pytest.mark.parametrize(
    ("code", "returns"),
    [
        (1000, False),
        (1001, True),
        (1005, False),
        (1006, True),
        (1008, False),
        (1011, True),
        (1012, True),
        (1013, True),
        (3000, False),
        (4000, False),
        (4399, False),
        (4401, False),
        (4403, False),
        (4408, True),
        (4429, True),
        (4500, True),
        (4503, True),
        (4600, False),
        (9999, False),
    ],
)
def test_a_client_returns_where_it_helps(code: int, returns: bool) -> None:
    """A client returns after what passes, and not after what is final."""
    assert should_return(code) is returns


def test_a_refusal_has_a_code_that_travels() -> None:
    """4000 + status can be sent for every status of an error."""
    assert refusal_code(401) == 4401
    assert all(check_code(refusal_code(status)) for status in range(400, 600))


@pytest.mark.parametrize(
    ("caught", "code", "expected"),
    [
        (None, 1000, True),
        (None, 1001, True),
        (None, 1005, True),
        (None, 1006, False),
        ((), 1000, False),
        ((1006,), 1006, True),
        ((1006,), 1000, False),
        (all, 1006, True),
        (any, 1006, False),
    ],
)
def test_which_codes_are_no_error(
    caught: CaughtCodes, code: int, expected: bool
) -> None:
    """A tuple lists them, `all` is all of them, `None` is 1000, 1001 and 1005."""
    assert catches(caught, code) is expected


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"code": 1000}, CloseEvent(1000, "", True, "client")),
        ({"code": 4000, "reason": "x"}, CloseEvent(4000, "x", True, "client")),
        ({}, CloseEvent(1005, "", None, "client")),
        ({"code": None, "reason": None}, CloseEvent(1005, "", None, "client")),
        ({"code": 1005}, CloseEvent(1005, "", None, "client")),
        ({"code": 1006}, CloseEvent(1006, "", False, "network")),
        ({"code": 1012}, CloseEvent(1012, "", True, "server")),
    ],
)
def test_what_a_server_reports(event: dict[str, object], expected: CloseEvent) -> None:
    """A disconnect event tells who ended it, and whether that was clean if known."""
    assert CloseEvent.reported({"type": "websocket.disconnect", **event}) == expected
