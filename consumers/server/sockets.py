"""Sockets to listen on, bound by us so that both servers get the same ones."""

from __future__ import annotations

import errno
import os
import socket
import stat
import sys
from pathlib import Path
from typing import Final

from consumers.errors import ConfigurationError
from consumers.server.options import Options

__all__ = ["address_of", "bind", "prepare", "release", "url_of"]

# The number is Linux's; Python on other systems may not know the name.
_TCP_USER_TIMEOUT: Final[int | None] = (
    getattr(socket, "TCP_USER_TIMEOUT", 18) if sys.platform == "linux" else None
)


def bind(options: Options) -> socket.socket:
    """Return the listening socket that the options ask for.

    A Unix socket's file that nobody listens on any more is replaced.

    Raises:
        ConfigurationError: The address is taken, forbidden, unknown or not a socket.
    """
    if options.fd is not None:
        where = f"file descriptor {options.fd}"
    elif options.uds is not None:
        where = options.uds
    else:
        where = f"port {options.port} on {options.host}"
    try:
        if options.fd is not None:
            sock = socket.socket(fileno=options.fd)
        elif options.uds is not None:
            sock = _bind_unix(options.uds)
        else:
            sock = _bind_tcp(options.host, options.port)
        sock.listen(options.backlog)
    except OSError as error:
        way_out = {
            errno.EADDRINUSE: "; stop what listens there, or choose another",
            errno.EACCES: "; choose one that this user may open",
        }.get(error.errno or 0, "")
        raise ConfigurationError(
            f"{where} must be free to listen on, got '{error.strerror or error}'"
            f"{way_out}"
        ) from error
    prepare(sock, options)
    return sock


def prepare(sock: socket.socket, options: Options) -> None:
    """Give a listening socket what every connection accepted from it shall have."""
    sock.setblocking(False)
    sock.set_inheritable(True)
    if (
        _TCP_USER_TIMEOUT is not None
        and options.unacknowledged_timeout is not None
        and sock.family in (socket.AF_INET, socket.AF_INET6)
    ):
        # Accepted sockets inherit it. Without it a peer that stops reading is never
        # evicted where nothing is pinged: servers wait for their buffer to drain.
        milliseconds = max(1, round(options.unacknowledged_timeout * 1000))
        sock.setsockopt(socket.IPPROTO_TCP, _TCP_USER_TIMEOUT, milliseconds)


def release(sock: socket.socket, options: Options) -> None:
    """Close a socket of `bind`, and remove the file of a Unix socket."""
    sock.close()
    if options.uds is not None and options.fd is None:
        Path(options.uds).unlink(missing_ok=True)


def _bind_tcp(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            # On Windows the option would let two servers have one port.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock


def _bind_unix(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if _is_stale(path):
            Path(path).unlink()
        sock.bind(path)
        # The proxy in front usually runs as another user.
        Path(path).chmod(0o666)
    except BaseException:
        sock.close()
        raise
    return sock


def _is_stale(path: str) -> bool:
    try:
        if not stat.S_ISSOCK(Path(path).stat().st_mode):
            return False
    except FileNotFoundError:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
    return False


def address_of(sock: socket.socket) -> tuple[str, int]:
    """Return host and port of a socket, or the path and 0 of a Unix socket."""
    name = sock.getsockname()
    return (name[0], name[1]) if isinstance(name, tuple) else (str(name), 0)


def url_of(sock: socket.socket, options: Options) -> str:
    """Return where a browser finds what is served on the socket."""
    host, port = address_of(sock)
    if sock.family == socket.AF_UNIX:
        return f"unix:{host}"
    scheme = "https" if options.ssl_certfile is not None else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
