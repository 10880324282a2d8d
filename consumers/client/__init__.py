"""The Python client: ``async with connect(url) as client``, on asyncio and on trio.

It speaks ``consumers.v1``, connects again whenever a connection is lost, and goes on
where it was.

From the wire upwards: `transport` and `link` carry messages, `wire` makes frames of
them, `session` is one connection, and `connections` makes one after the other, with
what `credentials` there are and when `reconnecting` says. What outlives them are the
`parts`: `outgoing`, `subscription`, `stream`, `answering` and their `inbox`, and the
`state` that they are in. `client` is what programs use, made by `connecting`; its
`errors` are what they catch. `serving` is for servers of web pages.
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
