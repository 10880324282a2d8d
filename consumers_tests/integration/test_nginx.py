"""nginx in front of two processes, with the configuration that the how-to shows."""

from __future__ import annotations

import json
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from consumers_tests.server.live import (
    KINDS,
    PATIENCE,
    Process,
    Server,
    in_thread,
)
from consumers_tests.server.test_tls import trusting_client
from consumers_tests.valkey import free_port

from .behind_nginx import app
from .nginx import NGINX, nginx

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")

APP = "consumers_tests.integration.behind_nginx:app"


class Site:
    """Two processes, and an nginx in front."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        # One pings often, the other one never.
        self.processes = [
            stack.enter_context(
                Process(
                    *(APP, "--port", "0", "--backend", backend),
                    *("--ws-ping-interval", interval),
                )
            )
            for backend, interval in (("trio", "0.3"), ("asyncio", "off"))
        ]
        self.servers: list[Server] = [one.server() for one in self.processes]
        self.ports = [server.port for server in self.servers]
        self.tls = free_port()
        self.port = stack.enter_context(nginx(folder, self.ports, tls=self.tls))

    def connect(self, port: int | None = None, **settings: Any) -> ClientConnection:
        """Connect by nginx, or by another one that listens on ``port``."""
        return client_of(f"ws://127.0.0.1:{port or self.port}", **settings)


def client_of(address: str, **settings: Any) -> ClientConnection:
    """Connect by the nginx at this address."""
    client: ClientConnection = connect(
        f"{address}/shown",
        proxy=None,
        open_timeout=PATIENCE,
        ping_interval=None,
        **settings,
    )
    return client


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run all three."""
    with ExitStack() as stack:
        yield Site(stack, tmp_path_factory.mktemp("nginx"))


def shown(client: ClientConnection) -> dict[str, Any]:
    """Return what the server says first."""
    told: dict[str, Any] = json.loads(client.recv(timeout=PATIENCE))
    return told


def test_what_comes_through(site: Site) -> None:
    """Host with its port, and the client's address, which it can't make up."""
    origin = f"http://127.0.0.1:{site.port}"
    made_up = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https"}

    with site.connect(origin=origin, additional_headers=made_up) as client:
        seen = shown(client)

    assert seen["client"] == "127.0.0.1"
    assert seen["headers"] == {
        "host": f"127.0.0.1:{site.port}",
        "origin": origin,
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-proto": "http",
    }


def test_pages_of_another_origin_are_refused(site: Site) -> None:
    """The Host header is the request's own: the default holds behind nginx."""
    with (
        pytest.raises(InvalidStatus) as caught,
        site.connect(origin="http://evil.test"),
    ):
        pass

    assert caught.value.response.status_code == 403


def test_tls_ends_at_nginx(site: Site) -> None:
    """With a certificate `https` comes through, and pages of the same origin do."""
    page = f"https://localhost:{site.tls}"
    made_up = {"X-Forwarded-Proto": "http"}
    with ExitStack() as stack:
        seen = []
        for _ in site.processes:
            sock = socket.create_connection(("127.0.0.1", site.tls), timeout=PATIENCE)
            client = client_of(
                f"wss://localhost:{site.tls}",
                ssl=trusting_client(),
                sock=sock,
                origin=page,
                additional_headers=made_up,
            )
            seen.append(shown(stack.enter_context(client)))

    assert {each["pid"] for each in seen} == {one.popen.pid for one in site.processes}
    for each in seen:
        assert each["scheme"] == "wss"
        assert each["headers"]["origin"] == page
        assert each["headers"]["x-forwarded-proto"] == "https"


def test_a_page_without_tls_is_another_origin(site: Site) -> None:
    """Behind nginx with TLS a page of `http` may not connect, which could be anyone."""
    with (
        pytest.raises(InvalidStatus) as caught,
        socket.create_connection(("127.0.0.1", site.tls), timeout=PATIENCE) as sock,
        client_of(
            f"wss://localhost:{site.tls}",
            ssl=trusting_client(),
            sock=sock,
            origin=f"http://localhost:{site.tls}",
        ),
    ):
        pass

    assert caught.value.response.status_code == 403


@pytest.mark.parametrize(
    ("believed", "client"), [("*", "127.0.0.1"), ("127.0.0.1", None)]
)
def test_unix_sockets_behind_nginx(
    tmp_path: Path, believed: str, client: str | None
) -> None:
    """Each process sees the client's address if it believes whoever is there."""
    with ExitStack() as stack:
        paths = [str(tmp_path / name) for name in ("own", "trio")]
        for path, name in zip(paths, ("own", "trio"), strict=True):
            settings = {"uds": path, "forwarded_allow_ips": believed}
            stack.enter_context(in_thread(app, KINDS[name], **settings))
        port = stack.enter_context(nginx(tmp_path, paths))
        address = f"ws://127.0.0.1:{port}"
        page = f"http://127.0.0.1:{port}"
        clients = [client_of(address, origin=page) for _ in paths]
        seen = [shown(stack.enter_context(one)) for one in clients]

    assert [each["client"] for each in seen] == [client] * 2


def test_http_goes_to_both(site: Site) -> None:
    """Requests are passed on as well, to each process in turn."""
    url = f"http://127.0.0.1:{site.port}/pid"

    answered = set()
    for _ in range(4):
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            answered.add(json.loads(answer.read()))

    assert answered == {process.popen.pid for process in site.processes}


def test_pings_keep_a_quiet_connection(site: Site, tmp_path: Path) -> None:
    """With pings a connection outlives nginx's timeout; without it is cut off."""
    pinged, quiet = (process.popen.pid for process in site.processes)
    answer = None
    with ExitStack() as stack:
        port = stack.enter_context(nginx(tmp_path, site.ports, quiet="1s"))
        for _ in range(3):
            clients: dict[int, ClientConnection] = {}
            since: dict[int, float] = {}
            while len(clients) < 2:
                begun = time.monotonic()
                client = stack.enter_context(site.connect(port))
                pid = shown(client)["pid"]
                clients[pid], since[pid] = client, begun
            with pytest.raises(ConnectionClosed):
                clients[quiet].recv(timeout=PATIENCE)
            assert time.monotonic() - since[quiet] > 0.9
            # On a machine where who pings had no processor for so long, another try.
            with suppress(ConnectionClosed):
                clients[pinged].send('"still here"')
                answer = clients[pinged].recv(timeout=PATIENCE)
                break

    assert answer == '"still here"'


class Answering(BaseHTTPRequestHandler):
    """Stands for a process that serves."""

    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


@contextmanager
def answering(port: int) -> Iterator[None]:
    """Listen on a port, and answer; then refuse connections."""
    with HTTPServer(("127.0.0.1", port), Answering) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join(PATIENCE)


@pytest.mark.parametrize(("without", "status"), [("", 204), (" max_fails=0", 502)])
def test_one_restarts_after_the_other(
    tmp_path: Path, without: str, status: int
) -> None:
    """The one that is back serves at once, though it has just refused."""

    def asked(port: int) -> int:
        client = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        client.request("GET", "/")
        answer = client.getresponse().status
        client.close()
        return answer

    first, second = free_port(), free_port()
    with nginx(tmp_path, (first, second), without=without) as port:
        with answering(second):
            assert [asked(port) for _ in range(3)] == [204] * 3
        with answering(first):
            assert asked(port) == status


def test_who_is_asked_to_return_gets_the_other_process(site: Site) -> None:
    """While one drains its clients get 1012, and come back to the other at once."""
    with ExitStack() as stack:
        while True:
            client = stack.enter_context(site.connect())
            if shown(client)["pid"] == site.processes[0].popen.pid:
                break
        site.processes[0].terminate()
        with pytest.raises(ConnectionClosed) as caught:
            client.recv(timeout=PATIENCE)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1012
        for _ in range(3):
            with site.connect() as again:
                assert shown(again)["pid"] == site.processes[1].popen.pid
        assert site.processes[0].wait(PATIENCE) == 0
