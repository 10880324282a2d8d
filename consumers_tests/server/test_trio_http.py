"""HTTP/1.1 on trio, seen by clients that send bytes of their own."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from queue import Empty, Queue
from typing import Any, Self

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from consumers_tests.server.live import PATIENCE, Server, in_thread
from consumers_tests.server.site import (
    MIB,
    TRIO,
    Site,
    answer,
    exactly,
    request,
    response,
    rest,
)


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Site, Server]]:
    site = Site()
    with in_thread(site, TRIO, graceful_timeout=1.0) as server:
        yield site, server


@pytest.fixture
def site(served: tuple[Site, Server]) -> Site:
    return served[0]


@pytest.fixture
def server(served: tuple[Site, Server]) -> Server:
    return served[1]


def test_a_connection_serves_many_requests(server: Server) -> None:
    """Requests follow each other, with Date and Server in every answer."""
    with server.raw() as sock:
        for number in range(3):
            sock.sendall(request(f"/hello?{number}"))
            status, headers, data = response(sock)

            assert (status, data) == (200, f"hello {number}".encode())
            assert headers[b"server"] == b"consumers"
            assert headers[b"date"].endswith(b"gmt")


def test_requests_may_come_all_at_once(server: Server) -> None:
    """Pipelined requests are answered one after another, in order."""
    with server.raw(b"".join(request(f"/hello?{n}") for n in range(20))) as sock:
        answers = [response(sock)[2] for _ in range(20)]

    assert answers == [f"hello {n}".encode() for n in range(20)]


@pytest.mark.parametrize(
    ("headers", "data"),
    [
        (["Content-Length: 5"], b"hello"),
        (["Transfer-Encoding: chunked"], b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n"),
        (["Content-Length: 0"], b""),
        ([], b""),
    ],
)
def test_a_body_arrives(server: Server, headers: list[str], data: bytes) -> None:
    """With a length and in chunks, at once and byte by byte."""
    expected = b"hello" if data else b""
    for size in (1000, 1):
        with server.raw() as sock:
            sent = request("/echo", *headers, method="POST", data=data)
            for begin in range(0, len(sent), size):
                sock.sendall(sent[begin : begin + size])
            assert response(sock)[2] == expected
            sock.sendall(request("/hello"))
            assert response(sock)[2] == b"hello "


def test_a_large_body_goes_both_ways(server: Server) -> None:
    """More than all buffers on the way hold comes back whole."""
    data = bytes(range(256)) * (8 * MIB // 256)
    headers = f"Content-Length: {len(data)}"
    with server.raw() as sock:
        sock.sendall(request("/echo", headers, method="POST", data=data))

        assert response(sock)[2] == data


def test_a_body_of_unknown_length_is_in_chunks(server: Server) -> None:
    """In HTTP/1.1; in HTTP/1.0 the connection's end is its end."""
    with server.raw(request("/stream")) as sock:
        assert response(sock)[2] == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
    with server.raw(b"GET /stream HTTP/1.0\r\n\r\n") as sock:
        assert rest(sock).endswith(b"\r\n\r\nonetwo")


def test_head_has_no_body(server: Server) -> None:
    """The headers are those of a GET, and the next request is served."""
    with server.raw(request("/hello", method="HEAD") + request("/hello?1")) as sock:
        data = sock.recv(65536)
        while b"hello 1" not in data:
            data += sock.recv(65536)

    assert b"content-length: 6" in data
    assert data.count(b"hello") == 1


def test_a_client_may_ask_before_it_sends(server: Server) -> None:
    """`Expect: 100-continue` is answered once the application wants the body."""
    ask = ["Content-Length: 5", "Expect: 100-continue"]
    with server.raw(request("/echo", *ask, method="POST")) as sock:
        assert response(sock)[0] == 100
        sock.sendall(b"hello")
        assert response(sock)[::2] == (200, b"hello")


def test_a_body_that_nobody_wanted_ends_the_connection(server: Server) -> None:
    """Answered without asking for the body: whether it comes can't be known."""
    ask = ["Content-Length: 5", "Expect: 100-continue"]
    with server.raw(request("/hello", *ask, method="POST")) as sock:
        assert response(sock)[::2] == (200, b"hello ")
        assert rest(sock) == b""


def test_a_body_may_come_after_the_answer(server: Server) -> None:
    """What the application did not read is forgotten, and the connection is kept."""
    with server.raw(request("/hello", "Content-Length: 5", method="POST")) as sock:
        assert response(sock)[0] == 200
        sock.sendall(b"hello" + request("/hello?again"))
        assert response(sock)[2] == b"hello again"


def test_not_much_of_it_is_read(server: Server) -> None:
    """A body too large to be forgotten ends the connection."""
    with server.raw(request("/hello", f"Content-Length: {MIB}", method="POST")) as sock:
        assert response(sock)[0] == 200
        sock.sendall(b"x" * (MIB // 2))
        assert rest(sock) == b""


def test_early_hints(server: Server) -> None:
    """A 103 goes before the answer, but not to clients of HTTP/1.0."""
    with server.raw(request("/hints")) as sock:
        status, headers, _ = response(sock)
        assert (status, headers[b"link"]) == (103, b"</style.css>; rel=preload")
        assert response(sock)[2] == b"at last"
    with server.raw(b"GET /hints HTTP/1.0\r\n\r\n") as sock:
        assert rest(sock).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("kept", ["Connection: close", "Connection: Close, TE"])
def test_a_client_may_end_the_connection(server: Server, kept: str) -> None:
    """`Connection: close` is answered and done."""
    with server.raw(request("/hello", kept) + request("/hello?ignored")) as sock:
        assert rest(sock).endswith(b"hello ")


def test_the_client_s_leaving_is_told(site: Site, server: Server) -> None:
    """The application receives a disconnect at once, and what it sends fails."""
    with server.raw(request("/waits")):
        assert site.told.get(timeout=PATIENCE) == "waiting"

    assert site.told.get(timeout=PATIENCE) == "http.disconnect"
    assert isinstance(site.told.get(timeout=PATIENCE), OSError)


def test_who_does_not_read_is_waited_for(site: Site, server: Server) -> None:
    """The application's send waits while the client reads nothing, and fails then."""
    with server.raw(request("/flood")) as sock:
        sent = site.told.get(timeout=PATIENCE)
        with suppress(Empty):
            while True:
                sent = site.told.get(timeout=0.1)
        exactly(sock, sent)
        assert site.told.get(timeout=PATIENCE) > sent

    while (told := site.told.get(timeout=PATIENCE)) != "ended":
        assert told < 64 * MIB


def test_an_application_learns_what_it_did_wrong(site: Site, server: Server) -> None:
    """A second response is its mistake, and after its response comes a disconnect."""
    with server.raw(request("/twice")) as sock:
        assert response(sock)[2] == b"once"

    assert site.told.get(timeout=PATIENCE) == (
        "expected the application to send nothing more, got 'http.response.start'"
    )
    assert site.told.get(timeout=PATIENCE) == "http.disconnect"


@pytest.mark.parametrize("path", ["/fails", "/nothing", "/split"])
def test_an_application_without_an_answer(
    server: Server, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is a 500 that tells no secrets, in one log record with the traceback."""
    with server.raw(request(path)) as sock:
        data = rest(sock)

    assert data.startswith(b"HTTP/1.1 500 ")
    assert data.endswith(b"Internal Server Error")
    assert b"cookie" not in data
    errors = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert len(errors) == (path != "/nothing")


@pytest.mark.parametrize("path", ["/breaks", "/short", "/long"])
def test_half_an_answer_is_not_taken_for_all(server: Server, path: str) -> None:
    """A response that does not end as it should ends the connection in its middle."""
    with server.raw(request(path) + request("/hello")) as sock:
        try:
            data = rest(sock)
        except ConnectionResetError:
            data = b""

    assert not data.endswith(b"0\r\n\r\n")
    assert b"hello " not in data


def test_work_after_the_answer_holds_nobody_up(site: Site, server: Server) -> None:
    """The next request is served while the application works on."""
    with server.raw(request("/after")) as sock:
        assert response(sock)[2] == b"first"
        sock.sendall(request("/hello"))
        assert response(sock)[2] == b"hello "
        site.go.set()
        assert site.told.get(timeout=PATIENCE) == "worked on"


def test_requests_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """One line each, with the client and the status, if the option says so."""
    caplog.set_level(logging.INFO, "consumers.access")
    ports = []
    for on in (True, False):
        with in_thread(Site(), TRIO, access_log=on) as server:
            with server.raw(request("/hello?a=b")) as sock:
                response(sock)
                ports.append(sock.getsockname()[1])
            with server.raw(b"nonsense\r\n\r\n") as sock:
                rest(sock)
        lines = [r.getMessage() for r in caplog.records if r.name == "consumers.access"]

    assert lines[0] == f'127.0.0.1:{ports[0]} - "GET /hello?a=b HTTP/1.1" 200'
    assert lines[1].endswith(" - refused with 400")
    assert len(lines) == 2


def test_a_stop_lets_a_request_end() -> None:
    """A request that is served is finished, and its connection closed after it."""
    site = Site()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            site.told.put("serving")
            await anyio.to_thread.run_sync(site.go.wait, PATIENCE)
            await answer(send, b"done")

    with in_thread(app, TRIO) as server, server.raw(request("/")) as sock:
        assert site.told.get(timeout=PATIENCE) == "serving"
        server.stop()
        while is_taking(server):
            pass
        site.go.set()
        status, headers, data = response(sock)

        assert (status, headers[b"connection"], data) == (200, b"close", b"done")
        assert rest(sock) == b""


def is_taking(server: Server) -> bool:
    """Tell whether the server takes connections still."""
    try:
        server.raw().close()
    except ConnectionRefusedError:
        return False
    except ConnectionResetError:  # it came just before the end
        return True
    return True


class Numbers:
    """A stream that does not end, and says that it was cancelled."""

    def __init__(self, told: Queue[str]) -> None:
        self.told = told
        self.number = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        self.number += 1
        if self.number > 200:  # it says nothing more, and waits
            try:
                await anyio.sleep_forever()
            finally:
                self.told.put("stopped")
        return f"{self.number:064}"


def test_starlette_is_served() -> None:
    """Requests, forms, streams and disconnects of Starlette's work over it."""
    told: Queue[str] = Queue()

    async def form(request: Request) -> PlainTextResponse:
        fields = await request.json()
        return PlainTextResponse(f"{fields['a']} {request.url}", 201, {"x-y": "z"})

    async def stream(request: Request) -> StreamingResponse:
        return StreamingResponse(Numbers(told))

    async def upload(request: Request) -> PlainTextResponse:
        try:
            size = sum([len(piece) async for piece in request.stream()])
        except ClientDisconnect:
            told.put("gone")
            raise
        return PlainTextResponse(str(size))

    routes = [
        Route("/form", form, methods=["POST"]),
        Route("/stream", stream),
        Route("/upload", upload, methods=["POST"]),
    ]
    with in_thread(Starlette(routes=routes), TRIO) as server:
        data = b'{"a": "\xc3\xa4"}'
        post = f"Content-Length: {len(data)}"
        with server.raw(request("/form", post, method="POST", data=data)) as sock:
            status, headers, got = response(sock)
            assert (status, headers[b"x-y"]) == (201, b"z")
            assert got.decode() == "ä http://x/form"
        with server.raw(request("/missing")) as sock:
            assert response(sock)[0] == 404
        with server.raw(request("/stream")) as sock:
            while not sock.recv(65536).endswith(b"00200\r\n"):
                pass
        assert told.get(timeout=PATIENCE) == "stopped"
        half = request("/upload", "Content-Length: 10", method="POST", data=b"half")
        server.raw(half).close()
        assert told.get(timeout=PATIENCE) == "gone"
