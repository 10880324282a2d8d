"""`Credentials`: the token that a client shows, and where it gets another one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from consumers.clock import current_time

__all__ = ["Credentials", "Token"]

Token: TypeAlias = str | Callable[[], Awaitable[str]] | None
"""A token, or what fetches one, or none."""


class Credentials:
    """One token at a time, fetched where there is none or the last one has ended."""

    def __init__(self, token: Token) -> None:
        self._fetch = None if token is None or isinstance(token, str) else token
        self._token = token if isinstance(token, str) else None
        self._ends: float | None = None

    @property
    def renewable(self) -> bool:
        """Whether another token can be had."""
        return self._fetch is not None

    async def headers(self) -> dict[str, str]:
        """Return the header of the handshake that shows the token."""
        ended = self._ends is not None and current_time() >= self._ends
        if self._fetch is not None and (self._token is None or ended):
            await self.renew()
        if self._token is None:
            return {}
        return {"Authorization": f"Bearer {self._token}"}

    async def renew(self) -> str:
        """Fetch another token, and return it."""
        assert self._fetch is not None
        self._token, self._ends = await self._fetch(), None
        return self._token

    def forget(self) -> None:
        """Let the next handshake fetch another token."""
        if self.renewable:
            self._token = None

    def ends_in(self, seconds: float | None) -> None:
        """Note what the server says about the token that it knows."""
        self._ends = None if seconds is None else current_time() + seconds
