"""What Starlette's pages on HTTP show, served on trio; and by uvicorn, to compare."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import http.cookies
import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette

from consumers_tests.server.live import PATIENCE

from . import starlette_app
from .http_app import MIB
from .servers import Server, reference, serving


class Browser(http.client.HTTPConnection):
    """One connection that is used for all requests, as a browser does."""

    def ask(
        self,
        path: str,
        body: bytes | None = None,
        method: str | None = None,
        **headers: str,
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """Return an answer and its body."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        self.request(method or ("GET" if body is None else "POST"), path, body, names)
        answer = self.getresponse()
        return answer, answer.read()


@pytest.fixture(scope="module")
def app() -> Starlette:
    """Make the application."""
    return starlette_app.make()


@pytest.fixture(scope="module", params=["uvicorn", "trio"])
def server(request: pytest.FixtureRequest, app: Starlette) -> Iterator[Server]:
    """Serve it."""
    with reference(app) if request.param == "uvicorn" else serving(app, "trio") as one:
        yield one


@pytest.fixture
def browser(server: Server) -> Iterator[Browser]:
    """Connect once."""
    made = Browser(server.host, server.port, timeout=PATIENCE)
    yield made
    made.close()


def test_answers_of_each_kind(browser: Browser) -> None:
    """Text, HTML, JSON, redirects, errors and cookies arrive, on one connection."""
    answer, body = browser.ask("/hello")
    assert (answer.status, body) == (200, b"<h1>Hello, world!</h1>")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["x-seen"] == "GET"
    socket = browser.sock
    answer, body = browser.ask("/items/7", method="PUT")
    assert (answer.status, json.loads(body)) == (201, {"id": 7})
    answer, body = browser.ask("/move")
    assert (answer.status, answer.headers["location"]) == (307, "/hello")
    answer, body = browser.ask("/wrong")
    assert (answer.status, answer.headers["x-tea"], body) == (
        418,
        "yes",
        b"short and stout",
    )
    answer, body = browser.ask("/hello", method="POST")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
    assert browser.ask("/nowhere")[0].status == 404
    answer, body = browser.ask("/cookie")
    cookies = answer.headers.get_all("set-cookie") or []
    assert [cookie.partition(";")[0] for cookie in cookies] == ["a=1", "b=2"]
    answer, body = browser.ask("/hello", method="HEAD")
    assert (answer.headers["content-length"], body) == ("22", b"")
    assert browser.sock is socket


def test_streams_and_files(browser: Browser) -> None:
    """A stream, a file and ranges of it arrive whole; what is unchanged is not sent."""
    assert browser.ask("/stream")[1] == b"0 1 2 3 4 "
    source = starlette_app.THIS_FILE.read_bytes()
    answer, body = browser.ask("/file")
    assert body == source
    assert answer.headers["content-disposition"] == 'attachment; filename="own.py"'
    answer, body = browser.ask("/file", Range="bytes=10-19")
    assert (answer.status, body) == (206, source[10:20])
    answer, body = browser.ask("/static/starlette_app.py")
    assert body == source
    again, body = browser.ask(
        "/static/starlette_app.py", If_None_Match=answer.headers["etag"]
    )
    assert (again.status, body) == (304, b"")
    answer, body = browser.ask("/static/http_app.py", method="HEAD")
    assert (answer.status, body) == (200, b"")


def test_bodies_and_forms(browser: Browser) -> None:
    """Bodies are streamed to the application, fields and files of forms are read."""
    body = bytes(range(256)) * (MIB // 256)
    expected = hashlib.sha256(body).hexdigest().encode()
    assert browser.ask("/digest", body)[1] == expected
    pieces: Any = (body[start : start + 9999] for start in range(0, MIB, 9999))
    assert browser.ask("/digest", pieces, "POST")[1] == expected
    plain = {"Content_Type": "application/x-www-form-urlencoded"}
    assert json.loads(browser.ask("/form", b"name=a+b", **plain)[1]) == {
        "name": "a b",
        "size": 0,
    }
    parts = (
        b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nc\r\n'
        b'--x\r\nContent-Disposition: form-data; name="upload"; filename="f"\r\n\r\n'
        + body
        + b"\r\n--x--\r\n"
    )
    several = {"Content_Type": "multipart/form-data; boundary=x"}
    assert json.loads(browser.ask("/form", parts, **several)[1]) == {
        "name": "c",
        "size": MIB,
    }


def test_sessions_and_background_tasks(browser: Browser, app: Starlette) -> None:
    """A session is kept by its cookie, and a task runs once the answer is out."""
    visits = []
    headers: dict[str, Any] = {}
    for _ in range(3):
        answer, body = browser.ask("/session", **headers)
        visits.append(json.loads(body)["visits"])
        cookie = http.cookies.SimpleCookie(answer.headers["set-cookie"])
        headers = {"Cookie": f"session={cookie['session'].value}"}
    assert visits == [1, 2, 3]
    assert browser.ask("/background")[1] == b"soon"
    assert app.state.done.get(timeout=PATIENCE) == "in the background"


def test_middleware(browser: Browser) -> None:
    """What middleware adds and compresses arrives."""
    answer, body = browser.ask("/stream", Accept_Encoding="gzip")
    assert answer.headers["x-seen"] == "GET"
    assert gzip.decompress(body) == b"0 1 2 3 4 "
