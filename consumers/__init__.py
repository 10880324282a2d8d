"""Class-based WebSocket applications for ASGI, on asyncio and on trio.

The way of a message, from the server to the user's hook and back:

========== ============================================================================
module     what it is about
========== ============================================================================
app        an application: URL table, groups, limits, lifespan
routing    routes, and the function style's decorator
runtime    drives one connection through its lifecycle; ``life`` is how that ends
watchdog   notices that a client left while a hook runs
consumer   the class with the hooks; ``plan`` is what a class asks for
signatures what a hook asks for: ``params``, ``providers``, ``depends`` (FastAPI's)
messages   how messages are received
groups     publications to many, over ``layers`` between processes
member     a connection's part in groups; ``delivery`` is how publications reach it
history    what groups keep, and positions in it
websocket  one connection in pull style, with its ``inbox`` and ``outbox``
policies   what becomes of a slow client's ``backlog``
allow      who may connect; ``credentials`` is where a token comes from
connection what is known of it from its handshake, which a ``refusal`` may end
forms      the ways to receive and send that name a codec
codecs     between messages and ASGI events
state      what may be done when
close      close codes
errors     the tree of exceptions
identity   who is on the other side
clock      the clock that all timers go by
limits     all bounds; with `rates`, `shape` and `crowd`, which count
server     running it: uvicorn on asyncio, a server of our own on trio
testing    a client for tests, in process
cli        the command line
========== ============================================================================
"""

from typing import TYPE_CHECKING, Any

from starlette.websockets import WebSocketDisconnect

from .allow import authenticated, has_scopes
from .app import App
from .clock import current_time, sleep
from .close import CloseEvent
from .consumer import WebSocketConsumer
from .errors import (
    ConfigurationError,
    ConnectionClosed,
    ConsumersError,
    InvalidMessage,
    InvalidParameters,
    LayerUnavailable,
    MessageError,
    MessageNotEncodable,
    NotAllowed,
    PublicationsLost,
    Rejected,
    StateError,
    SubscriptionOverflow,
)
from .groups import (
    Excerpt,
    Group,
    GroupName,
    Groups,
    Health,
    Presence,
    PresenceDiff,
    Present,
    Publication,
    Subscription,
)
from .history import History, Position, Recovery
from .identity import Identity
from .limits import Limits
from .messages import Internal, intercepts, receives, subscribes
from .policies import CloseWhenFull, Coalesce, DropNewest, DropOldest
from .providers import Provide
from .rates import Rate
from .routing import Router, WebSocketRoute
from .websocket import WebSocket

if TYPE_CHECKING:
    from .server.run import run

__all__ = [
    "App",
    "CloseEvent",
    "CloseWhenFull",
    "Coalesce",
    "ConfigurationError",
    "ConnectionClosed",
    "ConsumersError",
    "DropNewest",
    "DropOldest",
    "Excerpt",
    "Group",
    "GroupName",
    "Groups",
    "Health",
    "History",
    "Identity",
    "Internal",
    "InvalidMessage",
    "InvalidParameters",
    "LayerUnavailable",
    "Limits",
    "MessageError",
    "MessageNotEncodable",
    "NotAllowed",
    "Position",
    "Presence",
    "PresenceDiff",
    "Present",
    "Provide",
    "Publication",
    "PublicationsLost",
    "Rate",
    "Recovery",
    "Rejected",
    "Router",
    "StateError",
    "Subscription",
    "SubscriptionOverflow",
    "WebSocket",
    "WebSocketConsumer",
    "WebSocketDisconnect",
    "WebSocketRoute",
    "authenticated",
    "current_time",
    "has_scopes",
    "intercepts",
    "receives",
    "run",
    "sleep",
    "subscribes",
]


def __getattr__(name: str) -> Any:
    """Import what serves when it is asked for: most programs leave that to a server."""
    if name == "run":
        from .server.run import run

        return run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
