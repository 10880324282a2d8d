"""The layer on a Redis or Valkey server."""

from consumers.errors import ConfigurationError

from .address import Address

try:
    from .layer import RedisLayer
except ModuleNotFoundError as error:
    raise ConfigurationError(
        "a layer on Redis or Valkey must have its client, got no module named "
        f"{str(error.name).partition('.')[0]!r}; pip install 'anyio-consumers[redis]'"
    ) from error

__all__ = ["Address", "RedisLayer", "parse_address"]

parse_address = Address.parse
