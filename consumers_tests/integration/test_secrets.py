"""Credentials that come with a handshake, and what real servers say on stderr."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from consumers.server.logs import configure_logging
from consumers_tests.server.live import KINDS, PATIENCE, Process, Server, in_thread
from consumers_tests.server.project import Project

from .telling import IN_COOKIE, IN_FRAME, IN_HEADER, IN_OFFER, IN_QUERY, SECRETS, app


@contextmanager
def logging_all(path: Path, **settings: Any) -> Iterator[logging.Handler]:
    """Log as `consumers run` does it, where it and uvicorn say most."""
    tracing = logging.getLogger("uvicorn.asgi")
    with Project(path).undone():
        level = tracing.level
        configure_logging(KINDS["own"].options(log_level="debug", **settings))
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


def send_frames(server: Server, last: dict[str, object]) -> None:
    """Send tokens in frames, and then one that makes a method raise."""
    frames: list[tuple[dict[str, object], str]] = [
        ({"type": "refresh", "id": 1, "token": IN_FRAME}, "reply"),
        ({"type": "refresh", "id": 2, "token": f"refused.{IN_FRAME}"}, "not_allowed"),
        ({"type": "refresh", "id": 3, "token": [IN_FRAME]}, "invalid_message"),
        ({"type": "request", "id": IN_FRAME, "message": "a"}, "invalid_message"),
        ({"type": IN_FRAME, "id": 5}, "unknown_type"),
        (last, "internal"),
    ]
    headers = {"Authorization": f"Bearer {IN_HEADER}", "Cookie": f"session={IN_COOKIE}"}
    with server.connect(
        f"/typed?token={IN_QUERY}",
        additional_headers=headers,
        subprotocols=["consumers.v1+json", f"bearer.{IN_OFFER}"],
    ) as client:
        assert json.loads(client.recv(timeout=PATIENCE))["type"] == "welcome"
        for frame, expected in frames:
            client.send(json.dumps(frame))
            answer = json.loads(client.recv(timeout=PATIENCE))
            assert answer.get("code", answer["type"]) == expected


def requests(server: Server) -> None:
    """Ask for a page, which answers or raises."""
    for query in ("", "&broken=1"):
        lines = f"GET /page?token={IN_QUERY}{query} HTTP/1.1", "Host: localhost"
        fields = f"Authorization: Bearer {IN_HEADER}", f"Cookie: s={IN_COOKIE}"
        request = "\r\n".join((*lines, *fields, "Connection: close", "", ""))
        with server.raw(request.encode()) as sock:
            while sock.recv(65536):
                pass


@pytest.mark.parametrize("kind", ["own", "sansio", "trio"])
def test_no_credential_is_on_stderr(
    kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nor in access lines, traces and tracebacks; the rest of them is there."""
    paths = ["hello", "refused", "broken", "handshake", "echoed", "connect", "receive"]
    with logging_all(tmp_path), in_thread(app, KINDS[kind]) as server:
        answers = {path: conversation(server, f"/{path}") for path in paths}
        conversation(server, "/disconnect")
        requests(server)

    said = capfd.readouterr().err
    assert answers["hello"] == f"{IN_HEADER[::-1]} ['chat']"
    for point in ("no row for", *(f"RuntimeError: {each}" for each in paths[3:4])):
        assert point in said
    assert "/page?token=[redacted]" in said
    assert "/hello?a=b&token=[redacted]&access_token=[redacted]" in said
    for secret in (IN_HEADER, IN_QUERY, IN_COOKIE, IN_OFFER):
        assert secret not in said


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_no_credential_is_in_lines_of_json(backend: str) -> None:
    """Nor what frames bring, where a process says most."""
    said: list[str] = []
    with Process(
        *("consumers_tests.integration.telling:app", "--port", "0"),
        *("--backend", backend, "--log-format", "json", "--log-level", "debug"),
    ) as process:
        server, stderr = process.server(), process.popen.stderr
        assert stderr is not None
        # A pipe that nobody empties would hold up who writes.
        reader = Thread(target=said.extend, args=(stderr,))
        reader.start()
        for path in ("hello", "refused", "broken", "handshake", "connect"):
            conversation(server, f"/{path}")
        requests(server)
        broken = {"type": "refresh", "id": 6, "token": f"broken.{IN_FRAME}"}
        asked = {"type": "request", "id": 6, "message": {"type": "say", "text": "a"}}
        for last in (broken, asked):
            send_frames(server, last)
        process.terminate()
        reader.join(PATIENCE)

    lines = [json.loads(line) for line in said]
    assert len([line for line in lines if "exception" in line]) == 6
    assert any("/typed?token=[redacted]" in line["message"] for line in lines)
    for secret in SECRETS:
        assert secret not in "".join(said)


@pytest.mark.parametrize(
    "settings",
    # With access lines JSON's observer would stay with this process.
    [{}, {"log_format": "json", "access_log": False}],
    ids=["text", "json"],
)
def test_a_control_without_the_filter(
    settings: dict[str, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """What the filter takes out would be there."""
    with logging_all(tmp_path, **settings) as handler:
        handler.filters.clear()
        with in_thread(app, KINDS["own"]) as server:
            conversation(server, "/broken")

    said = capfd.readouterr().err
    for secret in (IN_HEADER, IN_QUERY, IN_COOKIE, IN_OFFER):
        assert secret in said
