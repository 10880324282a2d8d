"""One request and its response, between h11's client and ASGI's events."""

from __future__ import annotations

from typing import Any

import h11
import pytest

from consumers.server.http1 import Cycle, default_headers

START: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": []}


class Pair:
    """A client of h11's, and the cycle of its request."""

    def __init__(
        self, method: str = "GET", *headers: tuple[str, str], body: bytes = b""
    ) -> None:
        self.client = h11.Connection(h11.CLIENT)
        self.server = h11.Connection(h11.SERVER)
        sent = self.client.send(
            h11.Request(method=method, target="/", headers=[("Host", "x"), *headers])
        )
        self.server.receive_data(sent)
        request = self.server.next_event()
        assert isinstance(request, h11.Request)
        self.cycle = Cycle(self.server, request)
        if body:
            self.server.receive_data(self.client.send(h11.Data(data=body)))
            assert isinstance(self.server.next_event(), h11.Data)

    def send(self, *events: dict[str, Any]) -> list[h11.Event]:
        """Send an application's events; return what the client gets."""
        for event in events:
            data = self.cycle.send(event)
            if data:
                self.client.receive_data(data)
        got: list[h11.Event] = []
        if self.client.our_state is h11.SEND_BODY:
            self.client.send(h11.EndOfMessage())
        while not isinstance(event_ := self.client.next_event(), type):
            got.append(event_)
        return got


def body(data: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


def test_the_head_waits_for_the_body() -> None:
    """They share a write; the client gets status, reason, headers, body."""
    pair = Pair()
    assert pair.cycle.send({**START, "status": 404}) == b""
    response, data, end = pair.send(body(b"hello"))

    assert isinstance(response, h11.Response)
    assert (response.status_code, response.reason) == (404, b"Not Found")
    assert dict(response.headers)[b"server"] == b"consumers"
    assert isinstance(data, h11.Data)
    assert data.data == b"hello"
    assert isinstance(end, h11.EndOfMessage)
    assert pair.cycle.complete


def test_the_application_s_own_date_and_server_stand() -> None:
    """Each header is there once; what the application says counts."""
    own = [(b"Server", b"mine"), (b"DATE", b"today")]
    response = Pair().send({**START, "headers": own}, body(b""))[0]

    assert isinstance(response, h11.Response)
    assert [v for n, v in response.headers if n in (b"server", b"date")] == [
        b"mine",
        b"today",
    ]
    assert [name for name, _ in default_headers()] == [b"date", b"server"]


def test_a_connection_that_ends_says_so() -> None:
    """Where no other request may follow the response tells the client."""
    pair = Pair()
    pair.cycle.keep_alive = False
    response = pair.send(START, body(b""))[0]

    assert isinstance(response, h11.Response)
    assert (b"connection", b"close") in list(response.headers)


def test_the_request_is_received_in_pieces() -> None:
    """What came since the last time, whether there is more, and then the end."""
    cycle = Pair("POST", ("Content-Length", "9"), body=b"one").cycle
    assert not cycle.has_event()
    assert cycle.body_received(b"one") == 3
    assert cycle.body_received(b"two") == 6
    assert cycle.has_event()
    assert cycle.next_event() == {
        "type": "http.request",
        "body": b"onetwo",
        "more_body": True,
    }
    assert not cycle.has_event()
    cycle.body_ended()
    assert cycle.next_event() == {
        "type": "http.request",
        "body": b"",
        "more_body": False,
    }
    assert not cycle.has_event()
    cycle.disconnected = True
    assert cycle.has_event()
    assert cycle.next_event() == {"type": "http.disconnect"}


def test_a_body_is_asked_for_once() -> None:
    """And not from a client that does not wait, nor after the response."""
    expect = ("Content-Length", "5"), ("Expect", "100-continue")
    asked = Pair("POST", *expect)
    assert asked.cycle.is_expecting
    assert asked.cycle.begin_body().startswith(b"HTTP/1.1 100 ")
    assert asked.cycle.begin_body() == b""
    assert not asked.cycle.is_expecting

    impatient = Pair("POST", *expect, body=b"hello").cycle
    impatient.body_received(b"hello")
    assert impatient.begin_body() == b""

    answered = Pair("POST", *expect).cycle
    answered.send(START)
    assert answered.begin_body() == b""
    assert answered.is_expecting


HEAD_SENT = [START]
DONE = [START, body(b"")]


@pytest.mark.parametrize(
    ("before", "event", "expected"),
    [
        ([], body(b""), "'http.response.start', got 'http.response.body'"),
        ([], {"type": "websocket.send"}, "'http.response.start', got 'websocket.send'"),
        (HEAD_SENT, START, "'http.response.body', got 'http.response.start'"),
        (DONE, body(b""), "nothing more, got 'http.response.body'"),
        ([], {**START, "status": 101}, "a valid response, got .*101"),
        ([], {**START, "headers": [(b"a b", b"c")]}, "a valid response, got .*name"),
        ([], {**START, "headers": [(b"a", b"b\nc")]}, "a valid response, got .*value"),
        (
            [{**START, "headers": [(b"content-length", b"1")]}],
            body(b"hello"),
            "a body as long as its header says, got Too much data",
        ),
        (
            [{**START, "headers": [(b"content-length", b"9")]}],
            body(b"hello"),
            "a body as long as its header says, got Too little data",
        ),
    ],
)
def test_mistakes_of_the_application_are_told(
    before: list[dict[str, Any]], event: dict[str, Any], expected: str
) -> None:
    """What may be sent now, and what was."""
    cycle = Pair().cycle
    for each in before:
        cycle.send(each)
    complete = cycle.complete
    with pytest.raises(RuntimeError, match=f"the application to send {expected}"):
        cycle.send(event)

    assert cycle.complete is complete
