"""Clients of HTTP who take their time: each wait of the server's ends."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from math import inf

import pytest

from consumers.handshake.refusals import refused
from consumers.server.options import Options
from consumers_tests.server.live import PATIENCE

from .http_app import Http
from .http_client import Client, request
from .servers import Server, serving


@pytest.fixture
def app() -> Http:
    return Http()


WAITS = {"header_timeout": 0.3, "body_timeout": 0.3, "keep_alive_timeout": 0.3}


@pytest.fixture
def server(app: Http, loop: str) -> Iterator[Server]:
    """Serve with waits of less than a second."""
    with serving(app, loop, graceful_timeout=0.2, **WAITS) as served:
        yield served


def test_without_being_asked() -> None:
    """The waits have an end by default, and one that hurries nobody."""
    options = Options()

    assert options.header_timeout == 20
    assert options.body_timeout == 30
    assert options.keep_alive_timeout == 5


@contextmanager
def dripping(client: Client) -> Iterator[None]:
    """Send a byte of a header each 20 ms, as long as the server takes it."""
    ended = threading.Event()

    def drip() -> None:
        with suppress(OSError):
            while not ended.wait(0.02):
                client.sock.sendall(b"x")

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(PATIENCE)


def test_a_head_has_to_come_in_time(server: Server) -> None:
    """A head that comes byte by byte is refused with 408, however regular they are."""
    begun = time.monotonic()
    with Client(server, b"GET /echo HTTP/1.1\r\nHost: ") as client, dripping(client):
        assert client.answer().status in (408, 0)
    assert 0.25 < time.monotonic() - begun < 5


def test_who_is_not_told_to_waits(app: Http, loop: str) -> None:
    """A control: with the limit off, who was slow is served where others are refused.

    A head's beginning, its end, and that of a body come after others have gone.
    """
    off = {"header_timeout": None, "body_timeout": None}
    whole = request("/echo", method="POST", body=b"hello")
    before = refused["header_timeout"]
    with (
        serving(app, loop, graceful_timeout=0.2, **off) as patient,
        serving(app, loop, graceful_timeout=0.2, **WAITS) as server,
    ):
        waiting = [Client(patient, whole[:at]) for at in (0, 9, -2)]
        waited = [Client(server, whole[:at]) for at in (0, 9, -2)]
        for one in waited:
            with one:
                assert one.answer().status in (408, 0)
        for one, at in zip(waiting, (0, 9, -2), strict=True):
            with one:
                one.send(whole[at:])
                assert one.answer().body == b"POST /echo\nhello"
    assert refused["header_timeout"] == before + 2  # the third one's head was there


def test_slow_heads_keep_nobody_out(server: Server) -> None:
    """200 clients that send half a head do not delay another, and are gone in time."""
    slow = [Client(server, b"GET /echo HTTP/1.1\r\n") for _ in range(200)]
    with Client(server, request()) as client:
        assert client.answer().status == 200
    for one in slow:
        assert one.answer().status in (408, 0)
        one.sock.close()


def test_who_says_nothing_is_gone(server: Server) -> None:
    """A connection without a request is closed, before the first and after one."""
    begun = time.monotonic()
    with Client(server) as nothing, Client(server, request()) as once:
        assert once.answer().status == 200
        assert nothing.is_closed()
        assert once.is_closed()
    assert 0.25 < time.monotonic() - begun < 5


def test_a_body_has_to_go_on(server: Server, app: Http) -> None:
    """A body that stops is a disconnect for the application, and a 408 or the end."""
    head = request("/disconnected", "Content-Length: 10", method="POST")
    with Client(server, head + b"12345") as client:
        assert client.answer().status in (408, 0)
    events = [app.told.get(timeout=PATIENCE)]
    while events[-1]["type"] == "http.request":
        events.append(app.told.get(timeout=PATIENCE))
    assert events[-1] == {"type": "http.disconnect"}


def test_a_body_may_take_longer_in_all(server: Server) -> None:
    """A body that goes on is not cut, though it takes longer than a pause may."""
    waited, head = (
        threading.Event(),
        request("/echo", "Content-Length: 5", method="POST"),
    )
    pauses = [inf]
    # A machine on which a pause got too long gets another try.
    for _ in range(20):
        if max(pauses) < 0.25:
            break
        times = [time.monotonic()]
        with Client(server, head) as client:
            for _ in range(5):
                waited.wait(0.1)  # in all more than `body_timeout`
                client.send(b"x")
                times.append(time.monotonic())
            body = client.answer().body
            times.append(time.monotonic())
        pauses = [after - before for before, after in pairwise(times)]

    assert body == b"POST /echo\nxxxxx"


def test_an_answer_may_take_its_time(server: Server, app: Http) -> None:
    """No time of the client's runs while the application works."""
    with Client(server, request("/sleep")) as client:
        assert app.told.get(timeout=PATIENCE) == "begun"
        client.sock.settimeout(0.6)
        with pytest.raises(TimeoutError):
            client.sock.recv(1)


@pytest.mark.may_skip
@pytest.mark.skipif(sys.platform != "linux", reason="TCP_USER_TIMEOUT is Linux's")
def test_who_reads_no_answer_is_gone(app: Http, loop: str) -> None:
    """A client that stops reading in the middle of an answer is gone in time."""
    with (
        serving(app, loop, unacknowledged_timeout=0.5) as server,
        Client(server, request("/flood")),
    ):
        assert app.told.get(timeout=PATIENCE) == "begun"
        assert app.told.get(timeout=PATIENCE) == "ended"


def test_an_answer_is_finished_before_the_end(app: Http) -> None:
    """A stop waits for an answer that is being made, and says that it is the last."""
    with serving(app, "trio", graceful_timeout=PATIENCE) as server:
        head = request(
            "/echo", "Expect: 100-continue", "Content-Length: 5", method="POST"
        )
        with Client(server, head) as client, Client(server) as idle:
            assert client.head().startswith(b"HTTP/1.1 100 ")
            server.stop()
            assert idle.is_closed()
            client.send(b"hello")
            answer = client.answer()
            assert answer.body == b"POST /echo\nhello"
            assert answer.headers["connection"] == "close"
            assert client.is_closed()
