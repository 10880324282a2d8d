"""Every setting of a server: its default, its meaning, what it may not meet."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal

from consumers.errors import ConfigurationError, shorten
from consumers.server.frames import DeflateSettings

__all__ = ["Backend", "LogFormat", "LogLevel", "Options"]

Backend = Literal["asyncio", "trio"]
"""The event loop that the application runs on."""

LogLevel = Literal["critical", "error", "warning", "info", "debug"]
"""The least severe message that is logged."""

LogFormat = Literal["text", "json"]
"""How it is written."""

CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "backend": ("asyncio", "trio"),
    "log_format": ("text", "json"),
    "log_level": ("critical", "error", "warning", "info", "debug"),
    "ssl_cert_reqs": ("none", "optional", "required"),
}
"""``{setting: the values that it may have}``."""

WS_IMPLEMENTATIONS: Final = ("auto", "websockets-sansio", "wsproto")
"""Names for ``ws``; anything else is an import string."""

_POSITIVE = (
    "ws_max_size",
    "ws_max_frames",
    "ws_ping_interval",
    "ws_ping_timeout",
    "header_timeout",
    "body_timeout",
    "keep_alive_timeout",
    "unacknowledged_timeout",
    "limit_concurrency",
    "workers",
    "backlog",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """How to serve an application.

    The help text of each setting is in its field's metadata, so that the command line
    and the documentation say the same. Times are in seconds, sizes in bytes.

    Raises:
        ConfigurationError: A value can't work, or two contradict each other. The
            fault of whoever started the server.
    """

    backend: Backend = field(
        default="asyncio",
        metadata={"help": "Event loop: uvicorn on asyncio, a server of ours on trio."},
    )
    host: str = field(
        default="127.0.0.1",
        metadata={"help": "Address to listen on; 0.0.0.0 for all of IPv4."},
    )
    port: int = field(
        default=8000, metadata={"help": "Port to listen on; 0 takes a free one."}
    )
    uds: str | None = field(
        default=None,
        metadata={"help": "Listen on a Unix domain socket at this path instead."},
    )
    fd: int | None = field(
        default=None,
        metadata={"help": "Listen on this inherited file descriptor instead."},
    )
    reload: bool = field(
        default=False, metadata={"help": "Restart when a file changes."}
    )
    reload_dirs: tuple[str, ...] = field(
        default=(),
        metadata={"help": "Directory to watch with --reload [default: the current]."},
    )
    workers: int = field(
        default=1, metadata={"help": "Number of processes that share the address."}
    )
    factory: bool = field(
        default=False,
        metadata={"help": "APP is a function that returns the application."},
    )
    app_dir: str = field(
        default="", metadata={"help": "Where to look for MODULE [default: here]."}
    )
    env_file: str | None = field(
        default=None,
        metadata={"help": "File of NAME=value lines to put into the environment."},
    )
    loop: str = field(
        default="auto",
        metadata={
            "help": "asyncio's loop: auto (uvloop if installed), asyncio, uvloop, or "
            "MODULE:FACTORY."
        },
    )
    ws: str = field(
        default="auto",
        metadata={
            "help": "WebSocket protocol under uvicorn: auto (our own), "
            "websockets-sansio, wsproto, or MODULE:CLASS."
        },
    )
    ws_max_size: int = field(
        default=1024 * 1024,
        metadata={"help": "Largest message of a client; larger ones close 1009."},
    )
    ws_max_frames: int = field(
        default=16384,
        metadata={
            "help": "Frames of one message, and one more for each 32 bytes of it; more "
            "close 1008. Only with servers of our own."
        },
    )
    ws_ping_interval: float | None = field(
        default=20.0, metadata={"help": "Seconds between two pings to a client."}
    )
    ws_ping_timeout: float | None = field(
        default=20.0,
        metadata={"help": "Seconds a client has to answer a ping."},
    )
    ws_per_message_deflate: bool = field(
        default=False,
        metadata={"help": "Compress messages, for 34 KiB per connection."},
    )
    ws_deflate_context_takeover: bool = field(
        default=True,
        metadata={
            "help": "Compress by what went before; without, a publication is "
            "compressed once for all."
        },
    )
    ws_deflate_memory_level: int = field(
        default=5,
        metadata={"help": "What compressing may use of memory, from 1 to 9."},
    )
    header_timeout: float | None = field(
        default=20.0,
        metadata={
            "help": "Seconds that a request's headers may take, and a new connection "
            "to send them."
        },
    )
    body_timeout: float | None = field(
        default=30.0,
        metadata={
            "help": "Seconds between two pieces of a request's body, while they are "
            "wanted."
        },
    )
    keep_alive_timeout: float = field(
        default=5.0,
        metadata={"help": "Seconds that a connection is kept for another request."},
    )
    unacknowledged_timeout: float | None = field(
        default=30.0,
        metadata={
            "help": "Seconds after which a peer that reads nothing is dropped; Linux, "
            "TCP only."
        },
    )
    root_path: str = field(
        default="", metadata={"help": "Path that a proxy has cut off in front."}
    )
    proxy_headers: bool = field(
        default=True,
        metadata={"help": "Trust X-Forwarded-For and -Proto of allowed proxies."},
    )
    forwarded_allow_ips: str = field(
        default="127.0.0.1,::1",
        metadata={"help": "Addresses and networks of those proxies; * for all."},
    )
    access_log: bool = field(
        default=True, metadata={"help": "Log each HTTP request and handshake."}
    )
    log_level: LogLevel = field(
        default="info", metadata={"help": "Least severe message to log."}
    )
    log_format: LogFormat = field(
        default="text",
        metadata={
            "help": "text, or json: a line each, and one for each connection that has "
            "ended."
        },
    )
    drain_delay: float = field(
        default=0.0,
        metadata={
            "help": "Seconds between failing the readiness check and accepting "
            "nothing more."
        },
    )
    drain_timeout: float = field(
        default=5.0,
        metadata={
            "help": "Seconds over which clients are asked to come back; up to 20 go "
            "at once."
        },
    )
    graceful_timeout: float = field(
        default=10.0,
        metadata={
            "help": "Seconds that connections have to end after that; then they are "
            "cancelled."
        },
    )
    limit_concurrency: int | None = field(
        default=None,
        metadata={"help": "Most connections per process; others get a 503."},
    )
    backlog: int = field(
        default=2048, metadata={"help": "Most connections waiting to be accepted."}
    )
    short_collections: bool = field(
        default=True,
        metadata={
            "help": "Keep the pauses for Python's garbage collector short: what is old "
            "is looked at seldom."
        },
    )
    ssl_certfile: str | None = field(
        default=None, metadata={"help": "TLS certificate chain, a PEM file."}
    )
    ssl_keyfile: str | None = field(
        default=None,
        metadata={"help": "Its private key [default: in the certificate's file]."},
    )
    ssl_keyfile_password: str | None = field(
        default=None, metadata={"help": "Password of the private key."}, repr=False
    )
    ssl_ca_certs: str | None = field(
        default=None, metadata={"help": "Authorities that sign client certificates."}
    )
    ssl_cert_reqs: Literal["none", "optional", "required"] = field(
        default="none", metadata={"help": "Whether a client needs a certificate."}
    )
    ssl_ciphers: str | None = field(
        default=None, metadata={"help": "TLS ciphers, in OpenSSL's format."}
    )

    def __post_init__(self) -> None:
        for setting in fields(self):
            _check_type(setting.name, setting.type, getattr(self, setting.name))
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise _wrong(self, name, f"one of {', '.join(choices)}")
        if not 0 <= self.port <= 65535:
            raise _wrong(self, "port", "between 0 and 65535")
        if self.fd is not None and self.fd < 0:
            raise _wrong(self, "fd", "an open file descriptor")
        for name in ("drain_delay", "drain_timeout", "graceful_timeout"):
            if not 0 <= getattr(self, name) < math.inf:
                raise _wrong(self, name, "a finite number of seconds")
        if not 1 <= self.ws_deflate_memory_level <= 9:
            raise _wrong(self, "ws_deflate_memory_level", "between 1 and 9")
        for name in _POSITIVE:
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise _wrong(self, name, "a positive number")
        self._check_combinations()

    def _check_combinations(self) -> None:
        if self.uds is not None and self.fd is not None:
            raise ConfigurationError(
                "one address was expected, got both uds and fd; leave one out"
            )
        if self.reload and self.workers > 1:
            raise ConfigurationError(
                f"reload works with one process, got workers={self.workers}; "
                "leave one of the two out"
            )
        if self.ssl_certfile is None:
            for name in ("ssl_keyfile", "ssl_ca_certs", "ssl_ciphers"):
                if getattr(self, name) is not None:
                    raise ConfigurationError(
                        f"{name} needs a certificate, got none; give ssl_certfile too"
                    )
        if self.ssl_cert_reqs != "none" and self.ssl_ca_certs is None:
            raise ConfigurationError(
                "ssl_ca_certs must name the authorities to trust where client "
                f"certificates are {self.ssl_cert_reqs}, got None; give their file"
            )
        if self.backend == "trio":
            for name in ("loop", "ws"):
                if getattr(self, name) != "auto":
                    raise ConfigurationError(
                        f"{name} is a choice of backend 'asyncio', got "
                        f"{getattr(self, name)!r} with backend 'trio'; leave one out"
                    )
        if self.ws not in WS_IMPLEMENTATIONS and ":" not in self.ws:
            raise _wrong(self, "ws", f"{', '.join(WS_IMPLEMENTATIONS)} or MODULE:CLASS")
        if self.loop not in ("auto", "asyncio", "uvloop") and ":" not in self.loop:
            raise _wrong(self, "loop", "auto, asyncio, uvloop or MODULE:FACTORY")

    @property
    def deflate(self) -> DeflateSettings | None:
        """How messages are compressed; ``None``: not at all."""
        if not self.ws_per_message_deflate:
            return None
        alone = not self.ws_deflate_context_takeover
        return DeflateSettings(alone, alone, memory_level=self.ws_deflate_memory_level)

    @property
    def directory(self) -> Path:
        """Where the application's module is looked for."""
        return Path(self.app_dir or ".").resolve()


def _wrong(options: Options, name: str, expected: str) -> ConfigurationError:
    return ConfigurationError(
        f"{name} must be {expected}, got {shorten(getattr(options, name))}"
    )


_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "tuple[str, ...]": (tuple,),
}


def _check_type(name: str, annotation: Any, value: object) -> None:
    declared = str(annotation)
    if value is None and declared.endswith(" | None"):
        return
    expected = _TYPES.get(declared.removesuffix(" | None"))
    # A bool is an int to Python; port=True is a mistake all the same.
    is_bool = isinstance(value, bool) and expected != (bool,)
    if expected is not None and (is_bool or not isinstance(value, expected)):
        raise ConfigurationError(f"{name} must be {declared}, got {shorten(value)}")
