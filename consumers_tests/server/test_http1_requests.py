"""From a request to ASGI's scope, and what is refused before."""

from __future__ import annotations

import h11
import pytest

from consumers.server.http1 import (
    MAX_HEAD,
    Endpoints,
    check,
    http_scope,
    is_websocket,
    websocket_scope,
)

ENDPOINTS = Endpoints(("127.0.0.1", 80), ("127.0.0.1", 4711), False, "")


def parsed(*headers: str, target: str = "/", version: str = "1.1") -> h11.Request:
    """Return a request as h11 reads it."""
    connection = h11.Connection(h11.SERVER)
    lines = [f"GET {target} HTTP/{version}", "Host: x", *headers, "", ""]
    connection.receive_data("\r\n".join(lines).encode())
    event = connection.next_event()
    assert isinstance(event, h11.Request)
    return event


def test_a_scope_has_all_that_asgi_says() -> None:
    """Path, query, headers in lower case, both ends, and a state of its own."""
    request = parsed("X-Y: z", target="/%C3%A4%2F?a=%20")
    state = {"shared": 1}
    scope = http_scope(request, ENDPOINTS, state)

    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/ä/",
        "raw_path": b"/%C3%A4%2F",
        "query_string": b"a=%20",
        "root_path": "",
        "headers": [(b"host", b"x"), (b"x-y", b"z")],
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 4711),
        "state": state,
        "extensions": {"http.response.early_hint": {}},
    }
    assert scope["state"] is not state


def test_a_websocket_s_scope() -> None:
    """It has subprotocols, and a scheme that says whether it is TLS."""
    endpoints = Endpoints(("/run/sock", None), None, True, "/api")
    scope = websocket_scope(parsed(target="/x"), endpoints, {}, ["a", "b"])

    assert (scope["type"], scope["scheme"]) == ("websocket", "wss")
    assert scope["subprotocols"] == ["a", "b"]
    assert scope["extensions"] == {"websocket.http.response": {}}
    assert (scope["root_path"], scope["path"]) == ("/api", "/api/x")
    assert scope["raw_path"] == b"/api/x"
    assert "method" not in scope


@pytest.mark.parametrize(
    ("headers", "asks"),
    [
        (["Upgrade: websocket", "Connection: Upgrade"], True),
        (["Upgrade: WebSocket", "Connection: keep-alive, upgrade"], True),
        (["Upgrade: websocket", "Connection: keep-alive", "Connection: Upgrade"], True),
        (["Upgrade: websocket"], False),
        (["Connection: Upgrade"], False),
        (["Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings"], False),
        (["Upgrade: websocket", "Connection: upgraded"], False),
    ],
)
def test_who_asks_for_a_websocket(headers: list[str], asks: bool) -> None:
    """Both headers say so, in any case and order."""
    assert is_websocket(parsed(*headers)) is asks


@pytest.mark.parametrize(
    ("headers", "version", "status"),
    [
        (["Transfer-Encoding: chunked"], "1.1", None),
        (["Content-Length: 1"], "1.0", None),
        (["Transfer-Encoding: chunked"], "1.0", 400),
        ([], "2.0", 400),
        (["Transfer-Encoding: chunked", "Content-Length: 1"], "1.1", 400),
        (["X: " + "a" * MAX_HEAD], "1.1", 431),
    ],
)
def test_what_is_refused(headers: list[str], version: str, status: int | None) -> None:
    """Bodies that can be read in two ways, and heads that are too large."""
    request = parsed(*headers, version=version)
    if status is None:
        check(request)
        return
    with pytest.raises(h11.RemoteProtocolError) as caught:
        check(request)

    assert caught.value.error_status_hint == status
