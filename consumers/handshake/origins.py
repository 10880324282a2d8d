"""Origins: the pages that may open a connection.

A browser lets any page connect to any server, and sends along the cookies that it has
for that server. It says in the header ``Origin`` which page it is; nothing else stands
between a page of somebody else's and what a user may do here.

Sources: RFC 6454 (origins), RFC 6455 10.2, RFC 9110 7.2 (Host), CWE-1385.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv6Address
from logging import getLogger
from typing import Any, ClassVar, Final, Literal, NamedTuple, TypeAlias

from starlette.exceptions import HTTPException
from starlette.types import Scope

from consumers.errors import ConfigurationError, shorten
from consumers.seldom import Seldom

from .refusals import RefusalReason, count_refusal

__all__ = ["Hosts", "Origins", "OriginsSetting", "check_origin"]

OriginsSetting: TypeAlias = "Sequence[str] | Literal['*'] | None"
"""Origins as they are written: a list, ``"*"`` for any, ``None`` for what applies."""

Headers: TypeAlias = Iterable[tuple[bytes, bytes]]

_PORTS: Final = {"http": 80, "https": 443}
_LOCAL: Final = ("localhost", "127.0.0.1", "[::1]")
_LONGEST: Final = 300
"""Characters of an origin; a name has at most 253."""

_NAME: Final = r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?"
_AUTHORITY: Final = rf"({_NAME}|\[[0-9a-f:.]+\])(?::([1-9][0-9]{{0,4}}))?"
_HOST: Final = re.compile(_AUTHORITY)
_ORIGIN: Final = re.compile(rf"([a-z][a-z0-9+.-]*)://{_AUTHORITY}")


class _Origin(NamedTuple):
    scheme: str
    host: str
    port: int | None  # None: its scheme has no default, and it says none


class Origins:
    """The origins that may connect, as ``App(origins=...)`` and classes say them.

    Raises:
        ConfigurationError: An entry is no origin that a browser would send.
    """

    development: ClassVar[bool] = False
    """Whether pages of this machine may connect from any port; set by ``--reload``."""

    __slots__ = ("_below", "_listed", "_null", "_same", "any", "is_default")

    def __init__(self, written: OriginsSetting = None, *, owner: str = "App") -> None:
        """Read a setting; ``owner`` is who has it, for errors."""
        if isinstance(written, str) and written != "*":
            raise ConfigurationError(
                f'{owner}: origins must be a list, or "*" for any, got {written!r}; '
                f"write origins=[{written!r}]"
            )
        self.any = written == "*"
        """Whether nothing is checked."""
        self.is_default = written is None
        """Whether nothing was said: then it is pages of the same origin."""
        entries: Sequence[str] = ("self",) if written is None else written
        self._same = "self" in entries
        self._null = "null" in entries
        self._listed: set[_Origin] = set()
        self._below: set[_Origin] = set()  # with what their hosts end in
        if not self.any:
            for entry in entries:
                self._add(owner, entry)

    def _add(self, owner: str, entry: object) -> None:
        if entry in ("self", "null"):
            return
        text = entry.lower() if isinstance(entry, str) else ""
        below = "://*." in text
        origin = _parse_origin(text.replace("://*.", "://", 1))
        hint = _hint(text)
        if origin is None or hint is not None:
            raise ConfigurationError(
                f'{owner}: an origin must be "https://" and a host, as a browser sends '
                f"it, got {shorten(entry)}; "
                f"{hint or 'write it like https://shop.example or http://127.0.0.1:80'}"
            )
        if below:
            self._below.add(origin._replace(host=f".{origin.host}"))
        else:
            self._listed.add(origin)

    def allow(
        self, headers: Sequence[bytes], hosts: Sequence[bytes], *, secure: bool
    ) -> bool:
        """Tell whether there is one header ``Origin``, and its page may connect.

        Args:
            headers: The values of all headers ``Origin``. Untrusted.
            hosts: The values of all headers ``Host``. Untrusted.
            secure: Whether the connection is known to be over TLS.
        """
        if self.any:
            return True
        if len(headers) == 1 and headers[0] == b"null":
            return self._null
        origin = _parse_origin(headers[0]) if len(headers) == 1 else None
        if origin is None:
            return False
        if origin in self._listed:
            return True
        if self.development and origin.host in _LOCAL and origin.scheme in _PORTS:
            return True
        if self._same and _is_same(origin, hosts, secure=secure):
            return True
        return any(
            origin.scheme == each.scheme
            and origin.port == each.port
            and origin.host.endswith(each.host)
            for each in self._below
        )

    def and_also(self, entry: str) -> str:
        """Return what would have to be written for ``entry`` to be allowed too."""
        return f'["self", "{entry}"]' if self.is_default else f'[..., "{entry}"]'


class Hosts:
    """The names that an application is served by, as ``App(hosts=...)`` says them.

    Raises:
        ConfigurationError: An entry is no host.
    """

    __slots__ = ("_below", "_listed")

    def __init__(self, written: Sequence[str]) -> None:
        """Read the setting."""
        if isinstance(written, str):
            raise ConfigurationError(
                f"App: hosts must be a list, got {written!r}; "
                f"write hosts=[{written!r}], or leave hosts out for any"
            )
        self._listed: set[str] = set()
        self._below: list[str] = []
        entries: Sequence[Any] = written
        for entry in entries:
            text = entry.lower() if isinstance(entry, str) else ""
            found = _parse_host(text.removeprefix("*."))
            if found is None or found[1] is not None:
                raise ConfigurationError(
                    "App: a host must be a name without scheme and port, such as "
                    f"shop.example or *.shop.example, got {shorten(entry)}; an "
                    "address of IPv6 stands in brackets, a name of other letters "
                    "begins with xn--; leave hosts out for any"
                )
            if text.startswith("*."):
                self._below.append(f".{found[0]}")
            else:
                self._listed.add(found[0])

    def allow(self, headers: Sequence[bytes]) -> bool:
        """Tell whether there is one header ``Host``, and it names one of them."""
        found = _parse_host(headers[0]) if len(headers) == 1 else None
        if found is None:
            return False
        return found[0] in self._listed or found[0].endswith(tuple(self._below))


def check_origin(
    scope: Scope, origins: Origins, hosts: Hosts | None, owner: str | None
) -> None:
    """Refuse a connection that a page of another site has opened.

    By the headers alone: a URL that was rebuilt from them is what whoever sent them
    wants it to be. Without ``Origin`` it is no browser, which could send any.

    Args:
        scope: The connection's.
        origins: Those that may connect.
        hosts: Those that the application is served by; ``None``: any.
        owner: The class that the origins are a setting of; ``None``: the application.

    Raises:
        HTTPException: 403.
    """
    found: list[bytes] = []
    headers = scope.get("headers") or ()
    for name, value in headers:
        if name == b"origin":
            found.append(value)
    if hosts is None and (not found or origins.any):
        return
    named = [value for name, value in headers if name == b"host"]
    if hosts is not None and not hosts.allow(named):
        _refuse("host", *_about_host(named))
    secure = scope.get("scheme") in ("wss", "https")
    if found and not origins.allow(found, named, secure=secure):
        _refuse("origin", *_about_origin(found, named, origins, owner))


# -- the headers ----------------------------------------------------------------------


def _parse_host(header: str | bytes) -> tuple[str, int | None] | None:
    """Return the host and the port of a header ``Host``; ``None``: it is malformed."""
    match = _HOST.fullmatch(_text(header))
    if match is None:
        return None
    return _authority(match[1], match[2])


def _parse_origin(header: str | bytes) -> _Origin | None:
    match = _ORIGIN.fullmatch(_text(header))
    authority = None if match is None else _authority(match[2], match[3])
    if match is None or authority is None:
        return None
    host, port = authority
    return _Origin(match[1], host, port or _PORTS.get(match[1]))


def _authority(host: str, port: str | None) -> tuple[str, int | None] | None:
    number = None if port is None else int(port)
    if number is not None and number > 65535:
        return None
    if host.startswith("["):
        try:
            host = f"[{IPv6Address(host[1:-1])}]"
        except ValueError:
            return None
    return host, number


def _text(header: str | bytes) -> str:
    """Return it in lower case, as schemes and hosts are compared."""
    if len(header) > _LONGEST:
        return ""
    text = header.decode("latin-1") if isinstance(header, bytes) else header
    return text.lower() if text.isascii() else ""


def _is_same(origin: _Origin, hosts: Sequence[bytes], *, secure: bool) -> bool:
    """Tell whether a page is of the origin that the connection is to.

    A proxy that ends TLS may not have said so: a page of https is let in all the same.
    """
    authority = _parse_host(hosts[0]) if len(hosts) == 1 else None
    if authority is None or origin.scheme not in _PORTS:
        return False
    if secure and origin.scheme != "https":
        return False
    host, port = authority
    return (origin.host, origin.port) == (host, port or _PORTS[origin.scheme])


def _hint(text: str) -> str | None:
    """Return what is wrong about an entry that somebody has written, if it is known."""
    scheme, found, rest = text.partition("://")
    if text == "*" or rest == "*" or rest.startswith("*:"):
        return 'name a host, or write origins="*" for any'
    if not found:
        is_host = _parse_host(text.removeprefix("*."))
        return f'write "https://{text}"' if is_host else None
    if scheme in ("ws", "wss"):
        return (
            f'it is that of the page: write "{scheme.replace("ws", "http")}://{rest}"'
        )
    if not text.isascii():
        return "a name of other letters is sent as one that begins with xn--"
    if "*" in rest.removeprefix("*."):
        return "a star stands for the names before a host, as in https://*.shop.example"
    if "/" in rest:
        return f'leave out the path: write "{scheme}://{rest.partition("/")[0]}"'
    return None


# -- what is told of a refusal --------------------------------------------------------

_SELDOM: Final[dict[str, Seldom]] = {
    "origin": Seldom(getLogger("consumers")),
    "host": Seldom(getLogger("consumers")),
}
_DETAILS: Final = {
    "origin": "pages of this origin may not connect",
    "host": "this host is not served here",
}


def _refuse(reason: RefusalReason, text: str, *values: object) -> None:
    count_refusal(reason)
    _SELDOM[reason].warn(text, *values)
    raise HTTPException(403, _DETAILS[reason])


def _about_origin(
    found: Sequence[bytes], named: Sequence[bytes], origins: Origins, owner: str | None
) -> tuple[Any, ...]:
    if len(found) > 1:
        return ("connection with %d headers Origin refused: it has one", len(found))
    origin = found[0].decode("latin-1")
    if origin != "null" and _parse_origin(origin) is None:
        return ("connection from malformed origin %s refused", shorten(origin))
    host = " and ".join(shorten(name.decode("latin-1")) for name in named[:2])
    setting = origins.and_also(origin)
    return (
        "connection from origin %s to host %s refused; to allow it: %s",
        shorten(origin),
        host or "(none)",
        f"App([...], origins={setting})"
        if owner is None
        else f"origins = {setting} in class {owner}",
    )


def _about_host(named: Sequence[bytes]) -> tuple[Any, ...]:
    found = _parse_host(named[0]) if len(named) == 1 else None
    if found is None:
        shown = " and ".join(shorten(name.decode("latin-1")) for name in named[:2])
        return ("connection without one valid Host refused, got %s", shown or "none")
    return (
        "connection to host %s refused; to allow it: %s",
        shorten(found[0]),
        f'App([...], hosts=[..., "{found[0]}"])',
    )
