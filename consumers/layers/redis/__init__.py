"""The layer on a Redis or Valkey server.

============= ==========================================================================
module        what it is about
============= ==========================================================================
layer         `RedisLayer`: the layer itself
address       where a server is, read from a URL and checked
servers       the one server at an address; a ``cluster`` is several
link          the two ``connections`` to one server, made again when they are lost
asking        what is asked of the broker, and asked again when its link was lost
scripts       what runs inside the broker; ``calls`` of it, and what replies mean
subscriptions what is to be heard from one server, and what is
names         of keys and of channels, for each group
overview      what the broker knows of every group, for people
faults        what goes wrong on the way to a server, in one line
blocking      the client for threads, with ``blocking_servers``
============= ==========================================================================
"""

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
