"""The Python client: ``async with connect(url) as client``, on asyncio and on trio.

It speaks ``consumers.v1``, connects again whenever a connection is lost, and goes on
where it was.

From the wire upwards: `transport` and `link` carry messages, `wire` makes frames of
them, `session` is one connection, `outgoing`, `subscription` and `answering` outlive
it, `client` is what programs use. `serving` is for servers of web pages.
"""

from .client import Client
from .connecting import connect
from .errors import Closed, ConnectionLost, OfflineFull, Overflow, UnexpectedMessage
from .reconnecting import Reconnect
from .serving import script
from .state import State
from .stream import Stream
from .subscription import Publication, Resubscribed, Subscription
from .transport import Dial, Ended, Transport

__all__ = [
    "Client",
    "Closed",
    "ConnectionLost",
    "Dial",
    "Ended",
    "OfflineFull",
    "Overflow",
    "Publication",
    "Reconnect",
    "Resubscribed",
    "State",
    "Stream",
    "Subscription",
    "Transport",
    "UnexpectedMessage",
    "connect",
    "script",
]
