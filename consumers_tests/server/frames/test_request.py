"""Requests that are read in one go, and those that are left to an HTTP parser."""

from __future__ import annotations

import pytest

from consumers.server.frames import Request, read_request

USUAL = (
    b"GET /chat/7?token=a%20b HTTP/1.1\r\n"
    b"Host: localhost:8000\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
    b"\r\n"
)


def test_the_usual_request() -> None:
    """Names come in lower case, values without white space around them."""
    request = read_request(USUAL.replace(b"localhost:8000", b" \tlocalhost:8000\t "))

    assert request == Request(
        b"/chat/7?token=a%20b",
        [
            (b"host", b"localhost:8000"),
            (b"upgrade", b"websocket"),
            (b"connection", b"keep-alive, Upgrade"),
            (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
            (b"sec-websocket-version", b"13"),
        ],
    )


@pytest.mark.parametrize(
    "header",
    [b"X-Name: \xc3\xa9", b"X-Empty:", b"X-Colons: a:b", b"x!#$%&'*+-.^_`|~9: 1"],
    ids=["not ASCII", "empty", "colons", "any token"],
)
def test_other_headers_are_read_too(header: bytes) -> None:
    """What may stand in a header is taken as it is."""
    request = read_request(USUAL.replace(b"\r\n\r\n", b"\r\n" + header + b"\r\n\r\n"))

    name, _, value = header.partition(b":")
    assert request is not None
    assert request.headers[-1] == (name.lower(), value.strip())


LEFT = {
    "nothing": b"",
    "the first half": USUAL[:60],
    "all but the end": USUAL[:-2],
    "something after it": USUAL + b"GET / HTTP/1.1\r\n\r\n",
    "no upgrade": USUAL.replace(b"Upgrade: websocket", b"X-Was: websocket"),
    "another upgrade": USUAL.replace(b"Upgrade: websocket", b"Upgrade: a/websocket"),
    "another method": USUAL.replace(b"GET", b"PUT"),
    "another version": USUAL.replace(b"HTTP/1.1", b"HTTP/1.0"),
    "two spaces": USUAL.replace(b"GET /", b"GET  /"),
    "a whole address": USUAL.replace(b"/chat", b"http://localhost/chat"),
    "a fragment": USUAL.replace(b"?", b"#"),
    "a control character": USUAL.replace(b"/chat", b"/ch\x01t"),
    "not ASCII in the target": USUAL.replace(b"/chat", b"/ch\xe9t"),
    "a folded line": USUAL.replace(b"Host: ", b"Host:\r\n "),
    "a space before the colon": USUAL.replace(b"Host:", b"Host :"),
    "no colon": USUAL.replace(b"Host:", b"Host"),
    "no name": USUAL.replace(b"Host:", b":"),
    "line feeds alone": USUAL.replace(b"\r\n", b"\n"),
    "one line feed alone": USUAL.replace(b"Host: local", b"Host: \nlocal"),
    "a carriage return alone": USUAL.replace(b"Host: local", b"Host: \rlocal"),
    "a zero byte": USUAL.replace(b"Host: local", b"Host: \0local"),
    "too long": USUAL.replace(b"/chat", b"/" + b"c" * 16384),
}


@pytest.mark.parametrize("data", LEFT.values(), ids=LEFT.keys())
def test_the_rest_is_left_to_a_parser(data: bytes) -> None:
    """What is written in any other way is not judged here."""
    assert data != USUAL
    assert read_request(data) is None
