"""`Address`: where a Redis or Valkey server is, read from a URL and checked."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from consumers.errors import ConfigurationError

__all__ = ["SCHEMES", "Address"]

SCHEMES: Final = ("redis", "rediss", "unix")
"""What the URL of a server can begin with."""

_OPTIONS: Final = ("cluster", "db", "prefix", "ssl_ca_certs", "ssl_cert_reqs")
# No braces, which choose the node of a cluster, and nothing that a search for keys
# takes for a wildcard.
_PREFIX: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_DATABASE: Final = re.compile(r"\d{1,6}")
_BEFORE_HOST: Final = re.compile(r"^(.*?://)?.*@", re.DOTALL)
_PORT: Final = 6379


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class Address:
    """Where a server is, and how to talk to it.

    As a text it never has the password.
    """

    host: str = ""
    """Its name or number; empty where ``path`` is not."""
    port: int = _PORT
    """On ``host``."""
    path: str = ""
    """Of its socket in the file system."""
    db: int = 0
    """The number of the database."""
    username: str = ""
    """Empty: the default user."""
    password: str = ""
    """Empty: none is asked for."""
    tls: bool = False
    """Whether what is sent is encrypted."""
    verify: bool = True
    """Whether its certificate must be trusted, and be for ``host``."""
    ca_certs: str = ""
    """A file of certificates that are trusted beside the system's."""
    prefix: str = "consumers"
    """What the names of all keys and channels begin with."""
    cluster: bool = False
    """Whether it is one node of a cluster."""

    @classmethod
    def parse(cls, url: str) -> Address:
        """Return what a URL says.

        Raises:
            ConfigurationError: It does not name a server, or not one that can be used.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise ConfigurationError(
                "a layer's URL must be 'redis://host:port' with a port of 1-65535, "
                f"got {_harmless(url)!r}; percent-encode ':', '/', '#', '?' and '@' "
                "in a password"
            ) from error
        if parts.scheme not in SCHEMES:
            raise ConfigurationError(
                "a layer's URL must begin with memory://, redis://, rediss:// or "
                f"unix://, got {_harmless(url)!r}"
            )
        if parts.fragment:
            raise ConfigurationError(
                f"a layer's URL must be without a '#', got {_harmless(url)!r}; "
                "percent-encode it in a password as '%23'"
            )
        options = _options(parts)
        socket = parts.scheme == "unix"
        _check_place(parts, port, url, socket=socket)
        username = unquote(parts.username or "")
        password = unquote(parts.password or "")
        if username and not password:
            raise ConfigurationError(
                "a layer's URL must have a password where it has a user, got none; "
                f"write '{parts.scheme}://:password@…' for the default user"
            )
        return cls(
            host="" if socket else unquote(parts.hostname or ""),
            port=_PORT if port is None else port,
            path=unquote(parts.path) if socket else "",
            db=_database(parts, options, socket=socket),
            username=username,
            password=password,
            tls=parts.scheme == "rediss",
            verify=_choice(options, "ssl_cert_reqs", "required", "none"),
            ca_certs=_ca_certs(options),
            prefix=_prefix(options),
            cluster=not _choice(options, "cluster", "false", "true"),
        )

    def ssl_context(self) -> ssl.SSLContext | None:
        """Return how TLS is spoken with it; ``None``: it is not.

        Raises:
            ConfigurationError: The file of trusted certificates can't be used.
        """
        if not self.tls:
            return None
        context = ssl.create_default_context()
        try:
            if self.ca_certs:
                context.load_verify_locations(self.ca_certs)
        except OSError as error:
            raise ConfigurationError(
                "ssl_ca_certs must be a file of certificates in PEM format, got "
                f"{self.ca_certs!r}; {error}"
            ) from error
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def __str__(self) -> str:
        scheme = "unix" if self.path else "rediss" if self.tls else "redis"
        who = f"{quote(self.username, safe='')}:***@" if self.password else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        where = quote(self.path) if self.path else f"{host}:{self.port}"
        options = []
        if self.db:
            options.append(f"db={self.db}")
        if self.cluster:
            options.append("cluster=true")
        if self.prefix != "consumers":
            options.append(f"prefix={self.prefix}")
        query = f"?{'&'.join(options)}" if options else ""
        return f"{scheme}://{who}{where}{query}"

    def __repr__(self) -> str:
        return f"Address({str(self)!r})"


def _harmless(url: str) -> str:
    """Return a URL for an error's text: without what may be a secret."""
    return _BEFORE_HOST.sub(r"\1***@", url).partition("?")[0]


def _options(parts: SplitResult) -> dict[str, str]:
    options: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in _OPTIONS:
            raise ConfigurationError(
                f"the options of a layer's URL are {', '.join(_OPTIONS)}, got {name!r}"
            )
        if name in options:
            raise ConfigurationError(
                f"each option of a layer's URL must be given once, got {name!r} twice"
            )
        options[name] = value
    socket = parts.scheme == "unix"
    for name in options:
        if name.startswith("ssl_") and parts.scheme != "rediss":
            raise ConfigurationError(
                f"the option {name!r} of a layer's URL belongs to rediss://, got "
                f"{parts.scheme}://"
            )
    if socket and "cluster" in options:
        raise ConfigurationError(
            "the option 'cluster' of a layer's URL belongs to redis:// and rediss://, "
            "got unix://; a cluster's nodes are found by host and port"
        )
    return options


def _check_place(
    parts: SplitResult, port: int | None, url: str, *, socket: bool
) -> None:
    if socket:
        if parts.hostname or port is not None or not parts.path.strip("/"):
            raise ConfigurationError(
                "a socket's URL must have a path and no host, got "
                f"{_harmless(url)!r}; write 'unix:///run/valkey.sock'"
            )
    elif not parts.hostname or port == 0:
        raise ConfigurationError(
            f"a layer's URL must have a host, and a port of 1-65535 if any, got "
            f"{_harmless(url)!r}; write '{parts.scheme}://localhost:6379'"
        )


def _database(parts: SplitResult, options: dict[str, str], *, socket: bool) -> int:
    in_path = "" if socket else parts.path.strip("/")
    given = options.get("db", in_path or "0")
    if not _DATABASE.fullmatch(given) or in_path not in ("", given):
        raise ConfigurationError(
            "a layer's URL must have one number of a database, got "
            f"{'/'.join(filter(None, (in_path, options.get('db'))))!r}; "
            f"write '{parts.scheme}://…?db=1'"
        )
    database = int(given)
    if database and options.get("cluster") == "true":
        raise ConfigurationError(
            f"a cluster must be used with database 0, got {database}; give each "
            "application a prefix of its own, '?cluster=true&prefix=shop'"
        )
    return database


def _choice(options: dict[str, str], name: str, default: str, other: str) -> bool:
    """Return whether an option has its default."""
    value = options.get(name, default)
    if value not in (default, other):
        raise ConfigurationError(
            f"the option {name!r} of a layer's URL must be {default!r} or {other!r}, "
            f"got {value!r}"
        )
    return value == default


def _ca_certs(options: dict[str, str]) -> str:
    path = options.get("ssl_ca_certs", "")
    if "ssl_ca_certs" in options and not Path(path).is_file():
        raise ConfigurationError(f"ssl_ca_certs must be a file, got {path!r}")
    return path


def _prefix(options: dict[str, str]) -> str:
    prefix = options.get("prefix", "consumers")
    if not _PREFIX.fullmatch(prefix):
        raise ConfigurationError(
            "the prefix of a layer's keys must be 1-64 letters, digits and _ . : -, "
            f"got {prefix!r}"
        )
    return prefix
