"""`connect`: settings that can't work are told at once."""

from __future__ import annotations

from typing import Any

import pytest

from consumers.client import connect
from consumers.errors import ConfigurationError


@pytest.mark.parametrize(
    ("url", "settings", "told"),
    [
        ("http://x/", {}, "a URL must be ws:// or wss://"),
        ("ws://", {}, "a URL must be ws:// or wss://"),
        ("ws://x:port/", {}, "a URL must be ws:// or wss://"),
        ("ws://x/", {"codec": "xml"}, "a client's codec must be 'json' or 'msgpack'"),
        ("ws://x/", {"offline": -1}, "offline must be at least 0 messages, got -1"),
        ("ws://x/", {"unread": 0}, "unread must be at least 1 messages, got 0"),
        ("ws://x/", {"token_as": "query"}, "token_as must be 'header' or 'subproto"),
        ("ws://x/", {"deadline": 0}, "a deadline must be a positive number"),
    ],
)
def test_settings(url: str, settings: dict[str, Any], told: str) -> None:
    """Each mistake has its sentence."""
    with pytest.raises(ConfigurationError, match=told):
        connect(url, **settings)
