"""Who is on the other side of a connection."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from starlette.authentication import BaseUser

if TYPE_CHECKING:
    from consumers.websocket import WebSocket

__all__ = ["Authenticate", "Identity", "known"]


@dataclass(frozen=True, slots=True)
class Identity(BaseUser):
    """A known user, as ``authenticate`` returns it; available as ``self.user``.

    It is a Starlette ``BaseUser``, so ``self.user.is_authenticated``,
    ``.display_name`` and ``.identity`` work as behind Starlette's middleware.
    """

    key: str
    """What tells users apart: presence counts by it, and ``publish_to_user`` and
    ``disconnect(user=...)`` find connections by it."""

    expires: datetime | None = None
    """When the credential ends, with a time zone; ``None``: it doesn't. Then the
    connection is closed with 4401."""

    data: Any = None
    """Whatever the application wants to know about the user."""

    name: str = ""
    """What to call the user; the key where there is none."""

    session: str = field(default="", repr=False)
    """What names the session that the credential is of, such as its id in a cookie or a
    token's ``jti``: ``disconnect(session=...)`` finds connections by it. Kept out of
    logs."""

    def __post_init__(self) -> None:
        key: object = self.key
        if not isinstance(key, str) or not key:
            raise TypeError(
                f"an identity's key must be a non-empty string, got {self.key!r}; "
                "write str(user.id)"
            )
        session: object = self.session
        if not isinstance(session, str):
            raise TypeError(
                f"an identity's session must be a string, got {type(session)}; "
                "write str(session.id)"
            )
        if self.expires is not None and getattr(self.expires, "tzinfo", None) is None:
            raise ValueError(
                "an identity's expiry must be a time with a time zone, got "
                f"{self.expires!r}; write datetime.now(UTC) + lifetime"
            )

    @property
    def is_authenticated(self) -> bool:
        """Always true: who is not known has no identity."""
        return True

    @property
    def display_name(self) -> str:
        """The name, or else the key."""
        return self.name or self.key

    @property
    def identity(self) -> str:
        """The key, by the name that Starlette gives it."""
        return self.key


def known(user: object) -> BaseUser:
    """Return what ``authenticate`` has returned, if it can be ``self.user``.

    Raises:
        TypeError: It can't: the application's fault.
    """
    if isinstance(user, BaseUser):
        return user
    raise TypeError(
        f"authenticate must return an Identity or None, got {user!r}; "
        "write Identity(str(user.id), data=user)"
    )


Authenticate: TypeAlias = "Callable[[WebSocket], Awaitable[Identity | None]]"
"""``authenticate(connection)``: who it is, or ``None`` for somebody unknown.

To refuse instead, raise ``starlette.exceptions.HTTPException(401)`` or call
``connection.reject(401)``.
"""
