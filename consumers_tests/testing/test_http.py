"""The server's side of an HTTP request."""

import anyio
import pytest

from consumers.testing.http import Exchange

START = {"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]}
BODY = {"type": "http.response.body", "body": b"x"}


async def test_a_response_is_put_together() -> None:
    """Parts of the body are joined; a disconnect follows the last one."""
    exchange = Exchange(b"sent")
    assert await exchange.receive() == {
        "type": "http.request",
        "body": b"sent",
        "more_body": False,
    }
    await exchange.send(START)
    await exchange.send({**BODY, "more_body": True})
    with anyio.move_on_after(0.01) as limit:
        await exchange.receive()
    assert limit.cancelled_caught
    await exchange.send(BODY)
    assert await exchange.receive() == {"type": "http.disconnect"}

    response = exchange.response()
    assert (response.status, response.text) == (200, "xx")
    assert dict(response.headers) == {"a": "b"}


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([BODY], "expected 'http.response.start', got 'http.response.body'"),
        ([START, START], "expected 'http.response.body', got 'http.response.start'"),
        ([START, BODY, BODY], "expected no further event, got 'http.response.body'"),
    ],
)
async def test_an_application_must_keep_to_the_rules(
    events: list[dict[str, object]], message: str
) -> None:
    """The last of these events is illegal (ASGI HTTP): the application is told."""
    exchange = Exchange(b"")
    for event in events[:-1]:
        await exchange.send(event)
    with pytest.raises(RuntimeError, match=message):
        await exchange.send(events[-1])


async def test_no_response_is_500() -> None:
    """An application that returned without a response is a response with 500."""
    assert Exchange(b"").response().status == 500


async def test_cookies_are_read_from_all_headers() -> None:
    """Each `set-cookie` header counts, and attributes do not."""
    exchange = Exchange(b"")
    cookies = [(b"set-cookie", b"a=1; Path=/"), (b"set-cookie", b"b=2; HttpOnly")]
    await exchange.send({**START, "headers": cookies})
    assert exchange.response().cookies == {"a": "1", "b": "2"}
