"""TLS: a client that trusts the certificate is served, and mistakes are told."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from consumers.errors import ConfigurationError
from consumers.server.options import Options
from consumers.server.tls import tls_context
from consumers_tests.server.apps import Probe
from consumers_tests.server.live import PATIENCE, Kind, in_thread

PEM = str(Path(__file__).parent / "localhost.pem")
"""A certificate for localhost, with its key, signed by itself; valid until 2126."""


def trusting_client() -> ssl.SSLContext:
    """Return the context of a client that trusts the certificate.

    Of TLS 1.2: in 1.3 the server says something right behind its handshake, and a
    client that reads that in one thread while another one writes may lose its request.
    """
    context = ssl.create_default_context(cafile=PEM)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def test_messages_and_the_end_pass_through_tls(kind: Kind) -> None:
    """Over wss: a message comes back, and the stop arrives as 1012."""
    trusting = trusting_client()
    probe = Probe()
    with in_thread(probe, kind, ssl_certfile=PEM) as server:
        url = f"wss://localhost:{server.port}/echo"
        with connect(url, ssl=trusting, proxy=None, sock=server.raw()) as client:
            client.send("secret")
            assert client.recv(timeout=PATIENCE) == "secret"
            assert probe.scopes.get(timeout=PATIENCE)["scheme"] == "wss"
            server.stop()
            with pytest.raises(ConnectionClosed) as caught:
                client.recv(timeout=PATIENCE)

    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1012


def test_a_client_without_tls_hurts_nobody(kind: Kind) -> None:
    """Plain bytes on a TLS port end their own connection only."""
    trusting = trusting_client()
    with in_thread(Probe(), kind, ssl_certfile=PEM) as server:
        with server.raw(b"GET / HTTP/1.1\r\n\r\n") as plain:
            while plain.recv(65536):
                pass

        url = f"wss://localhost:{server.port}/echo"
        with connect(url, ssl=trusting, proxy=None, sock=server.raw()) as client:
            client.send("hello")
            assert client.recv(timeout=PATIENCE) == "hello"


def test_who_begins_no_tls_is_cut_in_time(kind: Kind) -> None:
    """A connection without a word has as long for TLS as for a request's headers."""
    with (
        in_thread(Probe(), kind, ssl_certfile=PEM, header_timeout=0.2) as server,
        server.raw() as silent,
    ):
        assert silent.recv(1) == b""


def test_the_limit_of_the_end_holds_with_tls(kind: Kind) -> None:
    """An application that does not end is cancelled over wss too."""
    trusting = trusting_client()
    probe = Probe()
    with in_thread(probe, kind, ssl_certfile=PEM, graceful_timeout=0.0) as server:
        url = f"wss://localhost:{server.port}/sleep"
        with connect(url, ssl=trusting, proxy=None, sock=server.raw()):
            server.stop()

    assert probe.lifespan[-2:] == ["connection ended", "lifespan.shutdown"]


def test_there_is_no_context_without_a_certificate() -> None:
    """Without a certificate the server speaks plain TCP."""
    assert tls_context(Options()) is None


def test_client_certificates_and_ciphers_are_set() -> None:
    """What the options say about clients and ciphers is what the context does."""
    context = tls_context(
        Options(
            ssl_certfile=PEM,
            ssl_ca_certs=PEM,
            ssl_cert_reqs="required",
            ssl_ciphers="ECDHE+AESGCM",
        )
    )

    assert context is not None
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert len(context.get_ca_certs()) == 1


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"ssl_certfile": "none.pem"}, "ssl_certfile must be a file, got 'none.pem'"),
        (
            {"ssl_certfile": PEM, "ssl_keyfile": "none.pem"},
            "ssl_keyfile must be a file, got 'none.pem'",
        ),
        (
            {"ssl_certfile": __file__},
            "ssl_certfile and ssl_keyfile must be a PEM certificate and its key, got",
        ),
        (
            {"ssl_certfile": PEM, "ssl_ca_certs": __file__},
            "ssl_ca_certs must hold PEM certificates, got 'no certificate or crl found",
        ),
        (
            {"ssl_certfile": PEM, "ssl_ciphers": "ROT13"},
            "ssl_ciphers must name known ciphers, got 'ROT13'",
        ),
    ],
)
def test_mistakes_are_told(settings: dict[str, Any], expected: str) -> None:
    """A file that is missing or is something else is named in the error."""
    with pytest.raises(ConfigurationError) as caught:
        tls_context(Options(**settings))

    assert str(caught.value).startswith(expected)
