"""Requests, good and bad, and what becomes of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .http_client import request

KIB: Final = 1024

BAD: Final = frozenset({400, 0})
"""A bad request, or no answer: a server may hang up on what is not HTTP at all."""
UNKNOWN: Final = frozenset({400, 501})
"""uvicorn answers 400 where `h11` suggests 501."""
LARGE: Final = frozenset({400, 414, 431, 0})
"""uvicorn answers 400 where `h11` suggests 431; what was not read can reset both."""
OK: Final = frozenset({200})


@dataclass
class Case:
    """Bytes that a client sends at once."""

    data: bytes
    answers: list[frozenset[int]]
    """The statuses that each answer may have, in order."""
    seen: list[str]
    """The requests that the application gets."""
    closed: bool = False
    """Whether the server has to hang up then; otherwise it must take another."""
    maybe: bool = False
    """Whether the application may also have seen nothing."""


def good(data: bytes, *seen: str) -> Case:
    """Return a case that is answered with 200, however often."""
    return Case(data, [OK] * len(seen), list(seen))


def last(data: bytes, *seen: str) -> Case:
    """Return one that is answered with 200, after which the server hangs up."""
    return Case(data, [OK] * len(seen), list(seen), closed=True)


def bad(data: bytes, *seen: str, status: frozenset[int] = BAD) -> Case:
    """Return one that is refused, after good ones if there are any."""
    return Case(data, [*[OK] * len(seen), status], list(seen), closed=True)


def half_bad(data: bytes) -> Case:
    """Return one with a bad body, which the application may have begun to read."""
    return Case(data, [BAD | OK], [POST], closed=True, maybe=True)


def posted(*headers: str, body: bytes) -> bytes:
    """Return a request with a body, whose length is said by the headers or not."""
    return request("/echo", *headers, method="POST", body=body)


GET: Final = request()
HIDDEN: Final = request("/hidden")
ECHO: Final = "GET /echo"
POST: Final = "POST /echo"
CHUNKED: Final = "Transfer-Encoding: chunked"

SMUGGLING: Final = {
    "chunked, and a length that is larger": bad(
        posted(CHUNKED, "Content-Length: 90", body=b"5\r\nhello\r\n0\r\n\r\n") + HIDDEN
    ),
    "chunked, and a length that hides a request": bad(
        posted("Content-Length: 4", CHUNKED, body=b"5\r\nhello\r\n0\r\n\r\n") + HIDDEN
    ),
    "two lengths": bad(
        posted("Content-Length: 5", "Content-Length: 6", body=b"hello") + HIDDEN
    ),
    "two lengths in one": bad(posted("Content-Length: 5, 6", body=b"hello") + HIDDEN),
    "one length twice": good(
        posted("Content-Length: 5", "Content-Length: 5", body=b"hello"), POST
    ),
    "length with a sign": bad(posted("Content-Length: +5", body=b"hello") + HIDDEN),
    "negative length": bad(posted("Content-Length: -5", body=b"hello") + HIDDEN),
    "length in hex": bad(posted("Content-Length: 0x5", body=b"hello") + HIDDEN),
    "length with a comma": bad(posted("Content-Length: 5,", body=b"hello") + HIDDEN),
    "length with an underscore": bad(posted("Content-Length: 1_0", body=b"h" * 10)),
    "length without a number": bad(posted("Content-Length:", body=b"hello") + HIDDEN),
    "length of a hundred digits": bad(posted("Content-Length: " + "9" * 100, body=b"")),
    "length in other digits": bad(posted("Content-Length: \xb2", body=b"he") + HIDDEN),
    "space before the colon": bad(posted("Content-Length : 5", body=b"hello") + HIDDEN),
    "chunked, with a space before the colon": bad(
        posted("Transfer-Encoding : chunked", body=b"0\r\n\r\n") + HIDDEN
    ),
    "chunked twice": bad(
        posted("Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"), status=UNKNOWN
    ),
    "chunked, in two headers": bad(
        posted(CHUNKED, CHUNKED, body=b"0\r\n\r\n"), status=UNKNOWN
    ),
    "almost chunked": bad(
        posted("Transfer-Encoding: xchunked", body=b"0\r\n\r\n"), status=UNKNOWN
    ),
    "not chunked at the end": bad(
        posted("Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n"),
        status=UNKNOWN,
    ),
    "compressed": bad(
        posted("Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), status=UNKNOWN
    ),
    "chunked, with a vertical tab": bad(
        posted("Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"), status=UNKNOWN
    ),
    "chunked, in capitals": good(
        posted("TRANSFER-ENCODING: CHUNKED", body=b"5\r\nhello\r\n0\r\n\r\n"), POST
    ),
    "a chunk that is longer than said": half_bad(
        posted(CHUNKED, body=b"5\r\nhelloX\r\n0\r\n\r\n") + HIDDEN
    ),
    "a chunk's size with a sign": half_bad(
        posted(CHUNKED, body=b"+5\r\nhello\r\n0\r\n\r\n")
    ),
    "a chunk's size in hex, said to be so": half_bad(
        posted(CHUNKED, body=b"0x5\r\nhello\r\n0\r\n\r\n")
    ),
    "a chunk's size of forty digits": half_bad(
        posted(CHUNKED, body=b"f" * 40 + b"\r\nhello")
    ),
    "a chunk's extension": good(
        posted(CHUNKED, body=b"5;name=value\r\nhello\r\n0\r\n\r\n"), POST
    ),
    "trailers": good(
        posted(CHUNKED, body=b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"), POST
    ),
    "a request in a body": good(posted(body=HIDDEN), POST),
}
"""What makes two servers see different requests in the same bytes."""

MALFORMED: Final = {
    "no version": bad(b"GET /echo\r\n\r\n"),
    "no path": bad(b"GET HTTP/1.1\r\nHost: x\r\n\r\n"),
    "two spaces": bad(b"GET  /echo HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a tab": bad(b"GET\t/echo HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a space in the path": bad(b"GET /ec ho HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a null in the path": bad(b"GET /ec\x00ho HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a path that is not ASCII": bad("GET /écho HTTP/1.1\r\nHost: x\r\n\r\n".encode()),
    "a method that is not one": bad(b"G(T /echo HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a version in words": bad(b"GET /echo HTTP/one\r\nHost: x\r\n\r\n"),
    "lower case": bad(b"GET /echo http/1.1\r\nHost: x\r\n\r\n"),
    "no host": bad(b"GET /echo HTTP/1.1\r\n\r\n"),
    "two hosts": bad(request("/echo", "Host: y")),
    "a header without a colon": bad(request("/echo", "Header")),
    "a header without a name": bad(request("/echo", ": value")),
    "a space in a header's name": bad(request("/echo", "Hea der: 1")),
    "a header's name that is not ASCII": bad(request("/echo", "H\xe9ader: 1")),
    "a null in a header": bad(request("/echo", "Header: a\x00b")),
    "a carriage return in a header": bad(request("/echo", "Header: a\rb")),
    "a first line that begins with a space": bad(b" " + GET),
    "a header before the first line": bad(b"Host: x\r\n" + GET),
    "a first header that is folded": bad(b"GET /echo HTTP/1.1\r\n Host: x\r\n\r\n"),
    "TLS": bad(bytes.fromhex("160301020001") + bytes(64)),
    "HTTP/2": bad(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(30)),
    "a header of 300 KiB": bad(
        request("/echo", "Header: " + "x" * 300 * KIB), status=LARGE
    ),
    "thirty thousand headers": bad(
        request("/echo", *["Header: value"] * 30_000), status=LARGE
    ),
    "a path of 300 KiB": bad(request("/echo/" + "x" * 300 * KIB), status=LARGE),
    "a bad one after two good ones": bad(GET + GET + b"GET\r\n\r\n", ECHO, ECHO),
}
"""What is not HTTP/1.1."""

WELL_FORMED: Final = {
    "a header of 8 KiB": good(request("/echo", "Header: " + "x" * 8 * KIB), ECHO),
    "a folded header": good(request("/echo", "Header: a\r\n b"), ECHO),
    "a header without a value": good(request("/echo", "Header:"), ECHO),
    "a header that is not ASCII": good(request("/echo", "Header: caf\xe9"), ECHO),
    "a method of one's own": good(request(method="BREW"), "BREW /echo"),
    "an escaped path": good(request("/%65cho"), ECHO),
    "HTTP/1.0": last(b"GET /echo HTTP/1.0\r\n\r\n", ECHO),
    "HTTP/1.0 with a body": last(posted(body=b"x").replace(b"1.1", b"1.0"), POST),
    "the last one": last(request("/echo", "Connection: close"), ECHO),
    "the last one, with a list": last(request("/echo", "Connection: x, Close"), ECHO),
    "nothing after the last one": last(
        request("/echo", "Connection: close") + HIDDEN, ECHO
    ),
    "three at once": good(GET + posted(body=b"x") + GET, ECHO, POST, ECHO),
    "a hundred at once": good(GET * 100, *[ECHO] * 100),
    "chunks, and another": good(
        posted(CHUNKED, body=b"1\r\nh\r\n4\r\nello\r\n0\r\n\r\n") + GET, POST, ECHO
    ),
    "an upgrade to something else": good(
        request("/echo", "Upgrade: h2c", "Connection: Upgrade"), ECHO
    ),
}
"""What is, and is answered."""
