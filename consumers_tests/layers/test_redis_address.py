"""Addresses of servers: what URLs say, and what is told of those that can't be used."""

from __future__ import annotations

import pickle
import ssl
from pathlib import Path

import pytest

from consumers.errors import ConfigurationError
from consumers.layers.redis.address import Address

PEM = str(Path(__file__).parent.parent / "server" / "localhost.pem")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://cache", Address(host="cache")),
        ("redis://cache/", Address(host="cache")),
        ("redis://127.0.0.1:7000", Address(host="127.0.0.1", port=7000)),
        ("redis://[::1]:7000", Address(host="::1", port=7000)),
        ("redis://cache/2", Address(host="cache", db=2)),
        ("redis://cache?db=2", Address(host="cache", db=2)),
        ("redis://cache/2?db=2", Address(host="cache", db=2)),
        ("redis://:pw@cache", Address(host="cache", password="pw")),
        (
            "redis://ada:p%40%2F%3A%23@cache",
            Address(host="cache", username="ada", password="p@/:#"),
        ),
        ("rediss://cache", Address(host="cache", tls=True)),
        (
            "rediss://cache?ssl_cert_reqs=none",
            Address(host="cache", tls=True, verify=False),
        ),
        (
            f"rediss://cache?ssl_ca_certs={PEM}&ssl_cert_reqs=required",
            Address(host="cache", tls=True, ca_certs=PEM),
        ),
        ("redis://cache?cluster=true", Address(host="cache", cluster=True)),
        ("redis://cache?cluster=false", Address(host="cache")),
        ("redis://cache?prefix=shop:eu", Address(host="cache", prefix="shop:eu")),
        ("unix:///run/valkey.sock", Address(path="/run/valkey.sock")),
        (
            "unix://ada:pw@/run/with%20space?db=3",
            Address(path="/run/with space", username="ada", password="pw", db=3),
        ),
    ],
)
def test_what_a_url_says(url: str, expected: Address) -> None:
    """Host, port, socket, credentials, TLS and options are read, decoded."""
    address = Address.parse(url)

    assert address == expected
    assert address == pickle.loads(pickle.dumps(address))


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://cache", "must begin with memory://, redis://, rediss:// or unix://,"),
        ("cache:6379", "must begin with memory://"),
        ("", "must begin with memory://"),
        ("redis://", "must have a host"),
        ("redis:///1", "must have a host"),
        ("redis://cache:0", "must have a host, and a port of 1-65535 if any, got"),
        ("redis://cache:port", "with a port of 1-65535, got 'redis://cache:port'"),
        ("redis://cache:65536", "with a port of 1-65535"),
        ("redis://[::1", "with a port of 1-65535"),
        ("redis://:s3cret#x@cache", "percent-encode"),
        ("redis://cache/1#x", "must be without a '#', got"),
        ("redis://s3cret@cache", "got none; write 'redis://:password@…' for the def"),
        ("redis://ada:@cache", "must have a password where it has a user"),
        ("redis://cache/one", "one number of a database, got 'one'; write 'redis://…"),
        ("redis://cache?db=-1", "one number of a database, got '-1'"),
        ("redis://cache/1?db=2", "one number of a database, got '1/2'"),
        ("redis://cache?cluster=yes", "'cluster' of a layer's URL must be 'false' or"),
        ("redis://cache/1?cluster=true", "with database 0, got 1; give each applicat"),
        ("unix:///run/x?cluster=true", "belongs to redis:// and rediss://, got unix:"),
        ("redis://cache?password=s3cret", "ssl_ca_certs, ssl_cert_reqs, got 'password"),
        ("redis://cache?db=1&db=1", "must be given once, got 'db' twice"),
        ("redis://cache?prefix=", "1-64 letters, digits and _ . : -, got ''"),
        ("redis://cache?prefix={a}", "1-64 letters, digits and _ . : -, got '{a}'"),
        ("redis://cache?ssl_cert_reqs=none", "belongs to rediss://, got redis://"),
        ("rediss://cache?ssl_cert_reqs=maybe", "must be 'required' or 'none', got 'm"),
        ("rediss://cache?ssl_ca_certs=nowhere", "ssl_ca_certs must be a file, got"),
        ("unix://", "a path and no host, got 'unix://'; write 'unix:///run/valkey"),
        ("unix://run/valkey.sock", "a path and no host, got 'unix://run/valkey.sock'"),
        ("unix://:s3cret@host/x", "a path and no host, got 'unix://***@host/x'"),
    ],
)
def test_what_is_wrong_is_told(url: str, told: str) -> None:
    """Each mistake is told with what was expected and a way out, without secrets."""
    with pytest.raises(ConfigurationError) as caught:
        Address.parse(url)

    assert told in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://cache", "redis://cache:6379"),
        ("redis://:s3cret@cache/1", "redis://:***@cache:6379?db=1"),
        ("rediss://ada:s3cret@[::1]:7000", "rediss://ada:***@[::1]:7000"),
        (
            "redis://cache?prefix=shop&cluster=true",
            "redis://cache:6379?cluster=true&prefix=shop",
        ),
        ("unix://:s3cret@/run/valkey.sock", "unix://:***@/run/valkey.sock"),
    ],
)
def test_a_password_is_never_shown(url: str, shown: str) -> None:
    """As a text an address is a URL again, without its password."""
    address = Address.parse(url)

    assert str(address) == shown
    assert repr(address) == f"Address({shown!r})"


def test_certificates_are_checked_unless_told_otherwise() -> None:
    """TLS trusts who can show a certificate for the host; that can be switched off."""
    strict = Address.parse("rediss://cache").ssl_context()
    trusting = Address.parse(f"rediss://cache?ssl_ca_certs={PEM}").ssl_context()
    blind = Address.parse("rediss://cache?ssl_cert_reqs=none").ssl_context()

    assert strict is not None
    assert strict.verify_mode is ssl.CERT_REQUIRED
    assert strict.check_hostname
    assert trusting is not None
    assert trusting.verify_mode is ssl.CERT_REQUIRED
    assert trusting.cert_store_stats()["x509"] == strict.cert_store_stats()["x509"] + 1
    assert blind is not None
    assert blind.verify_mode is ssl.CERT_NONE
    assert not blind.check_hostname
    assert Address.parse("redis://cache").ssl_context() is None


def test_a_file_without_certificates_is_told(tmp_path: Path) -> None:
    """The file is read when it is needed, and told by its name."""
    path = tmp_path / "empty.pem"
    path.write_text("nothing")

    with pytest.raises(ConfigurationError, match=r"certificates in PEM format, got"):
        Address.parse(f"rediss://cache?ssl_ca_certs={path}").ssl_context()
