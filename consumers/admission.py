"""Admission: what a handshake must pass before anything of the application's runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .allow import check_rules
from .drain import turn_away
from .origins import Origins, check_origin

if TYPE_CHECKING:
    from .application import Application
    from .consumer import WebSocketConsumer
    from .websocket import WebSocket

__all__ = ["admit", "permit"]



_SAME: Final = Origins()


def admit(connection: WebSocketConsumer, app: Application | None) -> None:
    """Refuse who may not connect, whoever it is.

    Raises:
        starlette.exceptions.HTTPException: It is refused.
    """
    turn_away()
    own = connection._origins
    check_origin(
        connection.scope,
        own or (_SAME if app is None else app.origins),
        None if app is None else app.hosts,
        None if own is None and app is not None else type(connection).__qualname__,
    )


async def permit(connection: WebSocketConsumer, app: Application | None) -> None:
    """Refuse who may not connect, now that it is known who that is.

    Raises:
        starlette.exceptions.HTTPException: It is refused.
    """
    await check_rules(connection, connection.prepare().allow)
