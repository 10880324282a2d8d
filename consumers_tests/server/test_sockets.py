"""Sockets to listen on."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest
from websockets.sync.client import unix_connect

from consumers.errors import ConfigurationError
from consumers.server.options import Options
from consumers.server.sockets import address_of, bind, release, url_of
from consumers_tests.server.apps import Probe
from consumers_tests.server.live import PATIENCE, Kind, in_thread


def test_a_free_port_is_taken() -> None:
    """Port 0 gives a free port, and the address says which."""
    options = Options(port=0)
    with bind(options) as sock:
        host, port = address_of(sock)

        assert host == "127.0.0.1"
        assert port > 0
        assert url_of(sock, options) == f"http://127.0.0.1:{port}"


def test_ipv6_has_brackets_and_tls_an_s() -> None:
    """The address is one that a browser understands."""
    options = Options(port=0, host="::1", ssl_certfile="x.pem")
    with bind(options) as sock:
        port = sock.getsockname()[1]

        assert url_of(sock, options) == f"https://[::1]:{port}"


@pytest.mark.may_skip
@pytest.mark.skipif(sys.platform != "linux", reason="TCP_USER_TIMEOUT is Linux's")
@pytest.mark.parametrize(("seconds", "milliseconds"), [(2.5, 2500), (None, 0)])
def test_accepted_sockets_inherit_the_timeout(
    seconds: float | None, milliseconds: int
) -> None:
    """An accepted connection has the timeout of the listening socket."""
    with bind(Options(port=0, unacknowledged_timeout=seconds)) as sock:
        sock.setblocking(True)
        with socket.create_connection(address_of(sock)), sock.accept()[0] as accepted:
            set_to = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)

    assert set_to == milliseconds


def test_a_given_file_descriptor_is_used() -> None:
    """A socket that another program opened is listened on."""
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        with (
            bind(Options(fd=opened.detach())) as sock,
            socket.create_connection(address_of(sock), timeout=PATIENCE),
        ):
            pass


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (Options(fd=987), "file descriptor 987 must be free to listen on, got 'Bad"),
        (
            Options(host="no-such-host.invalid"),
            "port 8000 on no-such-host.invalid must",
        ),
        (Options(uds="/no/such/directory/x"), "/no/such/directory/x must be free"),
        (Options(host="192.0.2.1", port=0), "port 0 on 192.0.2.1 must be free"),
    ],
)
def test_what_cannot_be_listened_on_is_told(options: Options, expected: str) -> None:
    """An address that can't be listened on is named in the error."""
    with pytest.raises(ConfigurationError, match=f"^{expected}"):
        bind(options)


def test_a_taken_port_has_a_way_out() -> None:
    """For a port that is in use the error says what to do."""
    with bind(Options(port=0)) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(ConfigurationError) as caught:
            bind(Options(port=port))

    assert str(caught.value) == (
        f"port {port} on 127.0.0.1 must be free to listen on, got 'Address already in "
        "use'; stop what listens there, or choose another"
    )


def test_a_stale_unix_socket_is_replaced(tmp_path: Path) -> None:
    """The file of a server that was killed is in nobody's way; a live one's is."""
    options = Options(uds=str(tmp_path / "socket"))
    bind(options).close()

    sock = bind(options)

    assert url_of(sock, options) == f"unix:{options.uds}"
    assert address_of(sock) == (options.uds, 0)
    with pytest.raises(ConfigurationError, match="must be free to listen on"):
        bind(options)
    release(sock, options)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_not_replaced(tmp_path: Path) -> None:
    """A file that is no socket is not removed to make place."""
    path = tmp_path / "precious"
    path.write_text("data")

    with pytest.raises(ConfigurationError, match="must be free to listen on"):
        bind(Options(uds=str(path)))

    assert path.read_text() == "data"


def test_a_unix_socket_is_served(kind: Kind, tmp_path: Path) -> None:
    """A WebSocket over a Unix socket works like any other, and its file goes."""
    path = str(tmp_path / "socket")
    with (
        in_thread(Probe(), kind, uds=path),
        unix_connect(path, "ws://localhost/echo", compression=None) as client,
    ):
        client.send("over the file system")
        assert client.recv(timeout=PATIENCE) == "over the file system"

    assert list(tmp_path.iterdir()) == []
