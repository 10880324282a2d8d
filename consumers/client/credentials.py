"""`Credentials`: the token that a client shows, and where it gets another one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal, TypeAlias
from urllib.parse import quote

from consumers.clock import current_time

__all__ = ["Credentials", "Shown", "Token", "TokenAs"]

Token: TypeAlias = str | Callable[[], Awaitable[str]] | None
"""A token, or what fetches one, or none."""

TokenAs: TypeAlias = Literal["header", "subprotocol"]
"""How a handshake shows the token."""

Shown: TypeAlias = tuple[list[str], dict[str, str]]
"""The subprotocols and headers of a handshake that show the token."""


class Credentials:
    """One token at a time, fetched where there is none or the last one has ended."""

    def __init__(self, token: Token, shown_as: TokenAs = "header") -> None:
        self._fetch = None if token is None or isinstance(token, str) else token
        self._token = token if isinstance(token, str) else None
        self._shown_as = shown_as
        self._ends: float | None = None

    @property
    def renewable(self) -> bool:
        """Whether another token can be had."""
        return self._fetch is not None

    async def shown(self) -> Shown:
        """Return what shows the token in the next handshake."""
        ended = self._ends is not None and current_time() >= self._ends
        if self._fetch is not None and (self._token is None or ended):
            await self.renew()
        if self._token is None:
            return [], {}
        if self._shown_as == "subprotocol":
            return [f"bearer.{quote(self._token, safe='')}"], {}
        return [], {"Authorization": f"Bearer {self._token}"}

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
