"""Which layer a URL names."""

from __future__ import annotations

from collections.abc import Callable

from consumers.errors import ConfigurationError, shorten

from .contract import Layer
from .memory import MemoryLayer
from .memory_store import MemoryStore

__all__ = ["layers_by_url"]

_REDIS = ("redis", "rediss", "unix")


def layers_by_url(url: str, wait: float = 0.0) -> Callable[[], Layer]:
    """Return what makes a layer, one for each event loop of this process.

    Args:
        url: ``memory://``, or that of a Redis or Valkey.
        wait: Seconds to wait for a broker that can't be reached at the start.

    Raises:
        ConfigurationError: No layer can come of the URL, or what it needs is missing.
    """
    if not isinstance(url, str):
        raise ConfigurationError(
            f"a layer's URL must be a string, got {url!r}; write 'memory://'"
        )
    scheme, separator, rest = url.partition("://")
    if scheme == "memory" and separator and not rest:
        store = MemoryStore()
        return lambda: MemoryLayer(store)
    if scheme in _REDIS and separator:
        from .redis import RedisLayer, parse_address

        address = parse_address(url)
        return lambda: RedisLayer(address, wait=wait)
    raise ConfigurationError(
        "a layer's URL must begin with 'memory://', 'redis://', 'rediss://' or "
        f"'unix://', got {shorten(url)}; 'memory://' serves one process, "
        "'redis://127.0.0.1:6379' several"
    )
