"""Admission: what a handshake must pass before anything of the application's runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .application import Application
    from .websocket import WebSocket

__all__ = ["admit", "permit"]


def admit(connection: WebSocket, app: Application | None) -> None:
    """Refuse who may not connect, whoever it is.

    Raises:
        starlette.exceptions.HTTPException: It is refused.
    """


async def permit(connection: WebSocket, app: Application | None) -> None:
    """Refuse who may not connect, now that it is known who that is.

    Raises:
        starlette.exceptions.HTTPException: It is refused.
    """
