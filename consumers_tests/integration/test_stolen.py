"""A stolen cookie: what it opened ends with the session, on real servers."""

from __future__ import annotations

import http.client

import pytest
from howto import server_sessions
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection

from consumers_tests.server.live import KINDS, PATIENCE, Server, in_thread


def post(server: Server, path: str, **headers: str) -> http.client.HTTPResponse:
    client = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE)
    client.request("POST", path, headers={"Connection": "close", **headers})
    response = client.getresponse()
    response.read()
    return response


def log_in(server: Server, name: str) -> dict[str, str]:
    cookie = post(server, f"/log-in?name={name}").headers["set-cookie"]
    return {"Cookie": cookie.partition(";")[0]}


def inbox(server: Server, cookie: dict[str, str]) -> ClientConnection:
    return server.connect("/inbox", additional_headers=cookie)


@pytest.mark.parametrize("kind", ["own", "trio"])
def test_a_stolen_cookie_ends_with_its_session(kind: str) -> None:
    """Whoever shows it is closed at the logout; other sessions of the user stay."""
    with in_thread(server_sessions.app, KINDS[kind]) as server:
        cookie, phone = log_in(server, "ann"), log_in(server, "ann")
        with (
            inbox(server, cookie) as owner,
            inbox(server, cookie) as thief,
            inbox(server, phone) as other,
        ):
            for client in (owner, thief, other):
                assert client.recv(PATIENCE) == "Hello, ann!"
            post(server, "/log-out", **cookie)
            for client in (owner, thief):
                with pytest.raises(ConnectionClosed) as closed:
                    client.recv(PATIENCE)
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 4401
            assert other.ping().wait(PATIENCE)
        with pytest.raises(InvalidStatus) as refused, inbox(server, cookie):
            raise AssertionError

    assert refused.value.response.status_code == 401
