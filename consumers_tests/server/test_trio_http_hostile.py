"""What bad clients say in HTTP, and slow ones: it is refused, in time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from consumers_tests.excesses import Excesses
from consumers_tests.server.live import PATIENCE, Server, in_thread
from consumers_tests.server.site import TRIO, Site, request, response, rest


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with in_thread(Site(), TRIO, graceful_timeout=1.0) as server:
        yield server


SMUGGLED = {
    "length and chunks": ["Content-Length: 5", "Transfer-Encoding: chunked"],
    "two lengths": ["Content-Length: 5", "Content-Length: 6"],
    "lengths in a list": ["Content-Length: 5, 6"],
    "length with a sign": ["Content-Length: +5"],
    "length not a number": ["Content-Length: 5x"],
    "length in digits of others": ["Content-Length: \u0665"],
    "length without digits": ["Content-Length:"],
    "chunked twice": ["Transfer-Encoding: chunked, chunked"],
    "chunked before the last": ["Transfer-Encoding: chunked, identity"],
    "chunked by a vertical tab": ["Transfer-Encoding: \x0bchunked"],
    "space before the colon": ["Transfer-Encoding : chunked"],
    "name that is no token": ["Transfer(Encoding: chunked"],
    "a null": ["X: a\0b"],
    "two hosts": ["Host: y"],
    "a bare return": ["X: a\rTransfer-Encoding: chunked"],
}


@pytest.mark.parametrize("name", SMUGGLED)
def test_what_could_be_smuggled_is_refused(server: Server, name: str) -> None:
    """What two programs may read in two ways is answered with 400 or 501, and cut."""
    smuggled = b"0\r\n\r\n" + request("/hello?smuggled")
    sent = request("/echo", *SMUGGLED[name], method="POST", data=smuggled)
    with server.raw(sent) as sock:
        data = rest(sock)

    assert data.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 "))
    assert data.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /hello HTTP/1.1\r\n\r\n",
        b"GET  /hello HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /hel lo HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /hello HTTP/11\r\nHost: x\r\n\r\n",
        b"GET /h\xe9llo HTTP/1.1\r\nHost: x\r\n\r\n",
        b"nonsense\r\n\r\n",
        request("/echo", "Transfer-Encoding: chunked", method="POST", data=b"zz\r\n"),
        request("/echo", "Transfer-Encoding: chunked", method="POST", data=b"-1\r\n"),
    ],
)
def test_what_is_no_request_is_refused(server: Server, sent: bytes) -> None:
    """What can't be read is answered with 400, and ends the connection."""
    with server.raw(sent) as sock:
        assert rest(sock).startswith(b"HTTP/1.1 400 ")


def test_a_request_is_answered_once(server: Server) -> None:
    """What is wrong with the rest of a body ends the connection, and says no more."""
    sent = request("/hello", "Transfer-Encoding: chunked", method="POST")
    with server.raw(sent) as sock:
        assert response(sock)[0] == 200
        sock.sendall(b"nonsense\r\n")
        assert rest(sock) == b""


@pytest.mark.parametrize("ended", [b"", b"\r\n\r\n"])
def test_headers_that_are_too_large(server: Server, ended: bytes) -> None:
    """More than 16 KiB of headers is a 431, whether they end or not."""
    with server.raw(request("/hello")[:-4] + b"\r\nX: " + b"a" * 20_000) as sock:
        sock.sendall(ended)
        assert rest(sock).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("sent", [b"", b"GET / HT", request("/hello")[:-2]])
def test_a_slow_head_is_not_waited_for(
    sent: bytes, again: bool, excesses: Excesses
) -> None:
    """Who does not say what it wants is answered with 408; with nothing if it is mute.

    However often it sends another byte; after another request too.
    """
    waits = {"header_timeout": 0.15, "keep_alive_timeout": 5.0 if sent else 0.15}
    with in_thread(Site(), TRIO, **waits) as server, server.raw() as sock:
        if again:
            sock.sendall(request("/hello"))
            assert response(sock)[0] == 200
        sock.sendall(sent)
        dripping = threading.Event()

        def drip() -> None:
            while sent and not dripping.wait(0.02):
                try:
                    sock.sendall(b"X")
                except OSError:
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        data = rest(sock)
        dripping.set()
        thread.join()

    assert data[:13] == (b"HTTP/1.1 408 " if sent else b"")
    if again and not sent:  # it has no more requests, which is its right
        assert excesses.counted == {}
    else:
        assert excesses.counted == {"header_timeout": 1}
        assert excesses.line == "cut off: a request's headers took too long"


def test_a_slow_body_is_not_waited_for() -> None:
    """A body that stops in its middle is answered with 408; the application knows."""
    site = Site()
    with in_thread(site, TRIO, body_timeout=0.1) as server:
        sent = request("/waits", "Content-Length: 9", method="POST", data=b"hello")
        with server.raw(sent) as sock:
            assert rest(sock).startswith(b"HTTP/1.1 408 ")
        assert site.told.get(timeout=PATIENCE) == "waiting"
        assert site.told.get(timeout=PATIENCE) == "http.disconnect"


def test_a_connection_is_not_kept_for_ever() -> None:
    """Without another request it is closed, and says nothing of it."""
    serving = in_thread(Site(), TRIO, keep_alive_timeout=0.1)
    with serving as server, server.raw(request("/hello")) as sock:
        assert response(sock)[0] == 200
        assert rest(sock) == b""


def test_an_unwanted_body_has_to_go_on_too() -> None:
    """What comes of a body after its answer is waited for as before it."""
    sent = request("/hello", "Content-Length: 99999", method="POST")
    serving = in_thread(Site(), TRIO, body_timeout=0.1)
    with serving as server, server.raw(sent) as sock:
        assert response(sock)[0] == 200
        with suppress(OSError):
            sock.sendall(b"x")
        assert rest(sock) == b""
