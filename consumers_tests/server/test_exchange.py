"""What an application may send when, and what a client gets for it: without any I/O."""

from __future__ import annotations

from typing import Any

import pytest

from consumers.server.exchange import Exchange, Settings, Stage, http_head
from consumers.server.frames import (
    DeflateSettings,
    Ended,
    Handshake,
    binary_frame,
    close_frame,
    text_frame,
)
from consumers_tests.server.driven import disconnect

COMMON = [(b"date", b"today"), (b"server", b"us")]
ACCEPT: dict[str, Any] = {"type": "websocket.accept"}
START = "websocket.http.response.start"
BODY = "websocket.http.response.body"


def exchange(offer: str = "", deflate: DeflateSettings | None = None) -> Exchange:
    """Return one whose handshake the application has yet to answer."""
    offers = [offer] if offer else []
    handshake = Handshake(b"dGhlIHNhbXBsZSBub25jZQ==", ["chat"], offers)
    return Exchange(handshake, Settings(1000, deflate), COMMON)


def opened(**settings: Any) -> Exchange:
    """Return one that is open."""
    opened = exchange(**settings)
    opened.sent(ACCEPT)
    return opened


def start(status: Any = 429, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": START, "status": status, "headers": headers}


def test_accepting_opens_it() -> None:
    """The answer has the proof, the subprotocol, and both sides' headers."""
    accepting = exchange()
    answer = accepting.sent(
        {**ACCEPT, "subprotocol": "chat", "headers": [(b"X-Own", b"1")]}
    )

    assert answer.split(b"\r\n") == [
        b"HTTP/1.1 101 Switching Protocols",
        b"upgrade: websocket",
        b"connection: Upgrade",
        b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        b"sec-websocket-protocol: chat",
        b"date: today",
        b"server: us",
        b"X-Own: 1",
        b"",
        b"",
    ]
    assert accepting.stage is Stage.OPEN
    assert accepting.disconnect is None


@pytest.mark.parametrize(
    "answer",
    [
        {"headers": [(b"x", b"1\r\nset-cookie: a=1")]},
        {"headers": [(b"x: 1\r\ny", b"1")]},
        {"headers": [(b"sec-websocket-extensions", b"x")]},
        {"subprotocol": "chat\r\nx: 1"},
    ],
)
def test_nothing_can_be_injected_into_an_answer(answer: dict[str, Any]) -> None:
    """A header that would end its line is refused, and all is as before."""
    accepting = exchange()

    with pytest.raises(ValueError, match=r"must be a token|writes the header"):
        accepting.sent({**ACCEPT, **answer})

    assert accepting.stage is Stage.HANDSHAKE
    assert accepting.sent(ACCEPT).startswith(b"HTTP/1.1 101 ")


def test_messages_become_frames() -> None:
    """Text and bytes are told apart; text goes first where an event has both."""
    sending = opened()

    assert sending.sent({"type": "websocket.send", "text": "ü"}) == text_frame(
        "ü".encode()
    )
    assert sending.message({"type": "websocket.send", "bytes": b"x"}) == binary_frame(
        b"x"
    )
    both = {"type": "websocket.send", "bytes": None, "text": ""}
    assert sending.message(both) == text_frame(b"")


@pytest.mark.parametrize("event", [{}, {"text": None, "bytes": None}])
def test_a_message_without_content_is_refused(event: dict[str, Any]) -> None:
    """There must be text or bytes."""
    with pytest.raises(RuntimeError, match="must have 'text' or 'bytes', got neither"):
        opened().sent({"type": "websocket.send", **event})


def test_compression_is_agreed_on_where_both_want_it() -> None:
    """The answer names it; without an offer, or without the setting, it has none."""
    offer = "permessage-deflate; server_no_context_takeover"
    agreed = exchange(offer, DeflateSettings())
    answer = agreed.sent(ACCEPT)
    assert b"sec-websocket-extensions: " + offer.encode() in answer
    assert agreed.frames is not None
    assert agreed.frames.deflate is not None

    unknown = "x-unknown"
    for other in (
        exchange(offer),
        exchange("", DeflateSettings()),
        exchange(unknown, DeflateSettings()),
    ):
        assert b"extensions" not in other.sent(ACCEPT)
        assert other.frames is not None
        assert other.frames.deflate is None


@pytest.mark.parametrize(
    ("stage", "kinds", "expected"),
    [
        ("handshake", ["websocket.send", BODY, "http.response.start"], "accept"),
        ("denying", ["websocket.accept", "websocket.close", START], BODY),
        ("open", ["websocket.accept", START, BODY], "'websocket.send' or"),
        ("over", ["websocket.send", "websocket.accept"], "nothing more after the end"),
    ],
)
def test_what_may_not_be_sent_is_refused(
    stage: str, kinds: list[str], expected: str
) -> None:
    """The error says what was expected and what came, and nothing has changed."""
    exchanged = exchange()
    if stage == "denying":
        exchanged.sent(start())
    elif stage == "open":
        exchanged.sent(ACCEPT)
    elif stage == "over":
        exchanged.lost()
    before = exchanged.stage

    for kind in kinds:
        with pytest.raises(RuntimeError, match=f"{expected}.*got '{kind}'$"):
            exchanged.sent({"type": kind, "status": 400})

    assert exchanged.stage is before


def test_a_close_before_the_answer_is_a_403() -> None:
    """The application refuses, and its own disconnect is 1006."""
    refused = exchange()
    answer = refused.sent({"type": "websocket.close"})

    assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\ndate: today\r\n")
    assert answer.endswith(b"\r\nconnection: close\r\n\r\n")
    assert b"content-length: 0\r\n" in answer
    assert refused.stage is Stage.OVER
    assert refused.disconnect == disconnect(1006)


def test_a_denial_is_streamed() -> None:
    """Head and first part go out together, then part by part, to the end."""
    denying = exchange()
    assert denying.sent(start(429, (b"Retry-After", b"5"))) == b""
    first = denying.sent({"type": BODY, "body": b"slow", "more_body": True})

    head, _, body = first.partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"HTTP/1.1 429 Too Many Requests",
        b"date: today",
        b"server: us",
        b"retry-after: 5",
        b"connection: close",
    ]
    assert body == b"slow"
    assert denying.stage is Stage.DENYING
    assert denying.sent({"type": BODY, "body": b" down", "more_body": True}) == b" down"
    assert denying.sent({"type": BODY}) == b""
    assert denying.stage.name == "OVER"
    assert denying.disconnect == disconnect(1006)


def test_a_denial_decides_not_how_its_end_is_told() -> None:
    """Connection and transfer-encoding are the server's; a length is passed on."""
    denying = exchange()
    denying.sent(
        start(
            400,
            (b"Transfer-Encoding", b"chunked"),
            (b"Connection", b"keep-alive"),
            (b"Content-Length", b"2"),
        )
    )
    head = denying.sent({"type": BODY, "body": b"no"}).lower()

    assert b"chunked" not in head
    assert head.count(b"connection: ") == 1
    assert b"content-length: 2\r\n" in head
    assert head.endswith(b"\r\n\r\nno")


@pytest.mark.parametrize("status", [101, 199, 600, "400", None])
def test_the_status_of_a_denial_is_checked(status: Any) -> None:
    """It ends the handshake, so it is no interim one, and it is a number."""
    with pytest.raises(RuntimeError, match=f"200 to 599, got {status!r}"):
        exchange().sent(start(status))


def test_an_unknown_status_has_no_phrase() -> None:
    """Any number of the range may be used."""
    assert http_head(299, []).startswith(b"HTTP/1.1 299 \r\n")


def test_nothing_can_be_injected_into_a_denial() -> None:
    """Before the head is made nothing was sent, so another answer may follow."""
    denying = exchange()
    with pytest.raises(ValueError, match="must be a token and a value of one line"):
        denying.sent(start(400, (b"x", b"1\nset-cookie: a=1")))

    assert denying.stage is Stage.HANDSHAKE


def test_a_refusal_says_what_the_application_did_not() -> None:
    """The server may answer as long as nothing was written, and only then."""
    silent, begun, sent = exchange(), exchange(), exchange()
    begun.sent(start())
    sent.sent(start())
    sent.sent({"type": BODY, "body": b"half", "more_body": True})

    for refused in (silent, begun):
        answer = refused.refuse(500, b"Internal Server Error")
        assert answer.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
        assert answer.endswith(b"\r\n\r\nInternal Server Error")
        assert b"content-length: 21\r\n" in answer
    assert sent.refuse(500, b"Internal Server Error") == b""
    for refused in (silent, begun, sent):
        assert refused.stage is Stage.OVER
        assert refused.disconnect == disconnect(1006)


def test_our_close_is_the_applications_disconnect() -> None:
    """Whatever the client answers, the event has what was said here first."""
    closing = opened()
    assert closing.sent(
        {"type": "websocket.close", "code": 4001, "reason": "done"}
    ) == close_frame(4001, "done")
    assert closing.stage is Stage.CLOSING

    closing.ended(Ended(1000, "", failed=False))

    assert closing.stage.name == "OVER"
    assert closing.disconnect == disconnect(4001, "done")


def test_a_close_without_a_code_is_1000() -> None:
    """`None` stands for no code and for no reason, as leaving both out does."""
    for event in ({}, {"code": None, "reason": None}):
        assert opened().sent({"type": "websocket.close", **event}) == close_frame(1000)


@pytest.mark.parametrize(
    ("ended", "event"),
    [
        (Ended(4001, "bye", failed=False), disconnect(4001, "bye")),
        (Ended(1005, "", failed=False), disconnect(1005)),
        (Ended(1009, "too large", failed=True), disconnect(1009, "too large")),
    ],
)
def test_the_clients_end_is_the_applications_disconnect(
    ended: Ended, event: dict[str, Any]
) -> None:
    """Code and reason are the client's, or those that it was failed with."""
    over = opened()
    over.ended(ended)
    over.lost()

    assert over.disconnect == event


def test_a_connection_that_breaks_is_1006() -> None:
    """In each stage, unless the end was told already."""
    for broken in (exchange(), opened()):
        broken.lost()
        assert broken.stage is Stage.OVER
        assert broken.disconnect == disconnect(1006)


def test_what_is_no_handshake_is_over_from_the_beginning() -> None:
    """The application never learns of it."""
    assert Exchange(None, Settings(1000)).stage is Stage.OVER
