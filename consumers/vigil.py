"""The vigil: whether a client of `consumers.v1` is still there, and may still be."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import anyio
from starlette.exceptions import HTTPException

from .clock import current_time, move_on_after, sleep
from .errors import ConnectionClosed, MessageError
from .identity import known
from .protocol.frames import Ping

if TYPE_CHECKING:
    from .runtime import Runtime
    from .session import Session

__all__ = ["Vigil"]

_SILENT: Final = 4408
"""Closes a connection that gives no sign of life. As 408, 'request timeout'."""
_EXPIRED: Final = 4401


class Vigil:
    """Watches over one connection: its signs of life, and its credential's end."""

    __slots__ = ("_expires_at", "_heard", "_refreshed", "_runtime", "_session", "_sign")

    def __init__(self, session: Session, runtime: Runtime) -> None:
        """Prepare; :meth:`begin` begins."""
        self._session = session
        self._runtime = runtime
        self._heard = False  # since the last look
        self._sign: anyio.Event | None = None  # waited for after a ping
        self._expires_at: float | None = None
        self._refreshed: anyio.Event | None = None  # there once its end is watched

    def begin(self) -> None:
        """Close where no sign of life comes, or the credential ends."""
        if self._runtime.consumer._bounds.heartbeat is not None:
            self._runtime.spawn(self._beat)
        self._watch()

    # -- signs of life --------------------------------------------------------------

    def hear(self) -> None:
        """Take note of a sign of life."""
        self._heard = True
        if self._sign is not None:
            self._sign.set()

    async def _beat(self) -> None:
        """Ping, and close where no sign of life comes."""
        bounds = self._runtime.consumer._bounds
        assert bounds.heartbeat is not None
        try:
            while True:
                self._heard = False
                await sleep(bounds.heartbeat)
                if self._heard:
                    continue
                self._sign, sent = anyio.Event(), False
                with move_on_after(bounds.heartbeat_timeout):
                    await self._session.send(Ping())
                    sent = True
                    if not self._is_deaf():
                        await self._sign.wait()
                self._sign = None
                if sent and self._is_deaf():
                    continue
                if not self._heard:
                    self._runtime.end(_SILENT, "no sign of life")
                    return
        except ConnectionClosed:
            pass

    def _is_deaf(self) -> bool:
        """Tell whether signs of life wait behind messages that a method is to take.

        Not where that method waits for what the client can only say after them.
        """
        return self._runtime.consumer._inbox.is_full() and not self._session.asking

    # -- credentials ----------------------------------------------------------------

    def expiry(self) -> float | None:
        """Return the seconds until the client's credential ends."""
        expires = getattr(self._runtime.consumer.user, "expires", None)
        if expires is None:
            self._expires_at = None
            return None
        left: float = max(0.0, (expires - datetime.now(UTC)).total_seconds())
        self._expires_at = current_time() + left
        return left

    async def refresh(self, token: str) -> dict[str, float | None]:
        """Take a new credential; return when it ends.

        Raises:
            MessageError: It is not the one of this user.
        """
        consumer = self._runtime.consumer
        before, consumer._token = consumer._token, token
        try:
            await self._authenticate()
        except BaseException:
            consumer._token = before
            raise
        left = self.expiry()
        self._watch()
        return {"expires": left}

    async def _authenticate(self) -> None:
        """Have the application tell again who the client is."""
        consumer, authenticate = self._runtime.consumer, self._runtime.authenticate
        if authenticate is None:
            return
        try:
            identity = await authenticate(consumer)
        except HTTPException as error:
            raise MessageError("not_allowed", error.detail) from error
        if identity is None or identity.identity != consumer.user.identity:
            raise MessageError("not_allowed", "not the user of this connection")
        consumer.user = known(identity)

    def _watch(self) -> None:
        """Close when the credential ends, from now on or by a newer one."""
        if self._refreshed is not None:
            self._refreshed.set()
        elif self._expires_at is not None:
            self._refreshed = anyio.Event()
            self._runtime.spawn(self._expire)

    async def _expire(self) -> None:
        while True:
            end = math.inf if self._expires_at is None else self._expires_at
            left = end - current_time()
            if left <= 0:
                self._runtime.end(_EXPIRED, "the credential has expired")
                return
            assert self._refreshed is not None
            with move_on_after(left):
                await self._refreshed.wait()
                self._refreshed = anyio.Event()
