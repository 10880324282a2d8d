"""The TLS context, made by us so that both servers get the same one."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

from consumers.errors import ConfigurationError
from consumers.server.options import Options

__all__ = ["tls_context"]

_VERIFY: Final = {
    "none": ssl.CERT_NONE,
    "optional": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}


def tls_context(options: Options) -> ssl.SSLContext | None:
    """Return the context that the options describe, or None for plain connections.

    Raises:
        ConfigurationError: A file is missing or is not what it should be, or the
            password does not open the key.
    """
    if options.ssl_certfile is None:
        return None
    for name in ("ssl_certfile", "ssl_keyfile", "ssl_ca_certs"):
        path = getattr(options, name)
        if path is not None and not Path(path).is_file():
            raise ConfigurationError(f"{name} must be a file, got {path!r}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # RFC 6455 speaks over HTTP/1.1; a browser that was offered HTTP/2 would take it.
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(
            options.ssl_certfile,
            options.ssl_keyfile,
            # Always given: without it OpenSSL would ask on the terminal.
            password=options.ssl_keyfile_password or "",
        )
    except (ssl.SSLError, ValueError) as error:
        raise ConfigurationError(
            "ssl_certfile and ssl_keyfile must be a PEM certificate and its key, got "
            f"'{_reason(error)}' from {options.ssl_certfile!r} and "
            f"{options.ssl_keyfile!r}; check both, and ssl_keyfile_password"
        ) from error
    try:
        if options.ssl_ca_certs is not None:
            context.load_verify_locations(options.ssl_ca_certs)
    except ssl.SSLError as error:
        raise ConfigurationError(
            f"ssl_ca_certs must hold PEM certificates, got '{_reason(error)}' from "
            f"{options.ssl_ca_certs!r}"
        ) from error
    context.verify_mode = _VERIFY[options.ssl_cert_reqs]
    if options.ssl_ciphers is not None:
        try:
            context.set_ciphers(options.ssl_ciphers)
        except ssl.SSLError as error:
            raise ConfigurationError(
                f"ssl_ciphers must name known ciphers, got {options.ssl_ciphers!r}"
            ) from error
    return context


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", None) or error).replace("_", " ").lower()
