"""What may be set, and what may not be set together."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from consumers.errors import ConfigurationError
from consumers.server.options import Options


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"port": "8000"}, "port must be int, got '8000'"),
        ({"port": True}, "port must be int, got True"),
        ({"port": 70000}, "port must be between 0 and 65535, got 70000"),
        ({"host": None}, "host must be str, got None"),
        ({"reload": 1}, "reload must be bool, got 1"),
        ({"fd": -1}, "fd must be an open file descriptor, got -1"),
        ({"backend": "curio"}, "backend must be one of asyncio, trio, got 'curio'"),
        ({"workers": 0}, "workers must be a positive number, got 0"),
        (
            {"ws_deflate_memory_level": 10},
            "ws_deflate_memory_level must be between 1 and 9, got 10",
        ),
        ({"ws_max_size": -1}, "ws_max_size must be a positive number, got -1"),
        (
            {"graceful_timeout": float("inf")},
            "graceful_timeout must be a finite number of seconds, got inf",
        ),
        ({"header_timeout": 0}, "header_timeout must be a positive number, got 0"),
        ({"body_timeout": -1.0}, "body_timeout must be a positive number, got -1.0"),
        (
            {"keep_alive_timeout": None},
            "keep_alive_timeout must be float, got None",
        ),
        (
            {"ws": "picows"},
            "ws must be auto, websockets-sansio, wsproto or MODULE:CLASS, got 'picows'",
        ),
        (
            {"loop": "zuv"},
            "loop must be auto, asyncio, uvloop or MODULE:FACTORY, got 'zuv'",
        ),
        (
            {"uds": "x", "fd": 3},
            "one address was expected, got both uds and fd; leave one out",
        ),
        (
            {"reload": True, "workers": 2},
            "reload works with one process, got workers=2; leave one of the two out",
        ),
        (
            {"ssl_keyfile": "key.pem"},
            "ssl_keyfile needs a certificate, got none; give ssl_certfile too",
        ),
        (
            {"ssl_certfile": "x.pem", "ssl_cert_reqs": "required"},
            (
                "ssl_ca_certs must name the authorities to trust where client "
                "certificates are required, got None; give their file"
            ),
        ),
        (
            {"backend": "trio", "ws": "wsproto"},
            (
                "ws is a choice of backend 'asyncio', got 'wsproto' with backend "
                "'trio'; leave one out"
            ),
        ),
    ],
)
def test_a_mistake_is_told(settings: dict[str, Any], expected: str) -> None:
    """A value that can't work is refused with what was expected and what came."""
    with pytest.raises(ConfigurationError) as caught:
        Options(**settings)

    assert str(caught.value) == expected


def test_each_setting_is_explained() -> None:
    """Each field has a help text, which is one or two short sentences."""
    for field in fields(Options):
        assert 10 < len(field.metadata["help"]) < 120, field.name


def test_a_password_is_not_shown() -> None:
    """The key's password is not in the text of the options."""
    options = Options(ssl_certfile="x.pem", ssl_keyfile_password="hunter2")

    assert "hunter2" not in repr(options)


def test_the_directory_is_the_current_one_by_default() -> None:
    """Modules are looked for where the command was given, or in app_dir."""
    assert Options().directory == Path.cwd()
    assert Options(app_dir="/tmp").directory == Path("/tmp").resolve()
