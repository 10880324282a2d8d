"""What the runtime asks of the application that a connection came through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from starlette.types import Scope

from consumers.groups import STATE_KEY, Groups
from consumers.handshake.identity import known
from consumers.handshake.origins import Hosts, Origins
from consumers.limits import Limits

if TYPE_CHECKING:
    from consumers.consumer import WebSocketConsumer
    from consumers.handlers.providers import Factory
    from consumers.handshake.crowd import Crowds
    from consumers.handshake.identity import Authenticate
    from consumers.observing import Observers
    from consumers.websocket import WebSocket

__all__ = [
    "APP_KEY",
    "IDENTITY_KEY",
    "Application",
    "begins_idle",
    "groups_of",
    "identify",
]

APP_KEY: Final = "consumers.app"
"""Where the scope has the `App` that the connection came through."""

IDENTITY_KEY: Final = "consumers.identity"
"""Where the scope has an identity that is taken as it is. Set by test clients."""


class Application(Protocol):
    """What the runtime asks of an `App`."""

    groups: Groups
    authenticate: Authenticate | None
    limits: Limits
    crowds: Crowds
    origins: Origins
    hosts: Hosts | None
    observers: Observers | None
    provided: Mapping[Factory, Any]


_default_groups: Final = Groups()
"""For consumers whose application says nothing of groups: one for the process."""


def groups_of(scope: Scope) -> Groups:
    """Return the groups of the `App`, or those in the state of the lifespan."""
    app: Application | None = scope.get(APP_KEY)
    if app is not None:
        return app.groups
    groups: Groups | None = (scope.get("state") or {}).get(STATE_KEY)
    return _default_groups if groups is None else groups


def begins_idle(connection: WebSocketConsumer, app: Application | None) -> bool:
    """Tell whether nothing of the application's runs before the first message."""
    scope = connection.scope
    if not connection._plan.begins_idle or scope.get("subprotocols"):
        return False
    known = "user" in scope or IDENTITY_KEY in scope
    return not known and (app is None or app.authenticate is None)


async def identify(connection: WebSocket, authenticate: Authenticate | None) -> None:
    """Set the connection's user, if the application or a test client knows it.

    Raises:
        TypeError: ``authenticate`` returned what is no user; the application's fault.
    """
    if IDENTITY_KEY in connection.scope:
        connection.user = connection.scope[IDENTITY_KEY]
    elif authenticate is not None:
        identity = await authenticate(connection)
        if identity is not None:
            connection.user = known(identity)
