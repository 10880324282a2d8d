"""The origins of pages: which may connect, and what settings can't mean."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.exceptions import HTTPException

from consumers import ConfigurationError
from consumers.handshake.origins import Hosts, Origins, OriginsSetting, check_origin
from consumers.handshake.refusals import refused

SHOP = b"shop.example"
LIST = ["https://shop.example", "https://*.shop.example", "http://127.0.0.1:3000"]


def connects(
    origin: bytes | None,
    *hosts: bytes,
    secure: bool = True,
    origins: OriginsSetting = None,
    names: list[str] | None = None,
    more: list[tuple[bytes, bytes]] | None = None,
) -> bool:
    """Tell whether a connection with these headers is let in."""
    headers = [(b"host", host) for host in hosts] + (more or [])
    if origin is not None:
        headers.append((b"origin", origin))
    scope: dict[str, Any] = {
        "type": "websocket",
        "scheme": "wss" if secure else "ws",
        "headers": headers,
    }
    allowed = None if names is None else Hosts(names)
    try:
        check_origin(scope, Origins(origins), allowed, None)
    except HTTPException as error:
        return error.status_code != 403
    return True


# (origin, hosts, whether it is over TLS), by what it is.
SAME = {
    "the same": (b"https://shop.example", [SHOP], True),
    "upper case": (b"HTTPS://Shop.Example", [b"SHOP.example"], True),
    "the default port said": (b"https://shop.example:443", [SHOP], True),
    "the default port in Host": (b"https://shop.example", [b"shop.example:443"], True),
    "a port": (b"https://shop.example:8443", [b"shop.example:8443"], True),
    "without TLS": (b"http://shop.example", [SHOP], False),
    "without TLS, its port": (b"http://shop.example", [b"shop.example:80"], False),
    "TLS ended before": (b"https://shop.example", [SHOP], False),
    "IPv4": (b"http://127.0.0.1:8000", [b"127.0.0.1:8000"], False),
    "IPv6": (b"http://[::1]:8000", [b"[::1]:8000"], False),
    "IPv6, written out": (b"http://[::1]", [b"[0:0:0:0:0:0:0:1]"], False),
    "one word": (b"http://intranet", [b"intranet"], False),
    "an underline": (b"http://a_b.example", [b"a_b.example"], False),
    "a dot at both ends": (b"https://shop.example.", [b"shop.example."], True),
    "punycode": (b"https://xn--bcher-kva.example", [b"xn--bcher-kva.example"], True),
}

FOREIGN = {
    "another site": (b"https://evil.example", [SHOP], True),
    "null": (b"null", [SHOP], True),
    "NULL": (b"NULL", [SHOP], True),
    "null as host": (b"null", [b"null"], True),
    "empty": (b"", [SHOP], True),
    "a space": (b" ", [SHOP], True),
    "a suffix": (b"https://shop.example.evil.com", [SHOP], True),
    "a prefix": (b"https://evilshop.example", [SHOP], True),
    "a prefix with a dash": (b"https://evil-shop.example", [SHOP], True),
    "below it": (b"https://a.shop.example", [SHOP], True),
    "above it": (b"https://example", [SHOP], True),
    "another port": (b"https://shop.example:8443", [SHOP], True),
    "another port in Host": (b"https://shop.example", [b"shop.example:8443"], True),
    "the other default port": (b"https://shop.example:80", [SHOP], True),
    "http to TLS": (b"http://shop.example", [SHOP], True),
    "http to TLS, its port": (b"http://shop.example:443", [b"shop.example:443"], True),
    "https to port 80": (b"https://shop.example", [b"shop.example:80"], False),
    "userinfo": (b"https://shop.example@evil.example", [SHOP], True),
    "userinfo of it": (b"https://evil.example@shop.example", [SHOP], True),
    "a password": (b"https://a:b@shop.example", [SHOP], True),
    "a dot at its end": (b"https://shop.example.", [SHOP], True),
    "a path": (b"https://shop.example/", [SHOP], True),
    "a query": (b"https://shop.example?x", [SHOP], True),
    "a fragment": (b"https://evil.example#shop.example", [SHOP], True),
    "a backslash": (b"https://evil.example\\shop.example", [SHOP], True),
    "no scheme": (b"shop.example", [SHOP], True),
    "two slashes alone": (b"//shop.example", [SHOP], True),
    "a scheme alone": (b"https://", [SHOP], True),
    "a WebSocket's scheme": (b"wss://shop.example", [SHOP], True),
    "a file": (b"file://", [SHOP], True),
    "an extension": (b"chrome-extension://abcdefgh", [b"abcdefgh"], True),
    "a space before": (b" https://shop.example", [SHOP], True),
    "a space after": (b"https://shop.example ", [SHOP], True),
    "a newline after": (b"https://shop.example\n", [SHOP], True),
    "two of them": (b"https://shop.example https://shop.example", [SHOP], True),
    "with a comma": (b"https://shop.example, https://a.example", [SHOP], True),
    "a NUL": (b"https://shop.example\x00.evil.example", [SHOP], True),
    "other letters": ("https://bücher.example".encode(), [b"b"], True),
    "a look-alike": ("https://sh\u03bfp.example".encode(), [SHOP], True),
    "full width": ("https://\uff53hop.example".encode(), [SHOP], True),
    "a percent": (b"https://shop%2eexample", [SHOP], True),
    "port 0": (b"https://shop.example:0", [SHOP], True),
    "a port of no use": (b"https://shop.example:65979", [SHOP], True),
    "no port": (b"https://shop.example:", [SHOP], True),
    "a zero before": (b"https://shop.example:0443", [SHOP], True),
    "a port with a sign": (b"https://shop.example:+443", [SHOP], True),
    "no name": (b"https://.shop.example", [SHOP], True),
    "two dots": (b"https://shop..example", [b"shop..example"], True),
    "a star": (b"https://*.shop.example", [SHOP], True),
    "another form of IPv4": (b"http://127.1", [b"127.0.0.1"], False),
    "another IPv6": (b"http://[::2]", [b"[::1]"], False),
    "no IPv6": (b"http://[:::]", [b"[:::]"], False),
    "IPv6 without brackets": (b"http://::1", [b"::1"], False),
    "very long": (b"https://" + b"a." * 1000 + b"example", [SHOP], True),
    "without Host": (b"https://shop.example", [], True),
    "two Hosts": (b"https://shop.example", [SHOP, SHOP], True),
    "another Host too": (b"https://shop.example", [SHOP, b"evil.example"], True),
    "an empty Host": (b"https://shop.example", [b""], True),
    "a Host with a path": (b"https://shop.example", [b"shop.example/x"], True),
    "a Host with userinfo": (b"https://shop.example", [b"a@shop.example"], True),
    "a Host of two": (b"https://shop.example", [b"shop.example,b.example"], True),
    "a Host with spaces": (b"https://shop.example", [b"shop.example b"], True),
    "a Host like a URL": (b"https://shop.example", [b"https://shop.example"], True),
    "a port that is none": (b"https://shop.example", [b"shop.example:x"], True),
    "a Host of bytes": (b"https://shop.example", [b"shop.example\xff"], True),
}


@pytest.mark.parametrize("name", SAME)
def test_the_same_origin_connects(name: str) -> None:
    """A page of the host, scheme and port that is connected to may do so."""
    origin, hosts, secure = SAME[name]

    assert connects(origin, *hosts, secure=secure)


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_not_the_same_does_not(name: str) -> None:
    """Everything else that a header can say is refused, and would be let in by "*"."""
    origin, hosts, secure = FOREIGN[name]

    before = refused["origin"]
    assert not connects(origin, *hosts, secure=secure)
    assert refused["origin"] == before + 1
    assert connects(origin, *hosts, secure=secure, origins="*")


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (b"https://shop.example", True),
        (b"https://shop.example:443", True),
        (b"HTTPS://SHOP.EXAMPLE", True),
        (b"http://127.0.0.1:3000", True),
        (b"https://a.shop.example", True),
        (b"https://b.a.shop.example", True),  # a star is as many names as there are
        (b"https://xn--bcher-kva.shop.example", True),
        (b"http://shop.example", False),
        (b"http://a.shop.example", False),
        (b"https://a.shop.example:444", False),
        (b"https://.shop.example", False),
        (b"https://ashop.example", False),
        (b"https://shop.example.evil.com", False),
        (b"https://a.shop.example.evil.com", False),
        (b"https://shop.example.", False),
        (b"https://a@shop.example", False),
        (b"http://127.0.0.1:3001", False),
        (b"http://localhost:3000", False),
        (b"null", False),
        (b"", False),
        (b"https://api.example", False),  # the host that is connected to
    ],
)
def test_a_list_is_all_that_connects(origin: bytes, expected: bool) -> None:
    """By a list the header Host does not matter, and what is not listed is refused."""
    for hosts in ([b"api.example"], [], [b"bad host"]):
        assert connects(origin, *hosts, origins=LIST) is expected


@pytest.mark.parametrize(
    ("entry", "origin"),
    [
        ("null", b"null"),
        ("self", b"https://api.example"),
        ("http://localhost", b"http://localhost:80"),
        ("https://shop.example:8443", b"https://shop.example:8443"),
        ("https://Shop.Example", b"https://shop.example"),
        ("http://[::1]:3000", b"http://[::1]:3000"),
        ("https://*.shop.example:8443", b"https://a.shop.example:8443"),
        ("chrome-extension://abcdefgh", b"chrome-extension://abcdefgh"),
        ("capacitor://localhost", b"capacitor://localhost"),
    ],
)
def test_what_can_be_listed(entry: str, origin: bytes) -> None:
    """Each form of an entry lets its origin in, and the list does not without it."""
    assert connects(origin, b"api.example", origins=[entry])
    assert not connects(origin, b"api.example", origins=["https://other.example"])


def test_other_programs_connect() -> None:
    """Without an Origin it is no browser; an empty list lets in nothing else."""
    assert connects(None, SHOP)
    assert connects(None)
    assert connects(None, SHOP, origins=[])
    assert not connects(b"https://shop.example", SHOP, origins=[])


def test_several_headers_are_refused() -> None:
    """Two headers Origin are refused, however often the second says the same."""
    again = [(b"origin", b"https://shop.example")]

    assert not connects(b"https://shop.example", SHOP, more=again)
    assert not connects(b"https://shop.example", SHOP, more=again, origins=LIST)


def test_who_forwards_is_not_believed() -> None:
    """What a client can write itself does not make an origin the same."""
    for name in (b"x-forwarded-host", b"forwarded", b"x-original-host"):
        more = [(name, b"evil.example")]
        assert not connects(b"https://evil.example", SHOP, more=more)
        assert connects(b"https://shop.example", SHOP, more=more)


# -- hosts ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        ([b"shop.example"], True),
        ([b"Shop.Example:8443"], True),
        ([b"a.b.shop.example"], True),
        ([b"[::1]:80"], True),
        ([b"evil.example"], False),
        ([b"shop.example.evil.com"], False),
        ([b"ashop.example"], False),
        ([b"shop.example."], False),
        ([b""], False),
        ([], False),
        ([b"shop.example", b"shop.example"], False),
        ([b"shop.example/"], False),
    ],
)
def test_the_host_is_one_of_those(hosts: list[bytes], expected: bool) -> None:
    """With hosts=, no other name is served: to no page, and to no other program."""
    names = ["shop.example", "*.shop.example", "[0::1]"]

    for origin in (None, b"https://" + b"".join(hosts)):
        origins: OriginsSetting = None if origin is None else "*"
        before = refused["host"]
        assert connects(origin, *hosts, names=names, origins=origins) is expected
        assert refused["host"] == before + (not expected)


def test_a_name_that_leads_here_by_trick_is_none_of_ours() -> None:
    """A page whose own name was made to lead here is of the same origin, but hosts."""
    rebound = (b"http://evil.example:8000", b"evil.example:8000")

    assert connects(*rebound, secure=False)
    assert not connects(*rebound, secure=False, names=["localhost"])


# -- development ---------------------------------------------------------------------


@pytest.fixture
def development(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Origins, "development", True)


LOCAL = (b"http://localhost:5173", b"http://127.0.0.1:1", b"https://[::1]:3000")


@pytest.mark.usefixtures("development")
def test_in_development_this_machine_connects() -> None:
    """A front end's server on another port of this machine may, and nobody else."""
    for origin in LOCAL:
        assert connects(origin, b"127.0.0.1:8000", secure=False)
        assert connects(origin, b"127.0.0.1:8000", secure=False, origins=LIST)
    for origin in (b"http://localhost.evil.com:5173", b"null", b"http://192.0.2.1:80"):
        assert not connects(origin, b"127.0.0.1:8000", secure=False)


def test_else_it_does_not() -> None:
    """Another port of this machine is another origin as any."""
    for origin in LOCAL:
        assert not connects(origin, b"127.0.0.1:8000", secure=False)


# -- mistakes ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "way_out"),
    [
        ("https://shop.example/", 'leave out the path: write "https://shop.example"'),
        ("https://shop.example/a", 'leave out the path: write "https://shop.example"'),
        ("shop.example", 'write "https://shop.example"'),
        ("*.shop.example", 'write "https://*.shop.example"'),
        ("localhost:3000", 'write "https://localhost:3000"'),
        ("wss://shop.example", 'of the page: write "https://shop.example"'),
        ("https://bücher.example", "begins with xn--"),
        ("https://*", 'write origins="*" for any'),
        ("*", 'write origins="*" for any'),
        ("http://*:3000", 'write origins="*" for any'),
        ("https://a.*.example", "as in https://*.shop.example"),
        ("https://shop.example:*", "as in https://*.shop.example"),
        ("https://a@shop.example", "write it like https://shop.example"),
        ("https://shop.example:99999", "write it like https://shop.example"),
        ("", "write it like https://shop.example"),
        (None, "write it like https://shop.example"),
    ],
)
def test_what_no_browser_sends_is_a_mistake(entry: Any, way_out: str) -> None:
    """A wrong entry is told when the list is read, with what would be right."""
    with pytest.raises(ConfigurationError) as caught:
        Origins([entry])

    assert str(caught.value).startswith('App: an origin must be "https://" and a host')
    assert repr(entry) in str(caught.value)
    assert way_out in str(caught.value)


def test_one_origin_is_a_list_of_one() -> None:
    """A text in the place of the list is told, and the list that was meant."""
    with pytest.raises(ConfigurationError, match=r"write origins=\['https://a\.ex'\]"):
        Origins("https://a.ex")


@pytest.mark.parametrize(
    ("hosts", "told"),
    [
        ("shop.example", r"write hosts=\['shop\.example'\]"),
        (["https://shop.example"], "without scheme and port"),
        (["shop.example:443"], "without scheme and port"),
        (["::1"], "stands in brackets"),
        (["bücher.example"], "begins with xn--"),
        (["*"], "leave hosts out for any"),
        ([None], "without scheme and port"),
    ],
)
def test_a_host_is_a_name(hosts: Any, told: str) -> None:
    """What can't be a host is told when the list is read."""
    with pytest.raises(ConfigurationError, match=told):
        Hosts(hosts)
