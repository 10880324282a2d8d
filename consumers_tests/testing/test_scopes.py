"""Scopes as a server makes them."""

from typing import Any

import pytest

from consumers.testing.scopes import Origin


def handshake(target: str = "/", **given: Any) -> dict[str, Any]:
    arguments = {"query": None, "headers": None, "cookies": None, "subprotocols": ()}
    return Origin("ws://testserver").websocket(target, **{**arguments, **given})


@pytest.mark.parametrize(
    "base_url", ["testserver", "ftp://testserver", "ws://", "ws://testserver/api"]
)
def test_a_base_url_has_scheme_and_host(base_url: str) -> None:
    """Anything but ws, wss, http or https with a host is an error that says so."""
    with pytest.raises(ValueError, match=f"got '{base_url}'; write 'ws://testserver'"):
        Origin(base_url)


def test_ports_and_schemes() -> None:
    """A scheme gives security and the default port; requests get the matching one."""
    origin = Origin("https://example.com:8443")
    scope = origin.http("get", "/", query=None, headers=None, cookies=None, content=b"")
    assert (origin.secure, origin.server) == (True, ("example.com", 8443))
    assert (scope["scheme"], scope["method"]) == ("https", "GET")
    assert Origin("ws://a").server == ("a", 80)


def test_headers_given_replace_the_default_ones() -> None:
    """A given header stands alone, whatever its case; pairs keep repeated names."""
    headers = handshake(headers=[("HOST", "x"), ("a", "1"), ("A", "2")])["headers"]
    assert [pair for pair in headers if pair[0] in (b"host", b"a")] == [
        (b"host", b"x"),
        (b"a", b"1"),
        (b"a", b"2"),
    ]


def test_a_path_is_escaped_once() -> None:
    """What is escaped stays so; the decoded path is what routes match."""
    scope = handshake("/a b/%2F?q=ü&r=%26", query={"s": "/?"})
    assert scope["path"] == "/a b//"
    assert scope["raw_path"] == b"/a%20b/%2F"
    assert scope["query_string"] == b"q=%C3%BC&r=%26&s=%2F%3F"
    assert handshake("/", query={"s": 1})["query_string"] == b"s=1"


@pytest.mark.parametrize("target", ["", "chat", "http://testserver/", "/a#b"])
def test_a_target_is_a_path(target: str) -> None:
    """Anything but a path with a query is an error that says so."""
    with pytest.raises(ValueError, match="must start with '/' and have no fragment"):
        handshake(target)
