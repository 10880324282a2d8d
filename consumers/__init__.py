"""Class-based WebSocket applications for ASGI, on asyncio and on trio.

The way of a message, from the server to the user's hook and back:

========== ============================================================================
module     what it is about
========== ============================================================================
app        an application: URL table, groups, limits, lifespan
routing    routes, and the function style's decorator
handshake  who may connect, what is known of them, and how one is refused
runtime    drives one connection through its lifecycle
consumer   the class with the hooks
handlers   what a class asks for, and how it says what it receives
groups     publications to many, over ``layers`` between processes
member     a connection's part in groups; ``delivery`` is how publications reach it
history    what groups keep, and positions in it
websocket  one connection in pull style; ``sender`` sends, ``forms`` name a codec
queues     what waits, in either direction, and what becomes of it
protocol   the frames of `consumers.v1`
codecs     between messages and ASGI events: ``decoding``, ``shape``, ``pydantic_types``
state      what may be done when
close      close codes
errors     the tree of exceptions; ``seldom``: how often a log tells of strangers
clock      the clock that all timers go by
limits     all bounds; ``rates`` and ``metering`` count, ``over_limit`` what is more
observing  being told what happens: ``logs``, ``metrics``, ``health``, ``inspector``
schema     the application described, for others and on one of its ``pages``
client     the client, in Python and JavaScript
server     running it: uvicorn on asyncio, a server of our own on trio
testing    a client for tests, in process
cli        the command line
========== ============================================================================
"""

from typing import TYPE_CHECKING, Any

from starlette.websockets import WebSocketDisconnect

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
from .handlers.messages import Internal, intercepts, receives, subscribes
from .handlers.providers import Provide
from .handshake.allow import authenticated, has_scopes
from .handshake.identity import Identity
from .history import History, Position, Recovery
from .limits import Limits
from .queues.policies import CloseWhenFull, Coalesce, DropNewest, DropOldest
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
