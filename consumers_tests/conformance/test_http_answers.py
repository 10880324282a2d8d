"""HTTP on trio: bodies, `Expect`, HEAD, and applications that make mistakes."""

from __future__ import annotations

import pytest

from consumers_tests.server.live import PATIENCE

from .frames import push
from .http_app import MIB
from .http_client import Client, request
from .http_served import Served

CHUNKED = "Transfer-Encoding: chunked"


def post(path: str, *headers: str) -> bytes:
    """Return the head of a request with a body."""
    return request(path, *headers, method="POST")


def test_a_body_may_come_slowly(served: Served) -> None:
    """A body in single bytes is put together, its length said or in chunks."""
    with Client(served.server) as client:
        for data in (
            request("/echo", method="POST", body=b"hello"),
            post("/echo", CHUNKED) + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        ):
            for byte in data:
                client.send(bytes([byte]))
            assert client.answer().body == b"POST /echo\nhello"


def test_a_large_body_comes_and_goes(served: Served) -> None:
    """A body of 4 MiB reaches the application, and its answer the client."""
    body = bytes(range(256)) * (4 * MIB // 256)
    with Client(served.server) as client:
        client.send(request("/echo", method="POST", body=body))

        answer = client.answer()

    assert answer.body == b"POST /echo\n" + body


def test_continue_is_said_to_who_is_read(served: Served) -> None:
    """A client that waits for 100 gets it once the application reads, and not else."""
    with Client(served.server) as client:
        client.send(post("/echo", "Expect: 100-continue", "Content-Length: 5"))
        assert client.head().startswith(b"HTTP/1.1 100 ")
        client.send(b"hello")
        assert client.answer().body == b"POST /echo\nhello"
    with Client(served.server) as client:
        client.send(post("/unread", "Expect: 100-continue", "Content-Length: 5"))
        answer = client.answer()
        assert (answer.before, answer.status) == ([], 200)
        # Whether the body comes all the same can't be known: what looks like another
        # request may be part of it.
        client.send(request("/hidden"))
        assert client.answer().status in (400, 0)
    with Client(served.server) as client:
        client.send(
            post("/echo", "Expect: 100-continue", "Content-Length: 5") + b"12345"
        )
        assert client.answer().body == b"POST /echo\n12345"


def test_the_answer_to_a_head_has_no_body(served: Served) -> None:
    """HEAD is answered with the headers of GET, and the connection serves on."""
    with Client(served.server, request("/echo", method="HEAD")) as client:
        answer = client.answer("HEAD")
        assert (answer.status, answer.body) == (200, b"")
        assert answer.headers["content-length"] == "11"
        client.send(request("/streamed", method="HEAD"))
        assert client.answer("HEAD").status == 200
        client.send(request("/echo"))
        assert client.answer().body == b"GET /echo\n"


@pytest.mark.parametrize("status", [204, 304])
def test_some_answers_have_no_body(served: Served, status: int) -> None:
    """204 and 304 end with their headers, whether a length is said or not."""
    with Client(served.server, request(f"/empty/{status}")) as client:
        answer = client.answer()
        assert (answer.status, answer.body, answer.whole) == (status, b"", True)
        assert "transfer-encoding" not in answer.headers
        client.send(request("/echo"))
        assert client.answer().status == 200


def test_a_stream_ends_by_what_the_client_understands(served: Served) -> None:
    """A stream goes out in chunks, to HTTP/1.0 until the connection ends."""
    with Client(served.server, request("/streamed")) as client:
        answer = client.answer()
        assert answer.headers["transfer-encoding"] == "chunked"
        assert (answer.body, answer.whole) == (b"one two three", True)
        client.send(request("/streamed", version="1.0"))
        answer = client.answer()
        assert "transfer-encoding" not in answer.headers
        assert answer.body == b"one two three"
        assert client.is_closed()


def test_an_answer_may_come_before_the_body(served: Served) -> None:
    """Who answers without reading is heard, though most of the body is to come."""
    with Client(served.server) as client:
        client.send(post("/unread", f"Content-Length: {MIB}") + bytes(1000))
        assert client.answer().body == b"not read"
        # The rest is read and dropped, or the connection is closed.
        client.send(bytes(MIB - 1000))
        client.send(request("/echo"))
        assert client.answer().status in (200, 0)


def test_a_client_that_leaves_is_noticed(served: Served) -> None:
    """The application learns that its client has gone, in the middle of a body too."""
    for head in (request("/disconnected"), post("/disconnected", "Content-Length: 9")):
        with Client(served.server, head + b"123" * head.startswith(b"POST")):
            assert served.app.told.get(timeout=PATIENCE)["type"] == "http.request"
        event = served.app.told.get(timeout=PATIENCE)
        while event["type"] == "http.request":
            assert event.get("more_body")
            event = served.app.told.get(timeout=PATIENCE)
        assert event == {"type": "http.disconnect"}


def test_a_client_that_leaves_releases_who_sends(served: Served) -> None:
    """Who sends more than the client reads goes on, or is told, when it leaves."""
    with Client(served.server, request("/flood")):
        assert served.app.told.get(timeout=PATIENCE) == "begun"
    assert served.app.told.get(timeout=PATIENCE) == "ended"


CUT = {200, 0}
MISTAKES = {
    "fail": {500},
    "silent": {500},
    "late": CUT,
    "unfinished": CUT,
    "short": CUT,
    "long": CUT,
    "injected": {500, 0},
    "twice": CUT,
}
"""``{mistake: the status that is seen}``; 0 is a connection that just ends."""


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_not_the_clients(served: Served, mistake: str) -> None:
    """What an application does wrong is a 500, or an answer that is seen to be cut."""
    with (
        Client(served.server, request("/echo")) as bystander,
        Client(served.server, request(f"/{mistake}")) as client,
    ):
        answer = client.answer()

        assert answer.status in MISTAKES[mistake]
        assert answer.whole == (answer.status == 500)
        assert b"secret" not in answer.body
        assert "set-cookie" not in answer.headers
        if not answer.whole:
            assert client.is_closed()
        assert bystander.answer().status == 200


def test_requests_without_end_are_not_read(served: Served) -> None:
    """Who asks on and on and reads no answer is read no further, and hurts nobody."""
    with served.server.raw() as sock, Client(served.server) as bystander:
        assert push(sock, request("/echo") * 500, 2000) < 24 * MIB
        bystander.send(request("/echo"))
        assert bystander.answer().status == 200
    served.app.seen.clear()


def test_a_body_that_nobody_reads_is_not_read(served: Served) -> None:
    """A body that the application leaves alone waits with the client."""
    with served.server.raw(post("/sleep", "Content-Length: 999999999")) as sock:
        assert served.app.told.get(timeout=PATIENCE) == "begun"
        assert push(sock, bytes(64 * 1024), 1000) < 24 * MIB
