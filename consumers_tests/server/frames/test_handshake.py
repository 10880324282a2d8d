"""The opening handshake, beside another engine's judgement of the same requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from random import Random

import pytest
from websockets.datastructures import Headers
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.http11 import Request
from websockets.server import ServerProtocol

from consumers.server.frames import (
    Handshake,
    Refusal,
    answer_handshake,
    check_handshake,
)

Pairs = list[tuple[bytes, bytes]]

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
RIGHT: Pairs = [
    (b"host", b"localhost"),
    (b"upgrade", b"websocket"),
    (b"connection", b"Upgrade"),
    (b"sec-websocket-key", KEY),
    (b"sec-websocket-version", b"13"),
]
PROTOCOL = b"sec-websocket-protocol"
EXTENSIONS = b"sec-websocket-extensions"


def with_headers(*changes: tuple[bytes, bytes | None]) -> Pairs:
    """Return the right headers, some of them replaced or, by None, left out."""
    names = [name for name, _ in changes]
    kept = [pair for pair in RIGHT if pair[0] not in names]
    return kept + [(name, value) for name, value in changes if value is not None]


ACCEPTED: dict[str, Pairs] = {
    "nothing else": RIGHT,
    "upgrade in capitals": with_headers((b"upgrade", b"WebSocket")),
    "several options": with_headers((b"connection", b"keep-alive, Upgrade")),
    "options on two lines": with_headers(
        (b"connection", b"close"), (b"connection", b"upgrade")
    ),
    "empty elements": with_headers(
        (b"connection", b", ,\tupgrade,"), (b"upgrade", b",websocket ,")
    ),
    "no body": with_headers((b"content-length", b"0")),
    "an origin": with_headers((b"origin", b"null")),
    "a key with odd bits": with_headers((b"sec-websocket-key", b"A" * 21 + b"B==")),
    "other headers twice": [*RIGHT, (b"x-a", b"1"), (b"x-a", b"\xff")],
}

BAD = {
    "no connection": (426, with_headers((b"connection", None))),
    "another connection": (426, with_headers((b"connection", b"keep-alive"))),
    "no upgrade": (426, with_headers((b"upgrade", None))),
    "another upgrade": (426, with_headers((b"upgrade", b"h2c"))),
    "two upgrades": (426, with_headers((b"upgrade", b"websocket, h2c"))),
    "upgrade with a version": (426, with_headers((b"upgrade", b"websocket/13"))),
    "upgrade twice": (
        426,
        with_headers((b"upgrade", b"websocket"), (b"upgrade", b"websocket")),
    ),
    "no key": (400, with_headers((b"sec-websocket-key", None))),
    "two keys": (400, [*RIGHT, (b"sec-websocket-key", KEY)]),
    "short key": (400, with_headers((b"sec-websocket-key", b"c2hvcnQ="))),
    "long key": (400, with_headers((b"sec-websocket-key", b"A" * 24))),
    "key in no base64": (400, with_headers((b"sec-websocket-key", b"!" * 22 + b"=="))),
    "key that is not ASCII": (
        400,
        with_headers((b"sec-websocket-key", b"\xe9" * 22 + b"==")),
    ),
    "two versions": (400, [*RIGHT, (b"sec-websocket-version", b"13")]),
    "two origins": (400, [*RIGHT, (b"origin", b"a"), (b"origin", b"a")]),
    "subprotocol that is no token": (400, [*RIGHT, (PROTOCOL, b"chat, b c")]),
    "subprotocol that is not ASCII": (400, [*RIGHT, (PROTOCOL, b"caf\xc3\xa9")]),
    "no subprotocol": (400, [*RIGHT, (PROTOCOL, b"")]),
    "extension that is no token": (400, [*RIGHT, (EXTENSIONS, b"a b")]),
    "extension that is not ASCII": (400, [*RIGHT, (EXTENSIONS, b"\xff")]),
    "extension with an open quote": (400, [*RIGHT, (EXTENSIONS, b'a; b="')]),
    "long extension that is wrong": (400, [*RIGHT, (EXTENSIONS, b"a, " * 300 + b"=")]),
}

# Where the other engine says something else: {request: (our status, its status)}.
DIFFERENT: dict[str, tuple[int, int, Pairs]] = {
    # RFC 6455 4.2.2 asks for a status that says which versions there are.
    "no version": (426, 400, with_headers((b"sec-websocket-version", None))),
    "another version": (426, 400, with_headers((b"sec-websocket-version", b"8"))),
    # What can't be read asks for nothing; 426 says what to ask for.
    "connection is no list": (426, 400, with_headers((b"connection", b"upgrade;"))),
    "one connection is no list": (
        426,
        400,
        with_headers((b"connection", b"upgrade"), (b"connection", b'"a"')),
    ),
    # It reads bodies, and leaves Host, to its own HTTP parser; ours is somebody else's.
    "no host": (400, 101, with_headers((b"host", None))),
    "two hosts": (400, 101, [*RIGHT, (b"host", b"localhost")]),
    "body": (400, 101, [*RIGHT, (b"content-length", b"5")]),
    "chunked body": (400, 101, [*RIGHT, (b"transfer-encoding", b"chunked")]),
}


def judged_elsewhere(headers: Iterable[tuple[bytes, bytes]]) -> int:
    """Return the status that the other engine answers with."""
    raw = Headers([(name.decode(), value.decode("latin-1")) for name, value in headers])
    server = ServerProtocol(extensions=[ServerPerMessageDeflateFactory()])
    return server.accept(Request("/", raw)).status_code


@pytest.mark.parametrize("request_", ACCEPTED)
def test_what_opens_a_websocket(request_: str) -> None:
    """A request is taken as RFC 6455 describes it, however it is written."""
    headers = ACCEPTED[request_]

    answer = check_handshake(b"GET", headers)

    assert isinstance(answer, Handshake)
    assert answer.key == dict(headers)[b"sec-websocket-key"]
    assert (answer.subprotocols, answer.extensions) == ([], [])
    assert judged_elsewhere(headers) == 101


@pytest.mark.parametrize("request_", BAD)
def test_what_opens_none(request_: str) -> None:
    """A request with a mistake is refused, with the status that others give."""
    status, headers = BAD[request_]

    answer = check_handshake(b"GET", headers)

    assert isinstance(answer, Refusal)
    assert answer.status == judged_elsewhere(headers) == status
    sent = dict(answer.headers)
    assert sent.get(b"upgrade") == (b"websocket" if status == 426 else None)
    assert sent[b"connection"] == b"close"
    assert sent[b"content-length"] == str(len(answer.body)).encode()


@pytest.mark.parametrize("request_", DIFFERENT)
def test_what_others_judge_otherwise(request_: str) -> None:
    """Where the other engine answers something else, it is for a stated reason."""
    status, elsewhere, headers = DIFFERENT[request_]

    answer = check_handshake(b"GET", headers)

    assert isinstance(answer, Refusal)
    assert (answer.status, judged_elsewhere(headers)) == (status, elsewhere)


def test_random_requests_are_judged_alike() -> None:
    """Requests that differ from a right one in one place are judged as elsewhere."""
    random = Random(6455)
    right = [*RIGHT, (PROTOCOL, b"a, b"), (EXTENSIONS, b'x; y=1; z="q", p')]
    statuses = Counter[int]()
    for _ in range(600):
        headers = list(right)
        number = random.randrange(1, len(headers))
        name, value = headers[number]
        at = random.randrange(len(value) + 1)
        new = random.choice(["", *'aZ0+/=",;:\t \\é-']).encode("latin-1")
        value = value[:at] + new + value[at + random.randrange(2) :]
        headers[number] = (name, value.strip(b" \t"))

        answer = check_handshake(b"GET", headers)

        status = answer.status if isinstance(answer, Refusal) else 101
        elsewhere = judged_elsewhere(headers)
        assert status == elsewhere or (status, elsewhere) == (426, 400), headers
        statuses[status] += 1
    assert min(statuses[101], statuses[400], statuses[426]) > 50


def test_other_versions_are_told_ours() -> None:
    """Who speaks another version is told which one is spoken here."""
    answer = check_handshake(b"GET", DIFFERENT["another version"][2])

    assert isinstance(answer, Refusal)
    assert (b"sec-websocket-version", b"13") in answer.headers


def test_method_and_version() -> None:
    """Another method is told which one; HTTP/1.0 can't open a WebSocket."""
    posted = check_handshake(b"POST", RIGHT)
    old = check_handshake(b"GET", RIGHT, "1.0")

    assert isinstance(posted, Refusal)
    assert (posted.status, posted.headers[0]) == (405, (b"allow", b"GET"))
    assert isinstance(old, Refusal)
    assert old.status == 505


def test_what_the_client_offers() -> None:
    """Offers of several headers are put one after the other."""
    offered = check_handshake(
        b"GET",
        [
            *RIGHT,
            (PROTOCOL, b"b, a,,"),
            (PROTOCOL, b"c"),
            (EXTENSIONS, b'x; y="1"'),
            (EXTENSIONS, b"permessage-deflate"),
            (EXTENSIONS, b"z, " * 300),
        ],
    )

    assert isinstance(offered, Handshake)
    assert offered.subprotocols == ["b", "a", "c"]
    assert offered.extensions == ['x; y="1"', "permessage-deflate", "z, " * 300]


def test_the_answer() -> None:
    """The answer proves that the key was read, and carries what it is given."""
    answer = answer_handshake(
        KEY, "chat", [(b"server", b"us"), (b"Set-Cookie", b"a=\xe9")], "x; y=1"
    )

    assert answer == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"upgrade: websocket\r\n"
        b"connection: Upgrade\r\n"
        b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"sec-websocket-protocol: chat\r\n"
        b"sec-websocket-extensions: x; y=1\r\n"
        b"server: us\r\n"
        b"Set-Cookie: a=\xe9\r\n"
        b"\r\n"
    )


@pytest.mark.parametrize(
    "header",
    [
        (b"x", b"a\r\nset-cookie: b"),
        (b"x", b"a\n"),
        (b"x", b"a\r"),
        (b"x", b"a\0"),
        (b"x: y\r\nz", b"a"),
        (b"x y", b"a"),
        (b"x:", b"a"),
        (b"", b"a"),
        (b"\xe9", b"a"),
    ],
)
def test_headers_that_break_out(header: tuple[bytes, bytes]) -> None:
    """A header that would be more than one, or none, is the application's fault."""
    with pytest.raises(ValueError, match=r"must be a token and a value of one line"):
        answer_handshake(KEY, None, [header])


@pytest.mark.parametrize(
    "name",
    [
        b"Connection",
        b"content-length",
        b"sec-websocket-accept",
        b"Sec-WebSocket-Extensions",
        b"transfer-encoding",
        b"upgrade",
    ],
)
def test_headers_that_are_the_servers(name: bytes) -> None:
    """What the handshake itself decides can't be given as a header."""
    with pytest.raises(ValueError, match=r"writes the header .* itself"):
        answer_handshake(KEY, None, [(name, b"x")])


def test_the_subprotocol_is_sent_once() -> None:
    """A subprotocol may be given as a header, but not beside the argument."""
    header = (b"Sec-WebSocket-Protocol", b"chat")

    assert b"Sec-WebSocket-Protocol: chat\r\n" in answer_handshake(KEY, None, [header])
    with pytest.raises(ValueError, match=r"writes the header"):
        answer_handshake(KEY, "chat", [header])


@pytest.mark.parametrize("subprotocol", ["", "a b", "a\r\nb: c", "é"])
def test_a_subprotocol_is_a_token(subprotocol: str) -> None:
    """A subprotocol that is no token is the application's fault."""
    with pytest.raises(ValueError, match=r"a subprotocol must be a token"):
        answer_handshake(KEY, subprotocol)
