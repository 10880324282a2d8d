"""Admission: what a handshake must pass before anything of the application's runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from consumers.handshake.allow import check_rules
from consumers.handshake.crowd import Crowds, Place
from consumers.handshake.origins import Origins, check_origin

from .drain import turn_away

if TYPE_CHECKING:
    from consumers.consumer import WebSocketConsumer

    from .application import Application

__all__ = ["admit", "admit_user", "permit"]

_OTHERS: Final = Crowds()
"""Of connections that no `App` has."""


_SAME: Final = Origins()


def admit(connection: WebSocketConsumer, app: Application | None) -> None:
    """Refuse who may not connect, whoever it is.

    Raises:
        starlette.exceptions.HTTPException: It is refused.
    """
    own = connection._origins
    check_origin(
        connection.scope,
        own or (_SAME if app is None else app.origins),
        None if app is None else app.hosts,
        None if own is None and app is not None else type(connection).__qualname__,
    )
    turn_away()
    bounds = connection._bounds
    if bounds.connections is not None or bounds.connections_per_address is not None:
        connection._place = Place(_crowds(app).of(bounds), connection.scope)


def admit_user(connection: WebSocketConsumer, app: Application | None) -> None:
    """Refuse a user who has too many connections; count this one as that user's.

    Called again when a hook may have set another.

    Raises:
        starlette.exceptions.HTTPException: It is refused.
    """
    bounds, user = connection._bounds, connection.user
    if bounds.connections_per_user is None:
        return
    name = user.identity if user.is_authenticated else ""
    if connection._place is None:
        if not name:
            return
        connection._place = Place(_crowds(app).of(bounds), connection.scope)
    connection._place.take_as(name)


def _crowds(app: Application | None) -> Crowds:
    return _OTHERS if app is None else app.crowds


async def permit(connection: WebSocketConsumer, app: Application | None) -> None:
    """Refuse who may not connect, now that it is known who that is.

    Raises:
        starlette.exceptions.HTTPException: It is refused.
    """
    await check_rules(connection, connection.prepare().allow)
