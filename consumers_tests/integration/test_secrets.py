"""Credentials that come with a handshake, and what real servers say on stderr."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from consumers import App, Identity, WebSocket, WebSocketConsumer, WebSocketRoute
from consumers.server.logs import configure_logging
from consumers_tests.server.live import KINDS, Server, in_thread
from consumers_tests.server.project import Project

IN_HEADER = "pl4nted-in-a-header.Zm9v_1"
IN_QUERY = "pl4nted-in-a-query.Zm9v_2"
IN_COOKIE = "pl4nted-in-a-cookie.Zm9v_3"
IN_OFFER = "pl4nted-in-an-offer.Zm9v_4"


async def authenticate(connection: WebSocket) -> Identity | None:
    """The path says what becomes of the handshake."""
    match connection.url.path:
        case "/refused":
            raise HTTPException(401)
        case "/broken":
            raise LookupError(f"no row for {connection.url} in {connection.scope!r}")
    return Identity("ann", session=connection.cookies["session"])


class Telling(WebSocketConsumer):
    """Raises with all that it knows, at one point or another."""

    async def on_handshake(self) -> None:
        self.fail("handshake")
        if self.url.path == "/echoed":
            await self.accept(f"bearer.{IN_OFFER}")

    async def on_connect(self) -> None:
        self.fail("connect")

    async def on_receive(self, message: str) -> None:
        self.fail("receive")
        # Not as it is: uvicorn's own classes log messages, where they say most.
        assert self.token is not None
        await self.send(f"{self.token[::-1]} {self.subprotocols}")

    async def on_disconnect(self, code: int) -> None:
        self.fail("disconnect")

    def fail(self, point: str) -> None:
        if self.url.path == f"/{point}":
            told = dict(self.headers), self.cookies, self.user, str(self.url)
            raise RuntimeError(f"{point}: {told} {self.scope!r}")


async def page(request: Request) -> Response:
    if "broken" in request.query_params:
        raise LookupError(f"no row for {request.url}, {request.headers!r}")
    return PlainTextResponse("a page")


app = App(
    [Route("/page", page), WebSocketRoute("/{point}", Telling)],
    authenticate=authenticate,
)


@contextmanager
def logging_all(path: Path) -> Iterator[logging.Handler]:
    """Log as `consumers run` does it, where it and uvicorn say most."""
    tracing = logging.getLogger("uvicorn.asgi")
    with Project(path).undone():
        level = tracing.level
        configure_logging(KINDS["own"].options(log_level="debug"))
        tracing.setLevel(5)  # uvicorn's own TRACE
        yield logging.getLogger("uvicorn").handlers[0]
        tracing.setLevel(level)


def conversation(server: Server, path: str) -> str:
    """Connect with all kinds of credentials; return the answer to a message."""
    headers = {
        "Authorization": f"Bearer {IN_HEADER}",
        "Cookie": f"theme=dark; session={IN_COOKIE}",
    }
    with (
        suppress(ConnectionClosed, InvalidHandshake),
        server.connect(
            f"{path}?a=b&token={IN_QUERY}&access_token={IN_QUERY}",
            additional_headers=headers,
            subprotocols=["chat", f"bearer.{IN_OFFER}"],
        ) as client,
    ):
        client.send("hello")
        assert client.subprotocol is None
        return str(client.recv(timeout=5))
    return ""


@pytest.mark.parametrize("kind", ["own", "sansio", "trio"])
def test_no_credential_is_on_stderr(
    kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nor in access lines, traces and tracebacks; the rest of them is there."""
    paths = ["hello", "refused", "broken", "handshake", "echoed", "connect", "receive"]
    with logging_all(tmp_path), in_thread(app, KINDS[kind]) as server:
        answers = {path: conversation(server, f"/{path}") for path in paths}
        conversation(server, "/disconnect")
        for query in ("", "&broken=1"):
            lines = f"GET /page?token={IN_QUERY}{query} HTTP/1.1", "Host: localhost"
            fields = f"Authorization: Bearer {IN_HEADER}", f"Cookie: s={IN_COOKIE}"
            request = "\r\n".join((*lines, *fields, "Connection: close", "", ""))
            with server.raw(request.encode()) as sock:
                while sock.recv(65536):
                    pass

    said = capfd.readouterr().err
    assert answers["hello"] == f"{IN_HEADER[::-1]} ['chat']"
    for point in ("no row for", *(f"RuntimeError: {each}" for each in paths[3:4])):
        assert point in said
    assert "/page?token=[redacted]" in said
    assert "/hello?a=b&token=[redacted]&access_token=[redacted]" in said
    for secret in (IN_HEADER, IN_QUERY, IN_COOKIE, IN_OFFER):
        assert secret not in said


def test_a_control_without_the_filter(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """What the filter takes out would be there."""
    with logging_all(tmp_path) as handler:
        handler.filters.clear()
        with in_thread(app, KINDS["own"]) as server:
            conversation(server, "/broken")

    said = capfd.readouterr().err
    for secret in (IN_HEADER, IN_QUERY, IN_COOKIE, IN_OFFER):
        assert secret in said
