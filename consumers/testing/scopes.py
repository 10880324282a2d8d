"""Scopes as a server makes them from a request.

Source: ASGI HTTP and WebSocket 2.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias
from urllib.parse import quote, unquote, urlencode, urlsplit

__all__ = ["HeaderTypes", "Origin", "QueryTypes"]

HeaderTypes: TypeAlias = "Mapping[str, str] | Iterable[tuple[str, str]]"
"""Headers by name, or pairs where a name occurs twice."""

QueryTypes: TypeAlias = "Mapping[str, Any]"
"""Query parameters by name; a list makes a repeated key."""

_PORTS: Final = {"ws": 80, "http": 80, "wss": 443, "https": 443}
# RFC 3986 3.3: what a path may contain beside letters, digits and "-._~"; and "%", so
# that what is escaped already stays as it is.
_PATH_SAFE: Final = "/:@!$&'()*+,;=%"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the application is said to be served."""

    base_url: str
    secure: bool = field(init=False)
    netloc: str = field(init=False)
    server: tuple[str, int] = field(init=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        if parts.scheme not in _PORTS or not parts.hostname or parts.path.strip("/"):
            raise ValueError(
                f"base_url must have a scheme and a host and no path, "
                f"got {self.base_url!r}; write 'ws://testserver' or 'wss://testserver'"
            )
        object.__setattr__(self, "secure", parts.scheme in ("wss", "https"))
        object.__setattr__(self, "netloc", parts.netloc)
        port = parts.port or _PORTS[parts.scheme]
        object.__setattr__(self, "server", (parts.hostname, port))

    def websocket(
        self,
        target: str,
        *,
        query: QueryTypes | None,
        headers: HeaderTypes | None,
        cookies: Mapping[str, str] | None,
        subprotocols: Sequence[str],
    ) -> dict[str, Any]:
        """Return the scope of a handshake, without its extensions and state."""
        defaults = {
            "connection": "Upgrade",
            "upgrade": "websocket",
            "sec-websocket-version": "13",
            "sec-websocket-key": "dGVzdGluZyBpbiBwcm9jZQ==",
        }
        if subprotocols:
            defaults["sec-websocket-protocol"] = ", ".join(subprotocols)
        scope = self._request(target, query, headers, cookies, defaults)
        scope["type"] = "websocket"
        scope["scheme"] = "wss" if self.secure else "ws"
        scope["subprotocols"] = list(subprotocols)
        return scope

    def http(
        self,
        method: str,
        target: str,
        *,
        query: QueryTypes | None,
        headers: HeaderTypes | None,
        cookies: Mapping[str, str] | None,
        content: bytes,
    ) -> dict[str, Any]:
        """Return the scope of a request, without its state."""
        defaults = {"content-length": str(len(content))} if content else {}
        scope = self._request(target, query, headers, cookies, defaults)
        scope["type"] = "http"
        scope["method"] = method.upper()
        scope["scheme"] = "https" if self.secure else "http"
        return scope

    def _request(
        self,
        target: str,
        query: QueryTypes | None,
        headers: HeaderTypes | None,
        cookies: Mapping[str, str] | None,
        defaults: Mapping[str, str],
    ) -> dict[str, Any]:
        path, _, query_string = target.partition("?")
        if not path.startswith("/") or "#" in target:
            raise ValueError(
                f"a path must start with '/' and have no fragment, got {target!r}; "
                "the host is the client's base_url"
            )
        if query:
            more = urlencode(query, doseq=True)
            query_string = f"{query_string}&{more}" if query_string else more
        pairs = list(headers.items() if isinstance(headers, Mapping) else headers or ())
        if cookies:
            text = "; ".join(f"{name}={value}" for name, value in cookies.items())
            pairs.append(("cookie", text))
        given = {name.lower() for name, _ in pairs}
        defaults = {"host": self.netloc, "user-agent": "testclient", **defaults}
        pairs = [
            *((name, value) for name, value in defaults.items() if name not in given),
            *pairs,
        ]
        raw_path = quote(path, safe=_PATH_SAFE)
        return {
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "server": self.server,
            "client": ("testclient", 50000),
            "root_path": "",
            "path": unquote(raw_path),
            "raw_path": raw_path.encode(),
            "query_string": quote(query_string, safe=_PATH_SAFE + "?").encode(),
            "headers": [
                (name.lower().encode("latin-1"), value.encode("latin-1"))
                for name, value in pairs
            ],
        }
